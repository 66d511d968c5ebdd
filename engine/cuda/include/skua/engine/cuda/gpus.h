// This machine's GPUs as the CUDA runtime lists them; nothing is opened. Any thread.
#pragma once

#include <string>
#include <vector>

namespace skua {

struct GpuDescription {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int ordinal = 0;
  int multiprocessors = 0;
  double memory_bytes = 0;
};

struct GpuList {
  std::vector<GpuDescription> gpus;
  std::string why;       // where there is none, in the driver's words
  std::string versions;  // "CUDA 13.0, driver 580.95.05, cuDNN 9.19.0, NCCL 2.28.9"
};

[[nodiscard]] GpuList list_gpus();

}  // namespace skua
