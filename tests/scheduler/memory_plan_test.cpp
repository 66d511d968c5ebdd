// Storage: whatever shares bytes is ordered, for any order of execution that the dependencies allow.
#include "skua/scheduler/memory_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

Cluster cluster_of(int devices, bool private_memory, double capacity_bytes = 1e9) {
  std::vector<DeviceSpec> specs;
  std::vector<MemorySpec> memories{{"host", 1e9}};
  std::vector<LinkSpec> links;
  for (int i = 0; i < devices; ++i) {
    DeviceSpec spec{"d:" + std::to_string(i), "d", kHostMemory, 1e9, 1e9, 1e-6, false};
    if (private_memory) {
      spec.memory = MemoryId(i + 1);
      spec.copy_engine = i % 2 == 0;
      memories.push_back({spec.name, capacity_bytes});
      links.push_back({kHostMemory, spec.memory, 1e9, 1e-6});
      links.push_back({spec.memory, kHostMemory, 1e9, 1e-6});
    }
    specs.push_back(spec);
  }
  return Cluster("test", specs, memories, links);
}

// Who reaches whom, by every dependency of the schedule.
class Closure {
 public:
  explicit Closure(const Schedule& schedule) : reach_(schedule.task_count()) {
    const auto order = schedule.topological_order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      auto& mine = reach_[it->index()];
      mine.resize(schedule.task_count());
      for (StepTaskId next : schedule.successors(*it)) {
        mine[next.index()] = true;
        for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = mine[i] || reach_[next.index()][i];
      }
    }
  }
  bool before(StepTaskId a, StepTaskId b) const { return reach_[a.index()][b.index()]; }

 private:
  std::vector<std::vector<bool>> reach_;
};

// Every output of an input's size may take its place.
MemorySizes sizes_in_place(const Schedule& schedule) {
  MemorySizes sizes = plain_sizes(schedule);
  const Graph& graph = schedule.graph().graph();
  sizes.in_place = [&graph, ways = std::vector<InPlace>()](NodeId id) mutable {
    ways.clear();
    const Node& node = graph.node(id);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      for (std::size_t o = 0; o < node.outputs.size(); ++o) {
        if (graph.value(node.inputs[i]).type.bytes() == graph.value(node.outputs[o]).type.bytes())
          ways.push_back({i, o});
      }
    }
    return std::span<const InPlace>(ways);
  };
  return sizes;
}

struct Piece {
  MemoryId memory;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::set<StepTaskId> users;
};

// By (first datum of the storage, memory), from the task graph and the schedule alone.
std::map<std::pair<DatumId, MemoryId>, Piece> pieces_of(const Schedule& schedule, const MemoryPlan& plan) {
  std::map<std::pair<DatumId, MemoryId>, Piece> pieces;
  const TaskGraph& graph = schedule.graph();
  const auto use = [&](StepTaskId task, DatumId datum, MemoryId memory) {
    const Value& value = graph.graph().value(graph.datum(datum).value);
    if (value.kind == ValueKind::kInput && memory == kHostMemory) return;
    const std::size_t offset = plan.offset(datum, memory);
    ASSERT_NE(offset, kNoOffset) << value.name;
    EXPECT_EQ(offset % MemoryPlan::kAlignment, 0U);
    Piece& piece = pieces[{graph.datum(datum).storage, memory}];
    piece.memory = memory;
    piece.begin = offset;
    piece.end = offset + static_cast<std::size_t>(value.type.bytes());
    EXPECT_LE(piece.end, plan.arena_bytes(memory));
    piece.users.insert(task);
  };
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    const StepTask& task = schedule.task(id);
    if (task.is_copy()) {
      use(id, task.datum, task.from);
      use(id, task.datum, task.to);
      continue;
    }
    for (DatumId datum : graph.inputs(task.task)) use(id, datum, schedule.memory_of(task.lane));
    for (DatumId datum : graph.outputs(task.task)) use(id, datum, schedule.memory_of(task.lane));
  }
  return pieces;
}

bool kept_after_the_step(const TaskGraph& graph, DatumId id) {
  const Datum& datum = graph.datum(id);
  const ValueKind kind = graph.graph().value(datum.value).kind;
  return kind == ValueKind::kParameter || kind == ValueKind::kState || datum.output;
}

