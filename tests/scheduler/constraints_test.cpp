// Constraints: what they mean for tasks, that every policy keeps to them or says why not, and the best plan under them
// against all schedules.
#include "skua/scheduler/constraints.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "files.h"
#include "graph/small_graphs.h"
#include "scheduler/all_schedules.h"
#include "scheduler/plans.h"
#include "scheduler/random_problems.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

TaskId task_id(std::size_t i) {
  return TaskId(static_cast<std::int64_t>(i));
}

// Whose layer a task is of, by its name: "conv1" of "conv1.backward_weight [mb 2]" and of
// "reduce grad(conv1.weight) [mb 0+1]".
bool is_of(const TaskGraph& graph, TaskId id, const std::string& layer) {
  const Task& task = graph.task(id);
  const NodeId node = task.kind == TaskKind::kReduce ? graph.graph().value(task.value).producer : task.node;
  const std::string& name = graph.graph().node(node).name;
  return name == layer || name.rfind(layer + ".", 0) == 0;
}

std::vector<TaskId> tasks_of(const TaskGraph& graph, const std::string& layer) {
  std::vector<TaskId> tasks;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    if (is_of(graph, task_id(i), layer)) tasks.push_back(task_id(i));
  }
  return tasks;
}

TEST(Constraints, MeanALayersNodesInEveryPhase) {
  const TaskGraph graph(training_graph(adam()), 2, {.pins = {{"conv1", {"cpu:0"}}}});
  std::map<TaskKind, int> pinned;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const bool is_pinned = !graph.demand(task_id(i)).pins.empty();
    EXPECT_EQ(is_pinned, is_of(graph, task_id(i), "conv1")) << graph.name(task_id(i));
    if (is_pinned) ++pinned[graph.task(task_id(i)).kind];
  }
  // Twice forward and one backward node, a sum and an update for weight and bias each.
  EXPECT_EQ(pinned[TaskKind::kCompute], 4);
  EXPECT_EQ(pinned[TaskKind::kReduce], 2);
  EXPECT_EQ(pinned[TaskKind::kUpdate], 2);
}

TEST(Constraints, PrioritiesCountForWhatIsWaitedFor) {
  const TaskGraph graph(chain_graph(), 1, {.priorities = {{"sigmoid", 2}, {"tanh", -1}}});
  EXPECT_EQ(graph.demand(TaskId(0)).priority, 2);  // relu, which sigmoid waits for
  EXPECT_EQ(graph.demand(TaskId(1)).priority, 2);
  EXPECT_EQ(graph.demand(TaskId(2)).priority, -1);
}

TEST(Constraints, ColocationsThatShareALayerAreOne) {
  const TaskGraph graph(training_graph(sgd(0)), 3,
                        {.colocations = {{{"conv1", "relu1"}}, {{"fc"}}, {{"relu1", "pool1"}}}});
  const auto group = [&](const char* node, int micro_batch) {
    for (const TaskId id : tasks_of(graph, node)) {
      if (graph.task(id).micro_batch == micro_batch) return graph.demand(id).group;
    }
    return GroupId();
  };
  EXPECT_EQ(group("conv1", 1), group("pool1", 1));
  EXPECT_EQ(group("conv1", 1), group("relu1", 1));
  EXPECT_NE(group("conv1", 1), group("conv1", 2));
  EXPECT_NE(group("conv1", 1), group("fc", 1));
  EXPECT_FALSE(group("loss", 1).valid());
  EXPECT_TRUE(group("fc", kWholeStep).valid());  // its updates
  EXPECT_EQ(graph.groups().size(), 2U * 3 + 2);
}

