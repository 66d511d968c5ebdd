#include "check.h"

#include <fmt/format.h>

#include <new>
#include <stdexcept>

#include "skua/engine/device.h"

namespace skua::cuda {
namespace {

// Errors that stay: every later call returns them, and only a new process can use the GPU again.
bool is_lasting(cudaError_t status) {
  switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorContained:
    case cudaErrorMpsClientTerminated:
    case cudaErrorContextIsDestroyed:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // a later launch's check is not to find it again
  if (status == cudaErrorMemoryAllocation) throw std::bad_alloc();
  const std::string text = fmt::format("CUDA: {}: {} ({})", what, cudaGetErrorString(status), static_cast<int>(status));
  if (is_lasting(status)) throw DeviceLost(text);
  throw std::runtime_error(text);
}

}  // namespace skua::cuda
