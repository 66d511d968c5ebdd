// Constraints files, on a small task graph whose plan must keep to them.
#include "skua/scheduler/constraints.h"

#include <algorithm>

#include "fuzz.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

// "a" is read by "b" and "c", which "d" reads.
TimedGraph diamond() {
  TimedGraph graph;
  for (const char* name : {"a", "b", "c", "d"}) graph.tasks.push_back({name, {{kAnyDevice, 1}}});
  graph.edges = {{0, {1, 2}, 4e8}, {1, {3}, 4e8}, {2, {3}, 4e8}};
  return graph;
}

void check_pins(const Plan& plan, const TaskGraph& tasks) {
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    for (const std::size_t p : tasks.demand(TaskId(static_cast<std::int64_t>(i))).pins) {
      const std::vector<std::string>& devices = tasks.constraints().pins[p].devices;
      const std::string& device = plan.device_names[plan.placements[i].device.index()];
      require(std::find(devices.begin(), devices.end(), device) != devices.end(), "tasks where they are pinned");
    }
  }
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const std::string path = fuzz_folder().write("constraints.json", text_of(data, size));
  const auto constraints = accepted([&] { return load_constraints(path); });
  if (!constraints) return 0;
  attempt([&] {
    const Cluster cluster = with_limits(timed_cluster(2), *constraints);
    const TimedProblem problem(diamond(), cluster);
    const TaskGraph tasks(problem.graph, 1, *constraints);
    check_pins(plan_with("heft", tasks, cluster, problem.costs), tasks);
  });
  return 0;
}
