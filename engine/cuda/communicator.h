// The seam to NCCL: collectives between the GPUs of this process.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runtime.h"

namespace skua::cuda {

// A rank for each GPU of a group. One thread issues: between begin and end each rank's calls, those of one rank in the
// order of the others'; nothing is submitted before end, which waits for none of it. Sums are float32, and have the
// same bits in every run: around a ring of fixed order. Throws std::runtime_error "NCCL: what failed: why".
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual void begin() = 0;
  virtual void end() = 0;
  // In place: all of the group's `data` become their sum.
  virtual void all_reduce(int rank, GpuStream& stream, float* data, std::size_t floats) = 0;
  // In place: the root's `data` becomes the sum.
  virtual void reduce(int rank, GpuStream& stream, float* data, std::size_t floats, int root) = 0;
  // All become the root's.
  virtual void broadcast(int rank, GpuStream& stream, float* data, std::size_t floats, int root) = 0;
};

// Rank r is gpus[r]. Throws std::invalid_argument where two are one GPU or parts of one: NCCL has one rank a GPU.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const std::vector<const Gpu*>& gpus);

}  // namespace skua::cuda
