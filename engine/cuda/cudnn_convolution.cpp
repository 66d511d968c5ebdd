#include "cudnn_convolution.h"

#include <cudnn.h>
#include <fmt/format.h>

#include <cassert>
#include <mutex>
#include <span>
#include <stdexcept>

namespace skua::cuda {
namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw std::runtime_error(fmt::format("cuDNN: {}: {}", what, cudnnGetErrorString(status)));
}

template <class Object, cudnnStatus_t (*Destroy)(Object*)>
struct Destroyer {
  void operator()(Object* object) const { Destroy(object); }
};
template <class Object, cudnnStatus_t (*Destroy)(Object*)>
using Owned = std::unique_ptr<Object, Destroyer<Object, Destroy>>;
using TensorDescription = Owned<cudnnTensorStruct, cudnnDestroyTensorDescriptor>;
using FilterDescription = Owned<cudnnFilterStruct, cudnnDestroyFilterDescriptor>;
using ConvolutionDescription = Owned<cudnnConvolutionStruct, cudnnDestroyConvolutionDescriptor>;

// Extents, each of which is below 2^31.
std::array<int, 4> ints(const Shape& shape) {
  std::array<int, 4> extents{};
  for (std::size_t i = 0; i < extents.size(); ++i) extents[i] = static_cast<int>(shape[i]);
  return extents;
}

TensorDescription describe_tensor(const Shape& shape) {
  cudnnTensorDescriptor_t made = nullptr;
  check(cudnnCreateTensorDescriptor(&made), "cudnnCreateTensorDescriptor");
  TensorDescription description(made);
  const auto [n, c, h, w] = ints(shape);
  check(cudnnSetTensor4dDescriptor(made, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, n, c, h, w),
        "cudnnSetTensor4dDescriptor");
  return description;
}

FilterDescription describe_filter(const Shape& shape) {
  cudnnFilterDescriptor_t made = nullptr;
  check(cudnnCreateFilterDescriptor(&made), "cudnnCreateFilterDescriptor");
  FilterDescription description(made);
  const auto [k, c, h, w] = ints(shape);
  check(cudnnSetFilter4dDescriptor(made, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, k, c, h, w),
        "cudnnSetFilter4dDescriptor");
  return description;
}

ConvolutionDescription describe_convolution(const Window2d& window, Precision precision) {
  cudnnConvolutionDescriptor_t made = nullptr;
  check(cudnnCreateConvolutionDescriptor(&made), "cudnnCreateConvolutionDescriptor");
  ConvolutionDescription description(made);
  check(
      cudnnSetConvolution2dDescriptor(made, static_cast<int>(window.pad_top), static_cast<int>(window.pad_left),
                                      static_cast<int>(window.stride_height), static_cast<int>(window.stride_width),
                                      static_cast<int>(window.dilation_height), static_cast<int>(window.dilation_width),
                                      CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
      "cudnnSetConvolution2dDescriptor");
  check(cudnnSetConvolutionGroupCount(made, static_cast<int>(window.groups)), "cudnnSetConvolutionGroupCount");
  const bool full = precision == Precision::kFloat32;
  check(cudnnSetConvolutionMathType(made, full ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH), "cudnnSetConvolutionMathType");
  return description;
}

// The algorithms that give the same bits in every run, by preference.
constexpr std::array kForward{CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                              CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_GEMM};
constexpr std::array kBackwardData{CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
                                   CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED};
constexpr std::array kBackwardWeight{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
                                     CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED};

}  // namespace

