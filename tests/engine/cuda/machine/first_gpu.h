// The machine's first GPU, for tests that are skipped where there is none.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime.h"

namespace skua::test {

class FirstGpu : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (cuda::machine_runtime().gpu_count(why) == 0) GTEST_SKIP() << "no CUDA device: " << why;
    std::string warning;
    gpu_ = std::move(cuda::machine_runtime().open(0, 1, warning).at(0));
    stream_ = gpu_->make_stream();
  }

  // Memory of the GPU until the test ends.
  void* put(const std::vector<float>& values) {
    memory_.emplace_back(gpu_->allocate(values.size() * sizeof(float)), [this](void* data) { gpu_->release(data); });
    stream_->copy(memory_.back().get(), values.data(), values.size() * sizeof(float));
    stream_->synchronize();
    return memory_.back().get();
  }
  [[nodiscard]] std::vector<float> get(const void* data, std::size_t count) {
    std::vector<float> values(count);
    stream_->copy(values.data(), data, count * sizeof(float));
    stream_->synchronize();
    return values;
  }

  std::unique_ptr<cuda::Gpu> gpu_;
  std::unique_ptr<cuda::GpuStream> stream_;

 private:
  std::vector<std::shared_ptr<void>> memory_;
};

}  // namespace skua::test