TEST(Constraints, ErrorsNameWhatIsWrong) {
  const auto message = [](const Constraints& constraints) {
    return message_of([&] { (void)TaskGraph(chain_graph(), 1, constraints); });
  };
  EXPECT_EQ(message({.pins = {{"conv", {"a"}}}}), "[pin] expected a layer of the graph, got 'conv'");
  EXPECT_EQ(message({.pins = {{"relu", {}}}}), "[pin relu] expected 1 device or more, got none");
  EXPECT_EQ(message({.colocations = {{{"relu", "rel"}}}}), "[colocation] expected a layer of the graph, got 'rel'");
  EXPECT_EQ(message({.colocations = {{}}}), "[colocation] expected 1 layer or more, got none");
  EXPECT_EQ(message({.priorities = {{"relu", NAN}}}), "[priority relu] expected a finite number, got nan");
  EXPECT_EQ(message({.deadlines = {{"relu", 0}}}), "[deadline relu] expected seconds above 0, got 0");
  const Cluster cluster = tiny_cluster(true);
  EXPECT_EQ(message_of([&] {
              (void)with_limits(cluster, {.limits = {{"c", 1, 1}}});
            }),
            "[limit] expected a device of tiny, got 'c'");
  EXPECT_EQ(message_of([&] {
              (void)with_limits(cluster, {.limits = {{"a", 1, -1}}});
            }),
            "[limit a] expected busy seconds above 0, got -1");
  const TaskGraph pinned(chain_graph(), 1, {.pins = {{"relu", {"gpu"}}}});
  EXPECT_EQ(message_of([&] { (void)plan_with("heft", pinned, cluster, CostModel()); }),
            "[pin relu] expected a device of tiny, got 'gpu'");
  const TaskGraph torn(chain_graph(), 1,
                       {.pins = {{"relu", {"a"}}, {"tanh", {"b"}}}, .colocations = {{{"relu", "tanh"}}}});
  EXPECT_EQ(message_of([&] { (void)plan_with("heft", torn, cluster, CostModel()); }),
            "[relu] expected a device of tiny that can run it where its pins and colocations let it, got none");
}

TEST(Constraints, AreReadFromFiles) {
  const Folder folder("constraints");
  const std::string path = folder / "c.json";
  std::ofstream(path) << R"({"pins": [{"layer": "a", "devices": ["x", "y"]}], "colocations": [{"layers": ["b", "c"]}],
    "priorities": [{"layer": "d", "priority": 2.5}], "deadlines": [{"layer": "e", "seconds": 3}],
    "limits": [{"device": "x", "memoryBytes": 1e9}, {"device": "y", "busySeconds": 0.5}]})";
  const Constraints constraints = load_constraints(path);
  EXPECT_EQ(constraints.pins.at(0).layer, "a");
  EXPECT_EQ(constraints.pins.at(0).devices, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(constraints.colocations.at(0).layers, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(constraints.priorities.at(0).priority, 2.5);
  EXPECT_EQ(constraints.deadlines.at(0).seconds, 3);
  EXPECT_EQ(constraints.limits.at(0).memory_bytes, 1e9);
  EXPECT_FALSE(constraints.limits.at(0).busy_seconds);
  EXPECT_EQ(constraints.limits.at(1).busy_seconds, 0.5);
  std::ofstream(path) << R"({"pin": []})";
  EXPECT_NE(message_of([&] { (void)load_constraints(path); }).find("expected constraints in JSON"), std::string::npos);
}

// By hand: a (1 s) makes what b and c (3 s each) read; all three colocated take 7 s, b away 4 s; c is due after 4 s.
TEST(Constraints, StandInTaskGraphFilesToo) {
  const std::string text = R"({"tasks": [{"name": "a", "seconds": 1}, {"name": "b", "seconds": 3},
    {"name": "c", "seconds": 3}], "edges": [{"from": "a", "to": ["b", "c"]}], "constraints": CONSTRAINTS})";
  const auto makespan = [&](const std::string& constraints, int group) {
    std::string with = text;
    TimedGraph timed = parse_timed_graph(with.replace(with.find("CONSTRAINTS"), 11, constraints), "json");
    for (TimedTask& task : timed.tasks) task.group = group;
    const TimedProblem problem(timed, timed_cluster(2));
    const TaskGraph tasks(problem.graph, 1, problem.constraints);
    return plan_with("exact", tasks, timed_cluster(2), problem.costs).predicted_seconds;
  };
  EXPECT_NEAR(makespan("{}", -1), 4, kRounding);
  EXPECT_NEAR(makespan("{}", 5), 7, kRounding);
  EXPECT_NEAR(makespan(R"({"colocations": [{"layers": ["a", "b", "c"]}]})", -1), 7, kRounding);
  EXPECT_NEAR(makespan(R"({"colocations": [{"layers": ["b", "c"]}], "deadlines": [{"layer": "c", "seconds": 4}]})", -1),
              7, kRounding);
  EXPECT_THROW((void)makespan(R"({"deadlines": [{"layer": "c", "seconds": 3.5}]})", -1), std::invalid_argument);
}

