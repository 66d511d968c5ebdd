# cuDNN, which comes without a CMake package. Defines CUDNN::cudnn and CUDNN_VERSION. Looks beside the CUDA Toolkit, and
# in NVIDIA_WHEELS, a folder of NVIDIA's Python wheels, which hold libraries under their versioned names alone.
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${NVIDIA_WHEELS}/cudnn ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(CUDNN_LIBRARY NAMES libcudnn.so.9 cudnn
  HINTS ${NVIDIA_WHEELS}/cudnn ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib)
if(CUDNN_INCLUDE_DIR AND EXISTS ${CUDNN_INCLUDE_DIR}/cudnn_version.h)
  file(STRINGS ${CUDNN_INCLUDE_DIR}/cudnn_version.h lines REGEX "define CUDNN_(MAJOR|MINOR|PATCHLEVEL) [0-9]")
  string(REGEX REPLACE "[^0-9;]" "" CUDNN_VERSION "${lines}")
  string(REPLACE ";" "." CUDNN_VERSION "${CUDNN_VERSION}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUDNN REQUIRED_VARS CUDNN_LIBRARY CUDNN_INCLUDE_DIR VERSION_VAR CUDNN_VERSION)
if(CUDNN_FOUND AND NOT TARGET CUDNN::cudnn)
  add_library(CUDNN::cudnn UNKNOWN IMPORTED)
  set_target_properties(CUDNN::cudnn PROPERTIES
    IMPORTED_LOCATION ${CUDNN_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CUDNN_INCLUDE_DIR})
endif()
mark_as_advanced(CUDNN_INCLUDE_DIR CUDNN_LIBRARY)
