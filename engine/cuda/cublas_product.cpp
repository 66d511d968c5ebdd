#include "cublas_product.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "cublaslt_library.h"
#include "product_layout.h"

namespace skua::cuda {
namespace {

// What an algorithm may ask for; more does not make products of the models' sizes faster.
constexpr std::size_t kMostWorkspaceBytes = std::size_t{32} << 20;

// Bytes that operands are aligned to: what the fast algorithms need, or no more than a float. Values are aligned, but
// parts of them need not be.
constexpr std::array<std::uint32_t, 2> kAlignments{16, 4};

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(
      fmt::format("cuBLAS: {}: {} ({})", what, cublaslt().cublasLtGetStatusString(status), static_cast<int>(status)));
}

template <auto kDestroy>
struct Destroyer {
  template <class Object>
  void operator()(Object* object) const {
    (cublaslt().*kDestroy)(object);
  }
};
template <class Object, auto kDestroy>
using Owned = std::unique_ptr<Object, Destroyer<kDestroy>>;
using Layout = Owned<cublasLtMatrixLayoutOpaque_t, &CublasLt::cublasLtMatrixLayoutDestroy>;
using Description = Owned<cublasLtMatmulDescOpaque_t, &CublasLt::cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreferenceOpaque_t, &CublasLt::cublasLtMatmulPreferenceDestroy>;

template <class Value>
void set(const Description& description, cublasLtMatmulDescAttributes_t which, const Value& value) {
  check(cublaslt().cublasLtMatmulDescSetAttribute(description.get(), which, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}
template <class Value>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t which, const Value& value) {
  check(cublaslt().cublasLtMatmulPreferenceSetAttribute(preference.get(), which, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute");
}

Layout make_layout(const ColumnProduct::Operand& operand, std::int64_t count) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublaslt().cublasLtMatrixLayoutCreate(&made, CUDA_R_32F, static_cast<std::uint64_t>(operand.rows),
                                              static_cast<std::uint64_t>(operand.columns), operand.leading),
        "cublasLtMatrixLayoutCreate");
  Layout layout(made);
  const auto set_layout = [&](cublasLtMatrixLayoutAttribute_t which, auto value) {
    check(cublaslt().cublasLtMatrixLayoutSetAttribute(made, which, &value, sizeof value),
          "cublasLtMatrixLayoutSetAttribute");
  };
  set_layout(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(count));
  set_layout(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, operand.batch_stride);
  return layout;
}

cublasComputeType_t compute_type(Precision precision) {
  switch (precision) {
    case Precision::kTf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::kBfloat16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
    case Precision::kFloat32:
      break;
  }
  return CUBLAS_COMPUTE_32F;
}

Description make_description(const ColumnProduct& product, Precision precision, bool bias, int multiprocessors) {
  cublasLtMatmulDesc_t made = nullptr;
  check(cublaslt().cublasLtMatmulDescCreate(&made, compute_type(precision), CUDA_R_32F), "cublasLtMatmulDescCreate");
  Description description(made);
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, product.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(description, CUBLASLT_MATMUL_DESC_TRANSB, product.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (multiprocessors > 0) set(description, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, std::int32_t{multiprocessors});
  if (bias) {
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    // Algorithms are asked for before there is a bias, and there are none for a null one.
    set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, std::uintptr_t{256});
  }
  return description;
}

class Product final : public Prepared {
 public:
  Product(std::shared_ptr<cublasLtContext> handle, const ProductSpec& spec, Precision precision, int multiprocessors)
      : handle_(std::move(handle)), beta_(spec.beta), bias_(spec.bias) {
    const ColumnProduct product = by_columns(spec);
    description_ = make_description(product, precision, spec.bias, multiprocessors);
    a_ = make_layout(product.a, spec.count);
    b_ = make_layout(product.b, spec.count);
    d_ = make_layout(product.d, spec.count);
    for (std::size_t i = 0; i < kAlignments.size(); ++i) algorithms_[i] = choose(kAlignments[i], spec);
  }

  [[nodiscard]] std::size_t workspace_bytes() const override {
    return std::max(algorithms_[0].workspaceSize, algorithms_[1].workspaceSize);
  }

  void run(GpuStream& stream, const void* a, const void* b, const void* bias, void* y, void* workspace) override {
    if (bias_) set(description_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const auto bits = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) |
                      reinterpret_cast<std::uintptr_t>(bias) | reinterpret_cast<std::uintptr_t>(y);
    const cublasLtMatmulHeuristicResult_t& algorithm = algorithms_[bits % kAlignments[0] == 0 ? 0 : 1];
    const float one = 1;
    check(cublaslt().cublasLtMatmul(handle_.get(), description_.get(), &one, b, a_.get(), a, b_.get(), &beta_, y,
                                    d_.get(), y, d_.get(), &algorithm.algo, workspace, algorithm.workspaceSize,
                                    static_cast<cudaStream_t>(stream.native())),
          "cublasLtMatmul");
  }

 private:
  // cuBLASLt's first choice. Of the ways to sum a split inner dimension only that one is allowed that keeps the sums of
  // the splits in the workspace and adds them up, in float32 and in order, when all are there.
  [[nodiscard]] cublasLtMatmulHeuristicResult_t choose(std::uint32_t alignment, const ProductSpec& spec) const {
    cublasLtMatmulPreference_t made = nullptr;
    check(cublaslt().cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
    const Preference preference(made);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspaceBytes);
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      set(preference, which, alignment);
    }
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status =
        cublaslt().cublasLtMatmulAlgoGetHeuristic(handle_.get(), description_.get(), a_.get(), b_.get(), d_.get(),
                                                  d_.get(), preference.get(), 1, &result, &found);
    if (status == CUBLAS_STATUS_SUCCESS && found == 1) return result;
    throw std::runtime_error(fmt::format("cuBLAS: no algorithm for a product of ({},{}) by ({},{}): {}", spec.rows,
                                         spec.inner, spec.inner, spec.columns,
                                         cublaslt().cublasLtGetStatusString(status)));
  }

  const std::shared_ptr<cublasLtContext> handle_;
  const float beta_;
  const bool bias_;
  Description description_;
  Layout a_;  // as cuBLASLt counts them: that of b
  Layout b_;
  Layout d_;
  std::array<cublasLtMatmulHeuristicResult_t, kAlignments.size()> algorithms_{};
};

std::shared_ptr<cublasLtContext> make_handle() {
  cublasLtHandle_t handle = nullptr;
  check(cublaslt().cublasLtCreate(&handle), "cublasLtCreate");
  return {handle, [](cublasLtHandle_t made) { cublaslt().cublasLtDestroy(made); }};
}

}  // namespace

Products::Products(Precision precision, int multiprocessors)
    : precision_(precision), multiprocessors_(multiprocessors), handle_(make_handle()) {}

std::unique_ptr<Prepared> Products::prepare(const ProductSpec& spec) const {
  return std::make_unique<Product>(handle_, spec, precision_, multiprocessors_);
}

}  // namespace skua::cuda
