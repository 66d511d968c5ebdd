// NCCL between fake GPUs: each rank's stream sends what it has for all sums of a group; then the roots' add up, in the
// order of ranks, and wait for nobody else's sums.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "communicator.h"
#include "fake_stream.h"
#include "ranks.h"

namespace skua::fake {
namespace {

class FakeCommunicator final : public cuda::Communicator {
 public:
  explicit FakeCommunicator(std::size_t ranks) : calls_(ranks) {}

  void begin() override {
    if (std::exchange(begun_, true)) throw std::logic_error("NCCL: a group in a group");
  }
  void end() override {
    if (!std::exchange(begun_, false)) throw std::logic_error("NCCL: the end of no group");
    const std::vector<std::vector<Call>> calls = std::exchange(calls_, std::vector<std::vector<Call>>(calls_.size()));
    for (const auto& rank : calls) {
      if (rank.size() != calls[0].size()) throw std::runtime_error("NCCL: a rank's call is missing");
    }
    if (calls[0].empty()) return;
    std::vector<std::vector<const float*>> sent;
    for (std::size_t i = 0; i < calls[0].size(); ++i) sent.push_back(send(calls, i));
    for (const auto& rank : calls) {
      for (const auto& other : calls) {
        if (&other != &rank) rank[0].stream->follow(*other[0].stream);
      }
    }
    for (std::size_t i = 0; i < calls[0].size(); ++i) add(calls[calls[0][i].root][i], sent[i]);
    calls[0][0].stream->state().add_group(calls[0].size(), calls.size());
  }
  void all_reduce(int /*rank*/, cuda::GpuStream& /*stream*/, float* /*data*/, std::size_t /*floats*/) override {
    throw std::logic_error("NCCL: the fake has reduces alone");
  }
  void reduce(int rank, cuda::GpuStream& stream, float* data, std::size_t floats, int root) override {
    if (!begun_) throw std::logic_error("NCCL: a reduce outside of a group");
    calls_.at(rank).push_back({static_cast<FakeStream*>(&stream), data, floats, root});
  }
  void broadcast(int /*rank*/, cuda::GpuStream& /*stream*/, float* /*data*/, std::size_t /*floats*/,
                 int /*root*/) override {
    throw std::logic_error("NCCL: the fake has reduces alone");
  }

 private:
  struct Call {
    FakeStream* stream;
    float* data;
    std::size_t floats;
    int root;
  };

  // The `i`th call of each rank: where its data are for the root.
  static std::vector<const float*> send(const std::vector<std::vector<Call>>& calls, std::size_t i) {
    const Call& root = calls.at(calls[0][i].root)[i];
    std::vector<const float*> sent;
    for (const auto& rank : calls) {
      const Call& call = rank[i];
      if (call.floats != root.floats || call.root != root.root) throw std::runtime_error("NCCL: calls do not match");
      sent.push_back(call.data);
      if (&call == &root) continue;
      float* const to = call.stream->state().keep(call.floats);
      sent.back() = to;
      call.stream->push([from = call.data, to, floats = call.floats] { std::copy_n(from, floats, to); });
    }
    return sent;
  }

  static void add(const Call& root, const std::vector<const float*>& sent) {
    root.stream->push([sent, to = root.data, floats = root.floats] {
      for (std::size_t at = 0; at < floats; ++at) {
        float sum = 0;
        for (const float* const from : sent) sum += from[at];
        to[at] = sum;
      }
    });
  }

  std::vector<std::vector<Call>> calls_;  // by rank
  bool begun_ = false;
};

}  // namespace
}  // namespace skua::fake

namespace skua::cuda {

std::unique_ptr<Communicator> make_communicator(const std::vector<const Gpu*>& gpus) {
  return std::make_unique<fake::FakeCommunicator>(distinct_ordinals(gpus).size());
}

}  // namespace skua::cuda
