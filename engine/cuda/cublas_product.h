// Matrix products by cuBLASLt.
#pragma once

#include <memory>

#include "libraries.h"

struct cublasLtContext;

namespace skua::cuda {

// The same bits in every run on GPUs of one model, and on parts of equal size: algorithms are chosen by the shapes
// alone, never by a timing; those that sum the parts of a split inner dimension in the output, whoever comes first, are
// left out; and each product has a workspace of its own. Any thread.
class Products {
 public:
  // For the calling thread's GPU. `multiprocessors` of it are to be used; 0: all of them.
  Products(Precision precision, int multiprocessors);
  [[nodiscard]] std::unique_ptr<Prepared> prepare(const ProductSpec& spec) const;

 private:
  const Precision precision_;
  const int multiprocessors_;
  const std::shared_ptr<cublasLtContext> handle_;
};

}  // namespace skua::cuda
