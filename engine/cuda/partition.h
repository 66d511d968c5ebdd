// A GPU's multiprocessors in parts, by the driver's green contexts. The driver is reached through the runtime, for it
// is absent where no GPU is.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <vector>

namespace skua::cuda {

// A green context: what runs on its streams runs on its multiprocessors alone. Memory and events are the GPU's, and
// threads leave the GPU's own context current, for a green context can be so on one thread alone.
class Partition {
 public:
  virtual ~Partition() = default;  // REQUIRES: its streams are gone
  [[nodiscard]] virtual int multiprocessors() const = 0;
  [[nodiscard]] virtual cudaStream_t make_stream() = 0;  // which does not wait for the default stream
};

// The multiprocessors of each of `parts` parts of a GPU with `multiprocessors`: a multiple of 8, as sm_90 wants it and
// as keeps clusters of 8 together; 0 where that is too many parts.
[[nodiscard]] constexpr int part_multiprocessors(int multiprocessors, int parts) {
  return multiprocessors / parts / 8 * 8;
}

// `parts` disjoint partitions of equal size. Empty where this GPU or its driver cannot, for which `why` has the reason.
// REQUIRES: the GPU is initialised.
[[nodiscard]] std::vector<std::shared_ptr<Partition>> split(int ordinal, int parts, std::string& why);

}  // namespace skua::cuda
