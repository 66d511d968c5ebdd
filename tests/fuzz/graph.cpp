// Saved graphs, in JSON where they begin with a brace, else binary.
#include "skua/graph/graph.h"

#include <cmath>

#include "fuzz.h"
#include "skua/graph/autodiff.h"
#include "skua/graph/graph_file.h"
#include "skua/graph/op_registry.h"
#include "skua/scheduler/task_graph.h"

namespace skua::test {
namespace {

void use(const Graph& graph) {
  (void)to_dot(graph);
  for (const Node& node : graph.nodes()) {
    const OpCost cost = cost_of(graph, node);
    require(cost.flops >= 0 && cost.bytes >= 0, "a cost of 0 or more");
  }
  for (const int micro_batches : {1, 3}) {
    attempt([&] { (void)TaskGraph(graph, micro_batches); });
  }
  if (graph.outputs().empty()) return;
  attempt([&] {
    Graph differentiated = graph;
    (void)append_gradients(differentiated, graph.outputs().front());
  });
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const bool json = size > 0 && data[0] == '{';
  const std::string path = fuzz_folder().write(json ? "graph.json" : "graph.skua", text_of(data, size));
  const auto graph = accepted([&] { return load_graph(path); });
  if (!graph) return 0;
  save_graph(*graph, path);
  require(fingerprint(load_graph(path)) == fingerprint(*graph), "a saved graph to be the same when it is read");
  use(*graph);
  return 0;
}
