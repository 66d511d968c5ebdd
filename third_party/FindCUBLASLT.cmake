# cuBLASLt of the CUDA Toolkit, or of NVIDIA_WHEELS where the toolkit has none. Defines CUBLASLT_INCLUDE_DIR and
# CUBLASLT_LIBRARY; Skua loads it and does not link it.
set(wheels ${NVIDIA_WHEELS}/cublas ${NVIDIA_WHEELS}/cu${CUDAToolkit_VERSION_MAJOR})
find_path(CUBLASLT_INCLUDE_DIR cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${wheels} PATH_SUFFIXES include)
find_library(CUBLASLT_LIBRARY NAMES libcublasLt.so.${CUDAToolkit_VERSION_MAJOR}
  HINTS ${CUDAToolkit_LIBRARY_DIR} ${wheels} PATH_SUFFIXES lib)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUBLASLT REQUIRED_VARS CUBLASLT_LIBRARY CUBLASLT_INCLUDE_DIR)
mark_as_advanced(CUBLASLT_INCLUDE_DIR CUBLASLT_LIBRARY)
