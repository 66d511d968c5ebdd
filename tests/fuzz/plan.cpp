// Plan files, in JSON where they begin with a brace, else binary, and then also with the right checksum.
#include "skua/scheduler/plan.h"

#include <cmath>

#include "fuzz.h"
#include "graph/message_file.h"
#include "scheduler.pb.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

struct Fixture {
  TaskGraph tasks{chain_graph(), 2};
  Cluster cluster = tiny_cluster(true);
  CostModel costs = tiny_costs(tasks);
};

// As the file says it, and as a plan of the graph at hand, as most files say only in their last changes.
void use(Plan plan) {
  static const Fixture at_hand;
  attempt([&] { validate(plan, at_hand.tasks, at_hand.cluster); });
  plan.graph_fingerprint = at_hand.tasks.fingerprint();
  plan.device_names = {"a", "b"};
  attempt([&] {
    validate(plan, at_hand.tasks, at_hand.cluster);
    const Schedule schedule(at_hand.tasks, at_hand.cluster, plan);
    const double seconds = simulate(schedule, CostTable(at_hand.tasks, at_hand.cluster, at_hand.costs)).seconds;
    require(seconds >= 6 && seconds < 100, "the time of six tasks and their copies");
  });
}

void read(const std::string& path) {
  const auto plan = accepted([&] { return load_plan(path); });
  if (!plan) return;
  save_plan(*plan, path);
  require(load_plan(path).placements.size() == plan->placements.size(), "a saved plan to be the same when it is read");
  use(*plan);
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const std::string bytes = text_of(data, size);
  if (bytes.starts_with('{')) {
    read(fuzz_folder().write("plan.json", bytes));
    return 0;
  }
  read(fuzz_folder().write("plan.pb", bytes));
  proto::Plan message;
  const google::protobuf::LogSilencer silence;
  if (message.ParseFromString(bytes)) {
    message.set_checksum(checksum_of(message));
    read(fuzz_folder().write("plan.pb", message.SerializeAsString()));
  }
  return 0;
}
