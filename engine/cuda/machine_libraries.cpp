#include "machine_libraries.h"

#include <cudnn.h>
#include <fmt/format.h>
#include <nccl.h>

#include "cublas_product.h"
#include "cudnn_convolution.h"

namespace skua::cuda {
namespace {

class MachineLibraries final : public Libraries {
 public:
  MachineLibraries(Precision precision, int multiprocessors)
      : products_(precision, multiprocessors), convolutions_(precision) {}
  [[nodiscard]] std::unique_ptr<Prepared> product(const ProductSpec& spec) override { return products_.prepare(spec); }
  [[nodiscard]] std::unique_ptr<Prepared> convolution(ConvolutionPass pass, const Window2d& window) override {
    return convolutions_.prepare(pass, window);
  }

 private:
  const Products products_;
  const Convolutions convolutions_;
};

}  // namespace

std::unique_ptr<Libraries> make_machine_libraries(Precision precision, int multiprocessors) {
  return std::make_unique<MachineLibraries>(precision, multiprocessors);
}

std::string library_versions() {
  const std::size_t cudnn = cudnnGetVersion();
  int nccl = 0;
  ncclGetVersion(&nccl);
  return fmt::format("cuDNN {}.{}.{}, NCCL {}.{}.{}", cudnn / 10000, cudnn % 10000 / 100, cudnn % 100, nccl / 10000,
                     nccl % 10000 / 100, nccl % 100);
}

}  // namespace skua::cuda
