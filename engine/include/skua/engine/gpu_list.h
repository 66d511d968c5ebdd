// This machine's GPUs, as `skua devices` shows them. Plain values.
#pragma once

#include <string>
#include <vector>

namespace skua {

struct GpuDescription {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int ordinal = 0;   // cuda:ORDINAL opens it
  int multiprocessors = 0;
  double memory_bytes = 0;
};

struct GpuList {
  std::vector<GpuDescription> gpus;
  std::string why;       // there is none, in the driver's words where it was asked
  std::string versions;  // "CUDA 13.0, driver 580.95.05, cuDNN 9.19.0, NCCL 2.28.9"; empty: built without CUDA
};

}  // namespace skua