TEST(Constraints, LimitsAreTheClusters) {
  const Cluster cluster =
      with_limits(tiny_cluster(true), {.limits = {{"a", 500, std::nullopt}, {"b", std::nullopt, 7}}});
  EXPECT_EQ(cluster.memory(MemoryId(1)).capacity_bytes, 500);
  EXPECT_EQ(cluster.memory(MemoryId(2)).capacity_bytes, 1e9);
  EXPECT_TRUE(std::isinf(cluster.device(DeviceId(0)).most_busy_seconds));
  EXPECT_EQ(cluster.device(DeviceId(1)).most_busy_seconds, 7);
  const Folder folder("limits");
  save_cluster(cluster, folder / "cluster.json");
  EXPECT_EQ(make_cluster(folder / "cluster.json").device(DeviceId(1)).most_busy_seconds, 7);
}

std::string random_layer(const TaskGraph& graph, Random& random) {
  const std::vector<Node>& nodes = graph.graph().nodes();
  return nodes[random.below(nodes.size())].name;
}

// A few of each kind; deadlines and limits that leave some room over what one device needs.
Constraints random_constraints(const TaskGraph& graph, const Cluster& cluster, double step_seconds, Random& random) {
  Constraints constraints;
  const auto some_device = [&] { return cluster.devices()[random.below(cluster.device_count())].name; };
  for (std::uint64_t i = random.below(3); i > 0; --i) {
    constraints.pins.push_back({random_layer(graph, random), {some_device()}});
    if (random.below(2) == 0) constraints.pins.back().devices.push_back(some_device());
  }
  for (std::uint64_t i = random.below(3); i > 0; --i) {
    constraints.colocations.push_back({{random_layer(graph, random), random_layer(graph, random)}});
  }
  for (std::uint64_t i = random.below(3); i > 0; --i) {
    constraints.priorities.push_back({random_layer(graph, random), random.uniform() * 4 - 1});
  }
  if (random.below(2) == 0) {
    constraints.deadlines.push_back({random_layer(graph, random), step_seconds * (0.2 + random.uniform())});
  }
  if (random.below(3) == 0) {
    constraints.limits.push_back({some_device(), std::nullopt, step_seconds * (0.2 + random.uniform())});
  }
  return constraints;
}

// Whenever a device takes a task, no other that it could take has a higher demanded priority.
void expect_priorities(const Schedule& schedule, const StepTrace& trace) {
  const TaskGraph& graph = schedule.graph();
  std::vector<double> ready(schedule.task_count(), 0);
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    for (const StepTaskId next : schedule.successors(StepTaskId(static_cast<std::int64_t>(i)))) {
      ready[next.index()] = std::max(ready[next.index()], trace.records[i].finish_seconds);
    }
  }
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    for (std::size_t k = 0; k < graph.task_count(); ++k) {
      const bool waits = trace.records[i].lane == trace.records[k].lane && ready[k] <= trace.records[i].start_seconds &&
                         trace.records[k].start_seconds > trace.records[i].start_seconds;
      if (!waits) continue;
      EXPECT_LE(graph.demand(task_id(k)).priority, graph.demand(task_id(i)).priority)
          << graph.name(task_id(i)) << " before " << graph.name(task_id(k));
    }
  }
}

void expect_kept(const TaskGraph& graph, const Cluster& cluster, const CostModel& model, const Plan& plan) {
  const Constraints& constraints = graph.constraints();
  const auto device = [&](TaskId id) { return cluster.device(plan.placements[id.index()].device).name; };
  for (const Constraints::Pin& pin : constraints.pins) {
    for (const TaskId id : tasks_of(graph, pin.layer)) {
      EXPECT_EQ(std::count(pin.devices.begin(), pin.devices.end(), device(id)) > 0, true) << graph.name(id);
    }
  }
  for (const Constraints::Colocation& colocation : constraints.colocations) {
    std::map<int, std::set<std::string>> devices;  // by micro-batch
    for (const std::string& layer : colocation.layers) {
      for (const TaskId id : tasks_of(graph, layer)) {
        if (graph.task(id).kind != TaskKind::kReduce) devices[graph.task(id).micro_batch].insert(device(id));
      }
    }
    for (const auto& [micro_batch, names] : devices) EXPECT_EQ(names.size(), 1U);
  }
  const CostTable costs(graph, cluster, model);
  const Schedule schedule(graph, cluster, plan);
  const StepTrace trace = simulate(schedule, costs);
  for (const Constraints::Deadline& deadline : constraints.deadlines) {
    for (const TaskId id : tasks_of(graph, deadline.layer)) {
      EXPECT_LE(trace.records[id.index()].finish_seconds, deadline.seconds * (1 + 1e-6)) << graph.name(id);
    }
  }
  for (const DeviceSpec& spec : cluster.devices()) {
    double busy = 0;
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      if (device(task_id(i)) == spec.name) busy += trace.records[i].finish_seconds - trace.records[i].start_seconds;
    }
    EXPECT_LE(busy, spec.most_busy_seconds * (1 + 1e-6)) << spec.name;
  }
  if (!constraints.priorities.empty() && !plan.strict_order) expect_priorities(schedule, trace);
}