// cuDNN's handle belongs to one thread and stream at a time.
struct Convolutions::Handle {
  Handle() { check(cudnnCreate(&handle), "cudnnCreate"); }
  ~Handle() { cudnnDestroy(handle); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  std::mutex mutex;
  cudnnHandle_t handle = nullptr;
};

namespace {

class Convolution final : public Prepared {
 public:
  Convolution(std::shared_ptr<Convolutions::Handle> handle, ConvolutionPass pass, const Window2d& window,
              Precision precision)
      : handle_(std::move(handle)),
        pass_(pass),
        x_(describe_tensor(window.input_shape())),
        weight_(describe_filter(window.weight_shape())),
        y_(describe_tensor(window.output_shape())),
        window_(describe_convolution(window, precision)) {
    assert(window.pad_top == window.pad_bottom && window.pad_left == window.pad_right);
    const std::scoped_lock lock(handle_->mutex);
    cudnnHandle_t cudnn = handle_->handle;
    switch (pass) {
      case ConvolutionPass::kForward:
        forward_ = first(kForward, "Forward", [&](auto algorithm) {
          return cudnnGetConvolutionForwardWorkspaceSize(cudnn, x_.get(), weight_.get(), window_.get(), y_.get(),
                                                         algorithm, &workspace_bytes_);
        });
        break;
      case ConvolutionPass::kBackwardData:
        backward_data_ = first(kBackwardData, "BackwardData", [&](auto algorithm) {
          return cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn, weight_.get(), y_.get(), window_.get(), x_.get(),
                                                              algorithm, &workspace_bytes_);
        });
        break;
      case ConvolutionPass::kBackwardWeight:
        backward_weight_ = first(kBackwardWeight, "BackwardFilter", [&](auto algorithm) {
          return cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn, x_.get(), y_.get(), window_.get(), weight_.get(),
                                                                algorithm, &workspace_bytes_);
        });
        break;
    }
  }

  [[nodiscard]] std::size_t workspace_bytes() const override { return workspace_bytes_; }

  void run(GpuStream& stream, const void* a, const void* b, const void* /*bias*/, void* y, void* workspace) override {
    const std::scoped_lock lock(handle_->mutex);
    cudnnHandle_t cudnn = handle_->handle;
    check(cudnnSetStream(cudnn, static_cast<cudaStream_t>(stream.native())), "cudnnSetStream");
    const float one = 1;
    const float zero = 0;
    switch (pass_) {
      case ConvolutionPass::kForward:
        check(cudnnConvolutionForward(cudnn, &one, x_.get(), a, weight_.get(), b, window_.get(), forward_, workspace,
                                      workspace_bytes_, &zero, y_.get(), y),
              "cudnnConvolutionForward");
        break;
      case ConvolutionPass::kBackwardData:
        check(cudnnConvolutionBackwardData(cudnn, &one, weight_.get(), b, y_.get(), a, window_.get(), backward_data_,
                                           workspace, workspace_bytes_, &zero, x_.get(), y),
              "cudnnConvolutionBackwardData");
        break;
      case ConvolutionPass::kBackwardWeight:
        check(cudnnConvolutionBackwardFilter(cudnn, &one, x_.get(), a, y_.get(), b, window_.get(), backward_weight_,
                                             workspace, workspace_bytes_, &zero, weight_.get(), y),
              "cudnnConvolutionBackwardFilter");
        break;
    }
  }

 private:
  // The first that supports the configuration; `workspace_of` asks cuDNN for its workspace.
  template <class Algorithm, std::size_t kCount, class WorkspaceOf>
  static Algorithm first(const std::array<Algorithm, kCount>& algorithms, const char* pass, WorkspaceOf workspace_of) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    for (const Algorithm algorithm : algorithms) {
      status = workspace_of(algorithm);
      if (status == CUDNN_STATUS_SUCCESS) return algorithm;
    }
    throw std::runtime_error(
        fmt::format("cuDNN: cudnnGetConvolution{}WorkspaceSize: {}", pass, cudnnGetErrorString(status)));
  }

  const std::shared_ptr<Convolutions::Handle> handle_;
  const ConvolutionPass pass_;
  const TensorDescription x_;
  const FilterDescription weight_;
  const TensorDescription y_;
  const ConvolutionDescription window_;
  cudnnConvolutionFwdAlgo_t forward_{};
  cudnnConvolutionBwdDataAlgo_t backward_data_{};
  cudnnConvolutionBwdFilterAlgo_t backward_weight_{};
  std::size_t workspace_bytes_ = 0;
};

}  // namespace

Convolutions::Convolutions(Precision precision) : precision_(precision), handle_(std::make_shared<Handle>()) {}

std::unique_ptr<Prepared> Convolutions::prepare(ConvolutionPass pass, const Window2d& window) const {
  return std::make_unique<Convolution>(handle_, pass, window, precision_);
}

}  // namespace skua::cuda
