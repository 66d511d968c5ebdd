# Installed shared libraries, and programs beside them, find each other.
set(CMAKE_INSTALL_RPATH $ORIGIN $ORIGIN/../${CMAKE_INSTALL_LIBDIR})

# skua_library(NAME SOURCES ... PUBLIC ... PRIVATE ...): one library per folder, skua_NAME with the alias skua::NAME.
# Public headers stand in include/ of the folder; .proto files among the sources are compiled for the folder alone.
function(skua_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target skua_${name})
  set(protos ${arg_SOURCES})
  list(FILTER protos INCLUDE REGEX "\\.proto$")
  list(FILTER arg_SOURCES EXCLUDE REGEX "\\.proto$")

  add_library(${target} ${arg_SOURCES})
  add_library(skua::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  skua_warnings(${target})

  if(protos)
    # Generated code is not ours to warn about: it is an object library of its own.
    add_library(${target}_proto OBJECT ${protos})
    set_target_properties(${target}_proto PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(${target}_proto PUBLIC protobuf::libprotobuf)
    target_include_directories(${target}_proto PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}>)
    protobuf_generate(TARGET ${target}_proto LANGUAGE cpp IMPORT_DIRS ${CMAKE_CURRENT_SOURCE_DIR})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_proto>)
    target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
    target_link_libraries(${target} PRIVATE protobuf::libprotobuf)
    add_dependencies(${target} ${target}_proto)
  endif()

  install(TARGETS ${target} EXPORT skuaTargets)
  install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endfunction()

function(skua_warnings target)
  set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 at -O3 and under sanitizers suspects the inside of std::vector.
    list(APPEND warnings -Wno-maybe-uninitialized)
  endif()
  if(SKUA_WARNINGS_AS_ERRORS)
    list(APPEND warnings -Werror)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
  endif()
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${warnings}>)
  # What nvcc hands to the host's compiler is not pedantic C++.
  list(REMOVE_ITEM warnings -Wpedantic)
  list(JOIN warnings "," warnings)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${warnings}>)
endfunction()