TEST(Constraints, EveryPolicyKeepsToThemOrSaysWhyNot) {
  Random random(21);
  std::map<std::string, int> served;
  constexpr int kAttempts = 24;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Cluster cluster = random_cluster(random);
    const Graph step = attempt % 2 == 0 ? training_graph(sgd(0)) : random_dag(random);
    const int micro_batches = attempt % 2 == 0 ? 1 + static_cast<int>(random.below(4)) : 1;
    const TaskGraph plain(step, micro_batches);
    const double step_seconds = plan_with("single", plain, cluster, CostModel()).predicted_seconds;
    const Constraints constraints = random_constraints(plain, cluster, step_seconds, random);
    const TaskGraph graph(step, micro_batches, constraints);
    const Cluster limited = with_limits(cluster, constraints);
    for (const PolicyInfo& policy : policies()) {
      if (policy.name == "replay") continue;
      SCOPED_TRACE(fmt::format("{} in attempt {}", policy.name, attempt));
      const PolicyOptions options{"", 0.02};
      try {
        const Plan plan = plan_with(policy.name, graph, limited, CostModel(), options);
        expect_kept(graph, limited, CostModel(), plan);
        ++served[policy.name];
      } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string(error.what()).find("expected"), std::string::npos) << error.what();
      }
      if (HasFailure()) return;
    }
  }
  for (const auto& [name, count] : served) RecordProperty(name, count);
  for (const char* name : {"single", "heft", "data_parallel", "gpipe", "auto"})
    EXPECT_GT(served[name], kAttempts / 2) << name;
  for (const auto& [name, count] : served) EXPECT_LE(count, served["auto"]) << name;
}

// Policies that know nothing of constraints are put right.
TEST(Constraints, AreServedByPoliciesThatDoNotKnowThem) {
  const TaskGraph graph(training_graph(sgd(0)), 4,
                        {.pins = {{"pool1", {"cpu:1"}}}, .colocations = {{{"conv1", "relu2", "fc"}}}});
  const Cluster cluster = make_cluster("cpu:3");
  for (const char* name : {"single", "round_robin", "data_parallel", "gpipe", "1f1b", "annealing", "genetic"}) {
    SCOPED_TRACE(name);
    expect_kept(graph, cluster, CostModel(), plan_with(name, graph, cluster, CostModel(), {"", 0.02}));
  }
}

// In its own order a (2 s) comes before z (1 s), which is due after 1.5 s.
TEST(Constraints, WhatIsDueComesFirstWhereItWouldBeLate) {
  TimedGraph timed;
  timed.tasks = {{"a", {{"device", 2}}}, {"z", {{"device", 1}}}};
  const Cluster cluster = timed_cluster(1);
  const TimedProblem problem(timed, cluster);
  const auto first = [&](double deadline) {
    const TaskGraph tasks(problem.graph, 1, {.deadlines = {{"z", deadline}}});
    const Plan plan = plan_with("single", tasks, cluster, problem.costs);
    return plan.placements[0].priority > plan.placements[1].priority ? "a" : "z";
  };
  EXPECT_STREQ(first(1.5), "z");
  EXPECT_STREQ(first(3), "a");
  EXPECT_THROW((void)first(0.9), std::invalid_argument);
}

