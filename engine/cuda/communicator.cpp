#include "communicator.h"

#include <fmt/format.h>
#include <nccl.h>

#include <cstdlib>
#include <stdexcept>

#include "ranks.h"

namespace skua::cuda {
namespace {

void check(ncclResult_t status, const char* what) {
  if (status == ncclSuccess) return;
  throw std::runtime_error(fmt::format("NCCL: {}: {}", what, ncclGetErrorString(status)));
}

// One algorithm for every size, or sums would depend on which one NCCL takes. A user's own choice stays.
void fix_algorithm() {
  static const bool done = [] {
    setenv("NCCL_ALGO", "Ring", 0);
    setenv("NCCL_PROTO", "Simple", 0);
    return true;
  }();
  static_cast<void>(done);
}

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(const std::vector<int>& ordinals) : communicators_(ordinals.size()) {
    fix_algorithm();
    check(ncclCommInitAll(communicators_.data(), static_cast<int>(ordinals.size()), ordinals.data()),
          "ncclCommInitAll");
  }
  ~NcclCommunicator() override {
    for (ncclComm_t communicator : communicators_) ncclCommDestroy(communicator);
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  void begin() override { check(ncclGroupStart(), "ncclGroupStart"); }
  void end() override { check(ncclGroupEnd(), "ncclGroupEnd"); }
  void all_reduce(int rank, GpuStream& stream, float* data, std::size_t floats) override {
    check(ncclAllReduce(data, data, floats, ncclFloat32, ncclSum, of(rank), native(stream)), "ncclAllReduce");
  }
  void reduce(int rank, GpuStream& stream, float* data, std::size_t floats, int root) override {
    check(ncclReduce(data, data, floats, ncclFloat32, ncclSum, root, of(rank), native(stream)), "ncclReduce");
  }
  void broadcast(int rank, GpuStream& stream, float* data, std::size_t floats, int root) override {
    check(ncclBroadcast(data, data, floats, ncclFloat32, root, of(rank), native(stream)), "ncclBroadcast");
  }

 private:
  [[nodiscard]] ncclComm_t of(int rank) const { return communicators_.at(static_cast<std::size_t>(rank)); }
  static cudaStream_t native(const GpuStream& stream) { return static_cast<cudaStream_t>(stream.native()); }

  std::vector<ncclComm_t> communicators_;
};

}  // namespace

std::unique_ptr<Communicator> make_communicator(const std::vector<const Gpu*>& gpus) {
  return std::make_unique<NcclCommunicator>(distinct_ordinals(gpus));
}

}  // namespace skua::cuda
