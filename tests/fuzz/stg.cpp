// Task graphs in the form of the standard task graph set.
#include "task_graphs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return skua::test::fuzz_task_graph("graph.stg", skua::test::text_of(data, size));
}
