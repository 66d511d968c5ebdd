// A lane's stream on a GPU, and the thread that tells when what was submitted to it has ended.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel.h"

namespace skua::cuda {

class CudaMark final : public Mark {
 public:
  explicit CudaMark(Gpu& gpu) : began(gpu.make_event()), ended(gpu.make_event()) {}
  const std::unique_ptr<Event> began;
  const std::unique_ptr<Event> ended;
};

// What a node may find wrong with its data; looked at when it has ended.
struct Check {
  const Fault* fault = nullptr;
  const Kernel* kernel = nullptr;
  const std::string* label = nullptr;  // "embedding embedding_1"
};

class CudaStream : public Stream {
 public:
  [[nodiscard]] virtual GpuStream& gpu() = 0;
  // Belongs to what the next end() ends.
  virtual void expect(const Check& check) = 0;
};

}  // namespace skua::cuda
