// Whether the schedule ever changes the result: random models, micro-batches, devices, memories, plans, steal rules,
// delays and completions, each against one device that does one task after another. What fails is made simpler first.
//   SKUA_FUZZ_CASE='...'  that case alone, as a failure prints it; fuzz_run.h has more
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <sstream>

#include "engine/background.h"
#include "engine/fuzz_graphs.h"
#include "engine/fuzz_run.h"
#include "engine/problem.h"
#include "fake/fake_devices.h"
#include "scheduler/plans.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/engine/forwarding_device.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

// All figures are small numbers, so that a case is a line of text and the simplest one is 0 or 1 throughout.
struct Case {
  int model = 0;
  int micro_batches = 1;
  int devices = 1;
  int memory = 0;          // shared, of each device's own, or of GPUs of host threads
  int rule = 0;            // by place in steal_rule_names()
  int plan = 0;            // single, random, random in strict order, or of a policy
  int delays = 0;          // microseconds at most
  int elsewhere = 0;       // of 4 launches so many end on another thread
  std::uint64_t seed = 0;  // of plan, delays and stealing

  friend bool operator==(const Case&, const Case&) = default;
};

struct Model {
  std::string name;
  Graph graph;
};

const std::vector<Model>& models() {
  static const std::vector<Model> all{{"cnn", training_graph(adam())},
                                      {"rnn", rnn_step()},
                                      {"lstm", lstm_step()},
                                      {"gan", gan_step()},
                                      {"wide", wide_step()}};
  return all;
}

enum PlanKind : int { kSingle, kRandom, kStrict, kFirstPolicy };
const std::vector<std::string> kMemories{"devices", "devices with memories of their own", "GPUs of host threads"};
enum MemoryKind : int { kSharedMemory, kOwnMemories, kFakeGpus };
const std::vector<std::string> kPolicies{"data_parallel", "round_robin", "gpipe", "1f1b", "greedy", "heft"};

std::string to_text(const Case& c) {
  return fmt::format("{} {} {} {} {} {} {} {} {}", c.model, c.micro_batches, c.devices, c.memory, c.rule, c.plan,
                     c.delays, c.elsewhere, c.seed);
}
Case from_text(const std::string& text) {
  Case c;
  std::istringstream in(text);
  in >> c.model >> c.micro_batches >> c.devices >> c.memory >> c.rule >> c.plan >> c.delays >> c.elsewhere >> c.seed;
  if (!in) throw std::invalid_argument("SKUA_FUZZ_CASE: expected nine numbers");
  return c;
}

std::string describe(const Case& c) {
  const std::string plan = c.plan == kSingle   ? "single"
                           : c.plan == kRandom ? "random"
                           : c.plan == kStrict ? "strict"
                                               : kPolicies[static_cast<std::size_t>(c.plan - kFirstPolicy)];
  return fmt::format(
      "{}, {} micro-batches, {} {}, plan {}, stealing {}, delays up to {} us, {} of 4 launches end elsewhere; "
      "again: SKUA_FUZZ_CASE='{}' test_schedule_fuzz",
      models()[static_cast<std::size_t>(c.model)].name, c.micro_batches, c.devices,
      kMemories[static_cast<std::size_t>(c.memory)], plan, steal_rule_names()[static_cast<std::size_t>(c.rule)],
      c.delays, c.elsewhere, to_text(c));
}

Case draw(std::uint64_t seed) {
  Random random(seed, 12);
  const auto below = [&](std::size_t bound) { return static_cast<int>(random.below(bound)); };
  Case c;
  c.model = below(models().size());
  c.micro_batches = 1 + below(5);
  c.devices = 1 + below(4);
  c.memory = below(3);
  c.rule = below(steal_rule_names().size());
  c.plan = below(kFirstPolicy + kPolicies.size());
  if (below(2) == 0) c.delays = 200;
  c.elsewhere = below(3) * 2;
  c.seed = seed;
  return c;
}

// Passes each launch on late, and to another thread where the draw for it says so.
class Disturbed final : public ForwardingDevice {
 public:
  Disturbed(std::unique_ptr<Device> device, const Case& c, Background& background)
      : ForwardingDevice(std::move(device)), whims_(c, background) {}
  void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) override {
    whims_.pass_on([=, this, &completion] { device().copy(to, from, bytes, stream, completion); });
  }
  std::unique_ptr<Program> compile(const Graph& graph) override {
    return std::make_unique<DisturbedProgram>(device().compile(graph), whims_);
  }

 private:
  class Whims {
   public:
    Whims(const Case& c, Background& background) : case_(c), background_(background) {}
    void pass_on(const std::function<void()>& launch) {
      Random random(case_.seed, 100 + launches_.fetch_add(1));
      const std::uint64_t delay = random.below(4) == 0 ? random.below(static_cast<std::uint64_t>(case_.delays) + 1) : 0;
      const auto late = [launch, delay] {
        if (delay > 0) std::this_thread::sleep_for(std::chrono::microseconds(delay));
        launch();
      };
      random.below(4) < static_cast<std::uint64_t>(case_.elsewhere) ? background_.post(late) : late();
    }

   private:
    const Case case_;
    Background& background_;
    std::atomic<std::uint64_t> launches_{0};
  };

  class DisturbedProgram final : public ForwardingProgram {
   public:
    DisturbedProgram(std::unique_ptr<Program> program, Whims& whims)
        : ForwardingProgram(std::move(program)), whims_(whims) {}
    void launch(const KernelCall& call, Completion& completion) override {
      whims_.pass_on([=, this, &completion] { program().launch(call, completion); });
    }
    void accumulate(ValueId value, void* into, const void* from, Part part, Stream* stream,
                    Completion& completion) override {
      whims_.pass_on([=, this, &completion] { program().accumulate(value, into, from, part, stream, completion); });
    }

   private:
    Whims& whims_;
  };

  Whims whims_;
};

