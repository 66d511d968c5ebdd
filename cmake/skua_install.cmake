# What find_package(skua) finds: the libraries that skua_library() exports and skua::skua, which links them all.
include(CMakePackageConfigHelpers)

add_library(skua_skua INTERFACE)
add_library(skua::skua ALIAS skua_skua)
set_target_properties(skua_skua PROPERTIES EXPORT_NAME skua)
target_link_libraries(skua_skua INTERFACE skua::layers skua::cpu skua::engine skua::scheduler skua::graph)
if(SKUA_HAS_CUDA)
  target_link_libraries(skua_skua INTERFACE skua::cuda)
endif()
install(TARGETS skua_skua EXPORT skuaTargets)

set(skua_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/skua)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/skuaConfig.cmake.in ${PROJECT_BINARY_DIR}/skuaConfig.cmake
  INSTALL_DESTINATION ${skua_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/skuaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT skuaTargets NAMESPACE skua:: DESTINATION ${skua_package_dir})
install(FILES
  ${PROJECT_BINARY_DIR}/skuaConfig.cmake
  ${PROJECT_BINARY_DIR}/skuaConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/third_party/FindCBC.cmake
  ${PROJECT_SOURCE_DIR}/third_party/FindCUDNN.cmake
  ${PROJECT_SOURCE_DIR}/third_party/FindDNNL.cmake
  ${PROJECT_SOURCE_DIR}/third_party/FindNCCL.cmake
  DESTINATION ${skua_package_dir})
