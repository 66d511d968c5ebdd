#include "communicator.h"

#include <stdexcept>

#include "first_gpu.h"
#include "libraries.h"

namespace skua::test {
namespace {

// A GPU that is there by its number alone.
class Numbered final : public cuda::Gpu {
 public:
  explicit Numbered(int ordinal) { info_.ordinal = ordinal; }
  [[nodiscard]] const cuda::GpuInfo& info() const override { return info_; }
  [[nodiscard]] void* allocate(std::size_t /*bytes*/) override { throw std::bad_alloc(); }
  void release(void* /*data*/) noexcept override {}
  [[nodiscard]] void* allocate_host(std::size_t /*bytes*/) override { throw std::bad_alloc(); }
  void release_host(void* /*data*/) noexcept override {}
  [[nodiscard]] std::unique_ptr<cuda::GpuStream> make_stream() override { return nullptr; }
  [[nodiscard]] std::unique_ptr<cuda::Event> make_event() override { return nullptr; }
  void synchronize(const cuda::Event& /*event*/) override {}
  [[nodiscard]] double seconds_between(const cuda::Event& /*from*/, const cuda::Event& /*to*/) override { return 0; }
  [[nodiscard]] std::unique_ptr<cuda::Libraries> make_libraries(cuda::Precision /*precision*/) override {
    return nullptr;
  }

 private:
  cuda::GpuInfo info_;
};

TEST(Communicator, RefusesTwoRanksOnOneGpu) {
  const Numbered zero(0);
  const Numbered three(3);
  const Numbered part_of_three(3);
  try {
    static_cast<void>(cuda::make_communicator({&zero, &three, &part_of_three}));
    FAIL() << "it took two ranks on one GPU";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "[nccl] expected one rank a GPU, got ranks 1 and 2 on GPU 3");
  }
}

class CommunicatorOnGpu : public FirstGpu {};

TEST_F(CommunicatorOnGpu, OneRankKeepsItsData) {
  const auto communicator = cuda::make_communicator({gpu_.get()});
  const std::vector<float> values{1, 2, 3};
  auto* const data = static_cast<float*>(put(values));
  communicator->begin();
  communicator->all_reduce(0, *stream_, data, values.size());
  communicator->end();
  communicator->begin();
  communicator->reduce(0, *stream_, data, values.size(), 0);
  communicator->end();
  communicator->begin();
  communicator->broadcast(0, *stream_, data, values.size(), 0);
  communicator->end();
  EXPECT_EQ(get(data, values.size()), values);
}

}  // namespace
}  // namespace skua::test