void expect_safe(const Schedule& schedule, const MemoryPlan& plan) {
  const Closure closure(schedule);
  const auto pieces = pieces_of(schedule, plan);
  const TaskGraph& graph = schedule.graph();
  const auto makes_in_place = [&](StepTaskId id, DatumId from, DatumId to) {
    if (schedule.task(id).is_copy()) return false;
    const TaskId task = schedule.task(id).task;
    const auto inputs = graph.inputs(task);
    return graph.task(task).kind == TaskKind::kCompute && graph.datum(to).producer == task &&
           std::count(inputs.begin(), inputs.end(), from) == 1;
  };
  using Pieces = decltype(pieces)::value_type;
  const auto all_before = [&](const Pieces& a, const Pieces& b) {
    const bool same_place = a.second.begin == b.second.begin && a.second.end == b.second.end;
    for (StepTaskId x : a.second.users) {
      for (StepTaskId y : b.second.users) {
        const bool in_place = same_place && x == y && makes_in_place(x, a.first.first, b.first.first);
        if (!in_place && !closure.before(x, y)) return false;
      }
    }
    return true;
  };
  for (auto a = pieces.begin(); a != pieces.end(); ++a) {
    for (auto b = std::next(a); b != pieces.end(); ++b) {
      const Piece& p = a->second;
      const Piece& q = b->second;
      if (p.memory != q.memory || p.begin >= q.end || q.begin >= p.end) continue;
      ASSERT_FALSE(kept_after_the_step(graph, a->first.first) || kept_after_the_step(graph, b->first.first));
      ASSERT_TRUE(all_before(*a, *b) || all_before(*b, *a))
          << graph.graph().value(graph.datum(a->first.first).value).name << " and "
          << graph.graph().value(graph.datum(b->first.first).value).name;
    }
  }
}

struct Planned {
  TaskGraph graph;
  Cluster cluster;
  Plan plan;
  Schedule schedule;
  CostTable costs;
  MemoryPlan memory;

  Planned(int micro_batches, Cluster machine, std::uint64_t seed, bool slack, bool in_place = false)
      : graph(training_graph(adam()), micro_batches),
        cluster(std::move(machine)),
        plan(make(seed)),
        schedule(graph, cluster, plan),
        costs(graph, cluster, CostModel()),
        memory(schedule, simulate(schedule, costs), in_place ? sizes_in_place(schedule) : plain_sizes(schedule),
               slack) {}

 private:
  Plan make(std::uint64_t seed) const {
    Random random(seed);
    return random_plan(graph, cluster, random);
  }
};

TEST(MemoryPlan, SharedBytesAreOrdered) {
  std::uint64_t seed = 0;
  for (const bool private_memory : {false, true}) {
    for (const bool slack : {false, true}) {
      for (int devices = 1; devices <= 3; ++devices) {
        for (const int micro_batches : {1, 2, 5, 8}) {
          SCOPED_TRACE(seed);
          for (const bool in_place : {false, true}) {
            const Planned planned(micro_batches, cluster_of(devices, private_memory), seed++, slack, in_place);
            expect_safe(planned.schedule, planned.memory);
          }
        }
      }
    }
  }
}

// Bytes of everything, were nothing used twice.
double naive_bytes(const TaskGraph& graph) {
  double bytes = 0;
  for (std::size_t i = 0; i < graph.datum_count(); ++i) {
    const DatumId id(static_cast<std::int64_t>(i));
    if (graph.datum(id).storage == id) bytes += graph.datum(id).bytes;
  }
  return bytes;
}

TEST(MemoryPlan, StorageIsUsedAgain) {
  const TaskGraph graph(training_graph(adam()), 8);
  const Cluster cluster = cluster_of(1, false);
  const Plan plan = one_device_plan(graph, cluster);
  const CostTable costs(graph, cluster, CostModel());
  std::vector<std::size_t> bytes;
  std::vector<std::size_t> places;  // of one activation, over the micro-batches
  const ValueId activation = graph.graph().node(NodeId(0)).outputs[0];
  for (const bool slack : {false, true}) {
    Schedule schedule(graph, cluster, plan);
    const StepTrace predicted = simulate(schedule, costs);
    const MemoryPlan memory(schedule, predicted, plain_sizes(schedule), slack);
    bytes.push_back(memory.arena_bytes(kHostMemory));
    std::set<std::size_t> offsets;
    for (int m = 0; m < 8; ++m) offsets.insert(memory.offset(graph.datum_of(activation, m), kHostMemory));
    places.push_back(offsets.size());
    // On one device the added dependencies cost nothing.
    EXPECT_DOUBLE_EQ(simulate(schedule, costs).seconds, predicted.seconds);
  }
  EXPECT_LT(static_cast<double>(bytes[0]), 0.5 * naive_bytes(graph));
  EXPECT_LT(bytes[0], bytes[1]);
  EXPECT_EQ(places[0], 1U);
  EXPECT_EQ(places[1], 2U);  // one more per device
}

