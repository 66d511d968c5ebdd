# COIN-OR's solvers, which Debian ships without CMake packages. Defines CBC::cbc: the mixed integer solver with the
# linear one (CLP), its interface and its cuts.
find_path(CBC_INCLUDE_DIR CbcModel.hpp PATH_SUFFIXES coin coin-or)
set(CBC_LIBRARIES)
set(cbc_required CBC_INCLUDE_DIR)
foreach(part Cbc Cgl OsiClp Clp Osi CoinUtils)
  find_library(CBC_${part}_LIBRARY ${part})
  list(APPEND CBC_LIBRARIES ${CBC_${part}_LIBRARY})
  list(APPEND cbc_required CBC_${part}_LIBRARY)
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CBC REQUIRED_VARS ${cbc_required})
if(CBC_FOUND AND NOT TARGET CBC::cbc)
  add_library(CBC::cbc INTERFACE IMPORTED)
  set_target_properties(CBC::cbc PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${CBC_INCLUDE_DIR} INTERFACE_LINK_LIBRARIES "${CBC_LIBRARIES}")
endif()
mark_as_advanced(${cbc_required})
