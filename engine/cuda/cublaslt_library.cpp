#include "cublaslt_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <stdexcept>

namespace skua::cuda {

// By its name where the system or the program's RUNPATH knows it, else where it was found when Skua was built.
void* CublasLt::open() {
  for (const char* name : {SKUA_CUBLASLT_NAME, SKUA_CUBLASLT_PATH}) {
    if (void* library = dlopen(name, RTLD_LAZY)) return library;
  }
  throw std::runtime_error(fmt::format("cuBLAS: {}", dlerror()));
}

void* CublasLt::find(const char* name) const {
  if (void* found = dlsym(library_, name)) return found;
  throw std::runtime_error(fmt::format("cuBLAS: {}", dlerror()));
}

const CublasLt& cublaslt() {
  static const CublasLt library;
  return library;
}

}  // namespace skua::cuda