// A small graph with a pin, a colocation, a deadline and a limit on random tasks.
struct Demanding {
  explicit Demanding(Random& random) {
    do {
      timed = random_timed_graph(random);
    } while (timed.tasks.size() < 3 || AllSchedules::count(timed, kDevices) > 20'000);
    double seconds = 0;
    for (const TimedTask& task : timed.tasks) seconds += task.seconds.begin()->second;
    pinned = random.below(timed.tasks.size());
    pin = static_cast<int>(random.below(kDevices));
    first = random.below(timed.tasks.size());
    second = random.below(timed.tasks.size());
    urgent = random.below(timed.tasks.size());
    deadline = seconds * (0.3 + random.uniform()) + 0.5;
    busy = seconds * (0.3 + random.uniform() * 0.5) + 0.5;
    const auto name = [&](std::size_t task) { return timed.tasks[task].name; };
    constraints = {.pins = {{name(pinned), {fmt::format("device:{}", pin)}}},
                   .colocations = {{{name(first), name(second)}}},
                   .deadlines = {{name(urgent), deadline}},
                   .limits = {{"device:0", std::nullopt, busy}}};
  }
  [[nodiscard]] bool allows(std::size_t task, double finish, const std::vector<int>& places) const {
    double load = 0;
    for (std::size_t t = 0; t < places.size(); ++t) {
      if (places[t] == 0) load += timed.tasks[t].seconds.begin()->second;
    }
    const bool together = places[first] < 0 || places[second] < 0 || places[first] == places[second];
    return (task != pinned || places[task] == pin) && together && load <= busy &&
           (task != urgent || finish <= deadline);
  }
  static constexpr int kDevices = 2;
  TimedGraph timed;
  Constraints constraints;
  std::size_t pinned, first, second, urgent;
  int pin;
  double deadline, busy;
};

TEST(Constraints, ExactEqualsTheBestOfAllSchedulesThatKeepToThem) {
  Random random(22);
  int solved = 0;
  int impossible = 0;
  for (int trial = 0; trial < 120; ++trial) {
    const Demanding demanding(random);
    AllSchedules schedules(demanding.timed, Demanding::kDevices);
    schedules.allows = [&](std::size_t task, double finish, const std::vector<int>& places) {
      return demanding.allows(task, finish, places);
    };
    const double least = schedules.least_makespan(1);
    const Cluster cluster = with_limits(timed_cluster(Demanding::kDevices), demanding.constraints);
    const TimedProblem problem(demanding.timed, cluster);
    const TaskGraph tasks(problem.graph, 1, demanding.constraints);
    for (const char* name : {"exact", "integer", "heft", "auto", "genetic", "linear"}) {
      SCOPED_TRACE(fmt::format("{} in trial {}", name, trial));
      try {
        const Plan plan = plan_with(name, tasks, cluster, problem.costs, {"", 0.05});
        EXPECT_GE(plan.predicted_seconds, least - kRounding);
        EXPECT_LE(plan.lower_bound_seconds, least + kRounding);
        if (std::string(name) != "exact") continue;
        EXPECT_NEAR(plan.predicted_seconds, least, kRounding);
        ++solved;
      } catch (const std::invalid_argument& error) {
        if (std::string(name) != "exact") continue;
        EXPECT_TRUE(std::isinf(least)) << error.what();
        ++impossible;
      }
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(solved, 60);
  EXPECT_GT(impossible, 3);
}

TEST(Constraints, ThievesLeavePinnedAndColocatedTasks) {
  const TaskGraph graph(training_graph(sgd(0)), 6,
                        {.pins = {{"conv1", {"cpu:0"}}}, .colocations = {{{"conv2", "relu2"}}}});
  const Cluster cluster = make_cluster("cpu:3");
  const CostTable costs(graph, cluster, CostModel());
  const Schedule schedule(graph, cluster, plan_with("single", graph, cluster, CostModel()));
  const auto rule = make_steal_rule("random");
  const StepTrace trace = simulate(schedule, costs, {.steal_rule = rule.get()});
  int stolen = 0;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    if (trace.records[i].lane == schedule.task(StepTaskId(static_cast<std::int64_t>(i))).lane) continue;
    ++stolen;
    EXPECT_FALSE(is_of(graph, task_id(i), "conv1") || is_of(graph, task_id(i), "conv2") ||
                 is_of(graph, task_id(i), "relu2"))
        << graph.name(task_id(i));
  }
  EXPECT_GT(stolen, 20);
}

// A plan file is the user's own placement.
TEST(Constraints, APlanFileIsRefusedNotChanged) {
  const TaskGraph plain(training_graph(sgd(0)), 2);
  const Cluster cluster = make_cluster("cpu:2");
  const Folder folder("replay");
  const std::string path = folder / "plan.json";
  save_plan(plan_with("single", plain, cluster, CostModel()), path);
  const auto replay = [&](const Constraints& constraints) {
    const TaskGraph graph(training_graph(sgd(0)), 2, constraints);
    return message_of([&] { (void)plan_with("replay", graph, cluster, CostModel(), {path, 1}); });
  };
  EXPECT_EQ(replay({.pins = {{"conv1", {"cpu:0"}}}}), "");
  EXPECT_EQ(replay({.pins = {{"conv1", {"cpu:1"}}}}),
            "[policy replay] expected conv1 [mb 0] on cpu:1, where it is pinned, got cpu:0");
  EXPECT_NE(replay({.deadlines = {{"loss", 1e-9}}}).find("expected loss [mb 0] to end within 1e-09 s"),
            std::string::npos);
}

}  // namespace
}  // namespace skua::test