// A random plan whose priorities go down along a random topological order.
Plan strict_plan(const TaskGraph& graph, const Cluster& cluster, Random& random) {
  Plan plan = random_plan(graph, cluster, random);
  plan.strict_order = true;
  std::vector<std::size_t> pending;
  std::vector<TaskId> ready;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    pending.push_back(graph.predecessors(id).size());
    if (pending.back() == 0) ready.push_back(id);
  }
  for (double priority = 0; !ready.empty(); --priority) {
    std::swap(ready[random.below(ready.size())], ready.back());
    const TaskId id = ready.back();
    ready.pop_back();
    plan.placements[id.index()].priority = priority;
    for (const TaskId next : graph.successors(id)) {
      if (--pending[next.index()] == 0) ready.push_back(next);
    }
  }
  return plan;
}

Plan make_plan(const Case& c, const TaskGraph& graph, const Cluster& cluster) {
  Random random(c.seed, 13);
  if (c.plan == kRandom) return random_plan(graph, cluster, random);
  if (c.plan == kStrict) return strict_plan(graph, cluster, random);
  const std::string policy = c.plan == kSingle ? "single" : kPolicies[static_cast<std::size_t>(c.plan - kFirstPolicy)];
  return plan_with(policy, graph, cluster, CostModel());
}

std::string gpu_names(int count) {
  std::string names = "cuda:0";
  for (int i = 1; i < count; ++i) names += fmt::format(",{}", i);
  return names;
}

class ScheduleFuzz : public testing::Test {
 protected:
  // What is wrong with it; empty: nothing.
  std::string verdict(const Case& c) {
    watchdog_.begin(describe(c));
    const Answer& answer = answer_for(c);
    std::optional<fake::FakeDevices> gpus;
    if (c.memory == kFakeGpus) gpus.emplace(gpu_names(c.devices), c.devices);
    DeviceSet disturbed;
    if (!gpus) disturbed = disturbed_devices(c);
    DeviceSet& devices = gpus ? gpus->devices : disturbed;
    // One of the GPUs is late with all it does.
    if (gpus) gpus->runtime.delay(static_cast<int>(c.seed % static_cast<std::uint64_t>(c.devices)), 1e-7 * c.delays);
    try {
      const Plan plan = make_plan(c, answer.problem.tasks, devices.cluster);
      const std::string bits =
          answer.problem.train(devices, plan, steal_rule_names()[static_cast<std::size_t>(c.rule)], c.seed);
      return bits == answer.bits ? "" : "other bits";
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  DeviceSet disturbed_devices(const Case& c) {
    DeviceSet devices = make_cpu_devices(c.devices, 1, c.memory == kOwnMemories);
    for (auto& device : devices.devices) device = std::make_unique<Disturbed>(std::move(device), c, background_);
    return devices;
  }

  // Takes away what is not needed for it to fail. Cases may fail now and then: each gets some chances.
  Case simplified(Case c) {
    constexpr int kChances = 20;
    const auto fails = [&](const Case& simpler) {
      for (int i = 0; i < kChances; ++i) {
        if (!verdict(simpler).empty()) return true;
      }
      return false;
    };
    const Case simplest{c.model, 1, 1, 0, 0, kSingle, 0, 0, c.seed};
    for (bool again = true; again;) {
      again = false;
      for (int Case::*part : {&Case::devices, &Case::micro_batches, &Case::delays, &Case::elsewhere, &Case::rule,
                              &Case::plan, &Case::memory}) {
        for (int value = simplest.*part; value < c.*part; ++value) {
          if (part == &Case::delays && value > 0) break;
          Case simpler = c;
          simpler.*part = value;
          if (!fails(simpler)) continue;
          c = simpler;
          again = true;
          break;
        }
      }
    }
    return c;
  }

 private:
  struct Answer {
    Problem problem;
    std::string bits;
  };

  const Answer& answer_for(const Case& c) {
    const bool on_gpus = c.memory == kFakeGpus;
    const int sharers = c.memory == kSharedMemory ? c.devices : 1;
    std::unique_ptr<Answer>& answer = answers_[{c.model, c.micro_batches, on_gpus, sharers}];
    if (answer == nullptr) {
      const Graph& graph = models()[static_cast<std::size_t>(c.model)].graph;
      answer = std::make_unique<Answer>(Answer{Problem(graph, c.micro_batches, sharers), ""});
      DeviceSet cpu = make_cpu_devices(1);
      fake::FakeDevices gpu("cuda:0", 1);
      DeviceSet& one = on_gpus ? gpu.devices : cpu;
      const Problem whole(graph, c.micro_batches);
      answer->bits = whole.train(one, plan_with("single", whole.tasks, one.cluster, CostModel()), "none");
    }
    return *answer;
  }

  Background background_{2};
  Watchdog watchdog_;
  std::map<std::tuple<int, int, bool, int>, std::unique_ptr<Answer>> answers_;
};

TEST_F(ScheduleFuzz, EveryScheduleGivesTheSameBits) {
  if (const char* text = std::getenv("SKUA_FUZZ_CASE")) {
    const Case c = from_text(text);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(verdict(c), "") << describe(c);
    return;
  }
  const std::uint64_t count = for_each_seed([&](std::uint64_t seed) {
    const Case c = draw(seed);
    const std::string wrong = verdict(c);
    if (wrong.empty()) return true;
    const Case simple = simplified(c);
    ADD_FAILURE() << "seed " << seed << ": " << wrong << "\n" << describe(c) << "\nmade simpler: " << describe(simple);
    return false;
  });
  fmt::print("{} cases\n", count);
}

}  // namespace
}  // namespace skua::test
