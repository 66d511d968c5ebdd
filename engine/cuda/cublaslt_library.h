// cuBLASLt's functions, loaded when first used: a program that links them takes 0.15 s and 200 MB more to start, also
// where it uses no GPU. Any thread.
#pragma once

#include <cublasLt.h>

namespace skua::cuda {

class CublasLt {
  void* const library_ = open();  // stays: what was made may outlive everything here

 public:
#define SKUA_CUBLASLT(name) decltype(&::name) const name = reinterpret_cast<decltype(&::name)>(find(#name))
  SKUA_CUBLASLT(cublasLtCreate);
  SKUA_CUBLASLT(cublasLtDestroy);
  SKUA_CUBLASLT(cublasLtGetStatusString);
  SKUA_CUBLASLT(cublasLtMatmul);
  SKUA_CUBLASLT(cublasLtMatmulAlgoGetHeuristic);
  SKUA_CUBLASLT(cublasLtMatmulDescCreate);
  SKUA_CUBLASLT(cublasLtMatmulDescDestroy);
  SKUA_CUBLASLT(cublasLtMatmulDescSetAttribute);
  SKUA_CUBLASLT(cublasLtMatmulPreferenceCreate);
  SKUA_CUBLASLT(cublasLtMatmulPreferenceDestroy);
  SKUA_CUBLASLT(cublasLtMatmulPreferenceSetAttribute);
  SKUA_CUBLASLT(cublasLtMatrixLayoutCreate);
  SKUA_CUBLASLT(cublasLtMatrixLayoutDestroy);
  SKUA_CUBLASLT(cublasLtMatrixLayoutSetAttribute);
#undef SKUA_CUBLASLT

 private:
  // Throw std::runtime_error.
  [[nodiscard]] static void* open();
  [[nodiscard]] void* find(const char* name) const;
};

[[nodiscard]] const CublasLt& cublaslt();

}  // namespace skua::cuda
