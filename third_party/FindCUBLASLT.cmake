# cuBLASLt of the CUDA Toolkit, or of NVIDIA_WHEELS where the toolkit has none. Defines CUDA::cublasLt.
if(TARGET CUDA::cublasLt)
  get_target_property(CUBLASLT_LIBRARY CUDA::cublasLt IMPORTED_LOCATION)
  set(CUBLASLT_INCLUDE_DIR ${CUDAToolkit_INCLUDE_DIRS})
else()
  set(major ${CUDAToolkit_VERSION_MAJOR})
  set(wheels ${NVIDIA_WHEELS}/cublas ${NVIDIA_WHEELS}/cu${major})
  find_path(CUBLASLT_INCLUDE_DIR cublasLt.h HINTS ${wheels} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  find_library(CUBLASLT_LIBRARY NAMES libcublasLt.so.${major} HINTS ${wheels} ${CUDAToolkit_LIBRARY_DIR}
    PATH_SUFFIXES lib)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUBLASLT REQUIRED_VARS CUBLASLT_LIBRARY CUBLASLT_INCLUDE_DIR)
if(CUBLASLT_FOUND AND NOT TARGET CUDA::cublasLt)
  add_library(CUDA::cublasLt UNKNOWN IMPORTED)
  set_target_properties(CUDA::cublasLt PROPERTIES
    IMPORTED_LOCATION ${CUBLASLT_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CUBLASLT_INCLUDE_DIR})
endif()
mark_as_advanced(CUBLASLT_INCLUDE_DIR CUBLASLT_LIBRARY)
