#include "collectives.h"

#include <vector>

#include "communicator.h"
#include "cuda_stream.h"

namespace skua::cuda {
namespace {

std::vector<const Gpu*> owners(const std::vector<CudaStream*>& streams) {
  std::vector<const Gpu*> gpus;
  for (const CudaStream* const stream : streams) gpus.push_back(&stream->owner());
  return gpus;
}

class CudaCollectives final : public Collectives {
 public:
  explicit CudaCollectives(std::vector<CudaStream*> streams)
      : streams_(std::move(streams)), communicator_(make_communicator(owners(streams_))) {}

  void reduce(std::span<const Sum> sums) override {
    communicator_->begin();
    try {
      for (const Sum& sum : sums) submit(sum);
    } catch (...) {
      abandon();
      throw;
    }
    communicator_->end();
  }

 private:
  void submit(const Sum& sum) {
    for (std::size_t rank = 0; rank < streams_.size(); ++rank) {
      communicator_->reduce(static_cast<int>(rank), streams_[rank]->gpu(), sum.data[rank], sum.floats,
                            static_cast<int>(sum.root));
    }
  }
  // The next group can begin.
  void abandon() noexcept {
    try {
      communicator_->end();
    } catch (...) {  // what made the group fail is what the caller learns
    }
  }

  const std::vector<CudaStream*> streams_;
  const std::unique_ptr<Communicator> communicator_;
};

}  // namespace

std::unique_ptr<Collectives> make_collectives(std::span<Stream* const> streams) {
  std::vector<CudaStream*> all;
  for (Stream* const stream : streams) all.push_back(static_cast<CudaStream*>(stream));
  return std::make_unique<CudaCollectives>(std::move(all));
}

}  // namespace skua::cuda
