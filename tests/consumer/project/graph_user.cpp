#include <skua/graph/graph.h>

#include <iostream>

// Uses one of the libraries alone.
int main() {
  using namespace skua;
  Graph graph;
  const ValueId x = graph.add_input("x", {{8, 3}});
  const ValueId weight = graph.add_parameter("weight", {5, 3});
  const ValueId y = graph.add_node({"dense", {}}, {x, weight}, "dense").at(0);
  std::cout << graph.value(y).type.to_string() << '\n';
  return graph.value(y).type.shape == Shape{8, 5} ? 0 : 1;
}