// x -> relu -> sigmoid -> tanh, and a sum of the last two: sigmoid and tanh may not share a place, relu and sigmoid
// may, and the sum takes one of the two that it reads. x comes from the caller, and what is marked is kept.
TEST(MemoryPlan, OutputsTakeThePlaceOfInputsThatNothingElseReads) {
  Graph step = chain_graph();
  const auto output_of = [&](const char* name) { return step.node(step.find_node(name)).outputs[0]; };
  const ValueId sum = step.add_node({"add", {}}, {output_of("sigmoid"), output_of("tanh")}, "sum").at(0);
  step.mark_output(step.add_node({"relu", {}}, {sum}, "last").at(0));
  const TaskGraph graph(step, 1);
  const Cluster cluster = cluster_of(1, false);
  Schedule schedule(graph, cluster, one_device_plan(graph, cluster));
  const StepTrace predicted = simulate(schedule, CostTable(graph, cluster, CostModel()));
  const MemoryPlan memory(schedule, predicted, sizes_in_place(schedule), false);
  const auto place = [&](const char* name) { return memory.offset(graph.datum_of(output_of(name), 0), kHostMemory); };
  EXPECT_EQ(place("relu"), place("sigmoid"));
  EXPECT_NE(place("sigmoid"), place("tanh"));
  EXPECT_EQ(place("sum"), place("sigmoid"));
  EXPECT_NE(place("last"), place("sum"));
  EXPECT_EQ(memory.arena_bytes(kHostMemory), 3 * MemoryPlan::align(4000));
  expect_safe(schedule, memory);
}

TEST(MemoryPlan, SlackIsGivenUpWhereItDoesNotFit) {
  const auto bytes = [](bool slack, double capacity) {
    const Planned planned(8, cluster_of(2, true, capacity), 1, slack);
    return std::max(planned.memory.arena_bytes(MemoryId(1)), planned.memory.arena_bytes(MemoryId(2)));
  };
  const std::size_t roomy = bytes(true, 1e9);
  const std::size_t tight = bytes(true, static_cast<double>(roomy) - 1);
  EXPECT_LT(tight, roomy);
  EXPECT_LT(bytes(false, 1e9), tight);  // no place for stolen tasks
  const std::string message = message_of([&] { (void)bytes(true, static_cast<double>(tight) / 2); });
  EXPECT_EQ(message.rfind("memory d:", 0), 0U) << message;
  EXPECT_NE(message.find(" GB, has "), std::string::npos) << message;
}

TEST(MemoryPlan, LanesGetScratchAndStaging) {
  for (const bool private_memory : {false, true}) {
    const TaskGraph graph(training_graph(adam()), 2);
    const Cluster cluster = cluster_of(2, private_memory);
    Random random(5);
    Schedule schedule(graph, cluster, random_plan(graph, cluster, random));
    const CostTable costs(graph, cluster, CostModel());
    MemorySizes sizes = plain_sizes(schedule);
    sizes.scratch_bytes = [](LaneId) { return std::size_t{100}; };
    const MemoryPlan memory(schedule, simulate(schedule, costs), sizes, true);
    EXPECT_EQ(memory.staging_offset(LaneId(1)) == kNoOffset, !private_memory);
    EXPECT_LE(memory.scratch_offset(LaneId(1)) + 100, memory.arena_bytes(schedule.memory_of(LaneId(1))));
    if (!private_memory) {
      EXPECT_GE(memory.scratch_offset(LaneId(1)), memory.scratch_offset(LaneId(0)) + 100);
    }
  }
}

}  // namespace
}  // namespace skua::test
