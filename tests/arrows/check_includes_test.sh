#!/bin/sh
# The checker itself, on made-up trees: one that obeys, and that tree with one bad include each.
set -eu
checker="$(dirname "$0")/check_includes.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

put() { mkdir -p "$tree/$(dirname "$1")" && printf '#pragma once\n%s\n' "$2" >"$tree/$1"; }

# expect STATUS FILE INCLUDE: the tree with this file's include gives the status; 1 must name the file.
expect() {
  rm -rf "${tree:?}"/*
  put graph/include/skua/graph/graph.h '#include <vector>'
  put graph/graph.cpp '#include "graph.pb.h"'
  put "$2" "$3"
  status=0
  output=$(sh "$checker" "$tree") || status=$?
  if [ "$status" -ne "$1" ]; then
    echo "expected status $1, got $status: $2: $3"
    failures=$((failures + 1))
  elif [ "$status" -eq 1 ] && ! echo "$output" | grep -q "^$2:2: "; then
    echo "expected the violation's place, got $output"
    failures=$((failures + 1))
  fi
}

expect 0 scheduler/plan.cpp '#include "skua/graph/graph.h"'
expect 0 scheduler/policies/heft.cpp '#include "../plan.h"'
expect 0 scheduler/files.cpp '#include <nlohmann/json.hpp>'
expect 0 scheduler/parallel.cpp '#include <tbb/parallel_for.h>'
expect 0 engine/executor.cpp '#include <tbb/task_arena.h>'
expect 0 engine/cpu/kernels/relu.cpp '#include "../kernel.h"'
expect 0 engine/cpu/onednn.h '#include <oneapi/dnnl/dnnl.hpp>'
expect 0 engine/cpu/include/skua/engine/cpu/cpu_device.h '#include "skua/engine/device.h"'
expect 0 engine/cuda/kernels/relu.cu '#include "launch.h"'
expect 0 engine/cuda/kernels/relu.cu '#include "skua/engine/elementwise.h"'
expect 0 engine/cuda/device/launch.h '#include <cuda_runtime.h>'
expect 0 engine/cuda/cublas_product.cpp '#include <cublasLt.h>'
expect 0 layers/devices.cpp '#include "skua/engine/cuda/cuda_device.h"'
expect 0 layers/model.cpp '#include "skua/engine/cpu/cpu_device.h"'
expect 0 layers/include/skua/skua.h '#include "skua/layers/model.h"'
expect 0 examples/cli/main.cpp '#include <skua/skua.h>'

expect 1 graph/shape.cpp '#include "skua/scheduler/plan.h"'
expect 1 graph/shape.cpp '  #  include <skua/scheduler/plan.h>'
expect 1 scheduler/plan.cpp '#include "skua/engine/device.h"'
expect 1 scheduler/policies/heft.cpp '#include "../../engine/executor.h"'
expect 1 scheduler/plan.cpp '#include "engine/executor.h"'
expect 1 scheduler/include/skua/scheduler/policy.h '#include <tbb/parallel_for.h>'
expect 1 scheduler/include/skua/scheduler/policy.h '#include <oneapi/tbb/parallel_for.h>'
expect 1 engine/session.cpp '#include "skua/layers/dataset.h"'
expect 1 engine/session.cpp '#include "skua/engine/cpu/cpu_device.h"'
expect 1 engine/session.cpp '#include "cpu/kernel.h"'
expect 1 engine/cpu/kernel.cpp '#include "skua/engine/cuda/cuda_device.h"'
expect 1 engine/cuda/cuda_device.cu '#include "../cpu/kernel.h"'
expect 1 engine/cuda/kernels/relu.cu '#include "skua/layers/model.h"'
expect 1 engine/cuda/kernels/relu.cu '#include "../../cpu/parallel.h"'
expect 1 engine/session.cpp '#include "skua/engine/cuda/cuda_device.h"'
expect 1 engine/session.cpp '#include <cuda_runtime_api.h>'
expect 1 engine/cpu/kernel.cpp '#include <cublasLt.h>'
expect 1 layers/model.cpp '#include <cudaTypedefs.h>'
expect 1 examples/cli/list.cu '#include <nccl.h>'
expect 1 engine/cuda/include/skua/engine/cuda/gpus.h '#include <cublasLt.h>'
expect 1 layers/model.cpp '#include "../examples/cli/options.h"'
expect 1 layers/model.cpp '#include "skua/examples/cli.h"'
expect 1 engine/session.cpp '#include <skua/skua.h>'
expect 1 layers/model.cpp '#include "tests/layers/dataset_rows.h"'

expect 1 engine/include/skua/engine/executor.h '#include <tbb/task_arena.h>'
expect 1 engine/include/skua/engine/executor.h '#include <oneapi/tbb.h>'
expect 1 engine/cpu/include/skua/engine/cpu/cpu_device.h '#include <oneapi/dnnl/dnnl.hpp>'
expect 1 engine/cpu/include/skua/engine/cpu/cpu_device.h '#include <dnnl.hpp>'
expect 1 engine/cuda/include/skua/engine/cuda/cuda_device.h '#include <cuda_runtime.h>'
expect 1 scheduler/include/skua/scheduler/plan.h '#include "scheduler.pb.h"'
expect 1 scheduler/include/skua/scheduler/plan.h '#include <google/protobuf/message.h>'
expect 1 scheduler/include/skua/scheduler/plan.h '#include <nlohmann/json.hpp>'
expect 1 layers/include/skua/layers/model.h '#include <fmt/format.h>'
expect 1 graph/graph_file.cpp '#include <tbb/parallel_for.h>'
expect 1 scheduler/simulator.cpp '#include <cuda.h>'
expect 1 scheduler/simulator.cpp '#include <omp.h>'
expect 1 scheduler/simulator.cpp '#include "dnnl.hpp"'
expect 1 scheduler/simulator.cpp '#include HEADER'

rm -rf "${tree:?}"/*
status=0
sh "$checker" "$tree" >/dev/null 2>&1 || status=$?
[ "$status" -eq 2 ] || { echo "expected status 2 for an empty tree, got $status"; failures=$((failures + 1)); }
[ "$failures" -eq 0 ] || exit 1
echo "the checker finds what it should"
