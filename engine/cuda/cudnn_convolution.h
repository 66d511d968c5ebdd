// Convolutions by cuDNN.
#pragma once

#include <memory>

#include "libraries.h"

namespace skua::cuda {

// The same bits in every run: algorithms are taken in a fixed order, and none of them sums by whoever comes first. In
// TF32 where the precision is kTf32 or kBfloat16, which cuDNN has no convolutions of float32 values in. Any thread.
class Convolutions {
 public:
  explicit Convolutions(Precision precision);  // for the calling thread's GPU
  [[nodiscard]] std::unique_ptr<Prepared> prepare(ConvolutionPass pass, const Window2d& window) const;
  struct Handle;

 private:
  const Precision precision_;
  const std::shared_ptr<Handle> handle_;
};

}  // namespace skua::cuda
