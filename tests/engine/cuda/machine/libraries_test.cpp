// cuBLASLt's products against plain loops; convolutions are compared by the tests of operators.
#include "libraries.h"

#include "first_gpu.h"
#include "naive_product.h"

namespace skua::test {
namespace {

class LibrariesOnGpu : public FirstGpu {};

TEST_F(LibrariesOnGpu, ProductsAreThoseOfPlainLoops) {
  const auto libraries = gpu_->make_libraries(cuda::Precision::kFloat32);
  for (const ProductProblem& problem : product_problems()) {
    const auto product = libraries->product(problem.spec);
    void* workspace = put(std::vector<float>(product->workspace_bytes() / sizeof(float) + 1));
    void* y = put(problem.y);
    const void* bias = problem.spec.bias ? put(problem.bias) : nullptr;
    product->run(*stream_, put(problem.a), put(problem.b), bias, y, workspace);
    const std::vector<float> got = get(y, problem.y.size());
    const std::vector<double> expected = naive_product(problem);
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], expected[i], 1e-6 * static_cast<double>(problem.spec.inner + 1)) << i;
    }
  }
}

TEST_F(LibrariesOnGpu, ProductsTakeOperandsThatAreAlignedToAFloat) {
  const ProductProblem problem = make_problem(64, 64, 64, false, false, 1, 0, false, false);
  const auto product = gpu_->make_libraries(cuda::Precision::kFloat32)->product(problem.spec);
  void* workspace = put(std::vector<float>(product->workspace_bytes() / sizeof(float) + 1));
  std::vector<float> shifted{0};
  shifted.insert(shifted.end(), problem.a.begin(), problem.a.end());
  void* y = put(problem.y);
  product->run(*stream_, static_cast<const float*>(put(shifted)) + 1, put(problem.b), nullptr, y, workspace);
  const std::vector<float> got = get(y, problem.y.size());
  const std::vector<double> expected = naive_product(problem);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-4) << i;
}

}  // namespace
}  // namespace skua::test
