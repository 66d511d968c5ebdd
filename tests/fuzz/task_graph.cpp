// Task graphs in JSON: the project's own, and partitioning workloads.
#include "task_graphs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return skua::test::fuzz_task_graph("graph.json", skua::test::text_of(data, size));
}
