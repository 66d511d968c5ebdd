// Gradient sums by collectives on GPUs of host threads, whose communicator adds in the order of ranks.
#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "engine/collectives.h"
#include "engine/fuzz_graphs.h"
#include "engine/problem.h"
#include "fake/fake_devices.h"
#include "scheduler/plans.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

using fake::FakeDevices;

const SessionOptions kNccl{.collectives = "nccl"};

Plan data_parallel(const Problem& problem, const FakeDevices& gpus) {
  return plan_with("data_parallel", problem.tasks, gpus.devices.cluster, CostModel());
}

void train(const Problem& problem, Session& session, int steps, float rate = kLearningRate) {
  problem.start(session);
  for (int step = 0; step < steps; ++step) session.run(problem.inputs, {step, rate, 3});
}

std::vector<float> floats(const Problem& problem, const Session& session, const std::string& but = "") {
  std::vector<float> all;
  for (const ValueId id : problem.graph().values_of(ValueKind::kParameter)) {
    if (problem.graph().value(id).name == but) continue;
    const Tensor value = session.value(id);
    all.insert(all.end(), value.floats().begin(), value.floats().end());
  }
  return all;
}

// Gradients are whole numbers, and with a rate that is a power of two all else is exact as well: sums have the same
// bits in any order.
Graph whole_step() {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 4}});
  const ValueId target = graph.add_input("target", {{2, 3}});
  ValueId y = graph.add_node({"relu", {}}, {add_dense(graph, x, 4, 5, "first")}, "relu").at(0);
  y = add_dense(graph, y, 5, 3, "second");
  const ValueId loss = graph.add_node({"absolute_error", {{"scale", 1.0}}}, {y, target}, "loss").at(0);
  graph.mark_output(loss);
  append_updates(graph, append_gradients(graph, loss), sgd(0));
  return graph;
}

void round(Tensor& tensor) {
  for (float& value : tensor.floats()) value = std::round(4 * value);
}

std::string whole_bits(const Problem& problem, DeviceSet& devices, const Plan& plan, const SessionOptions& options) {
  Session session(problem.tasks, devices, plan, CostModel(), options);
  for (const ValueId id : problem.graph().values_of(ValueKind::kParameter)) {
    Tensor start = random_tensor(problem.graph().value(id).type, static_cast<std::uint64_t>(id.value));
    round(start);
    session.set_value(id, start);
  }
  for (int step = 0; step < 3; ++step) session.run(problem.inputs, {step, 0.25F, 0});
  return problem.bits(session);
}

TEST(Collectives, WholeNumbersHaveTheBitsOfTheTreeUnderAnyPlan) {
  Random random(3);
  long reduces = 0;
  for (const int micro_batches : {1, 2, 3, 4, 8}) {
    Problem problem(whole_step(), micro_batches);
    for (auto& [id, tensor] : problem.batch) round(tensor);
    FakeDevices one("cuda:0");
    const std::string expected =
        whole_bits(problem, one.devices, one_device_plan(problem.tasks, one.devices.cluster), {});
    for (const char* const spec : {"cuda:0", "cuda:0,1", "cuda"}) {
      FakeDevices gpus(spec);
      gpus.runtime.delay(1, 100e-6);
      std::vector<Plan> plans{data_parallel(problem, gpus)};
      const int random_plans = micro_batches == 2 ? 12 : 3;  // with 2 mostly all sums are of the same GPUs
      for (int i = 0; i < random_plans; ++i) plans.push_back(random_plan(problem.tasks, gpus.devices.cluster, random));
      for (const Plan& plan : plans) {
        for (const bool recorded : {false, true}) {
          ASSERT_EQ(whole_bits(problem, gpus.devices, plan, {.records_step = recorded, .collectives = "nccl"}),
                    expected)
              << spec << ", " << micro_batches << " micro-batches, recorded " << recorded;
        }
      }
      reduces += gpus.runtime.reduced().reduces;
      EXPECT_TRUE(gpus.devices.devices.size() > 1 || gpus.runtime.reduced().groups == 0);
    }
  }
  EXPECT_GT(reduces, 100);
}

// Adam after 10 steps: as close as a GPU is to a CPU, which sum in different orders as well.
TEST(Collectives, WeightsAgreeWithTheTree) {
  const std::vector<std::pair<std::string, Graph>> steps{
      {"cnn", training_graph(adam())}, {"rnn", rnn_step()}, {"lstm", lstm_step()}, {"gan", gan_step()}};
  for (const auto& [name, graph] : steps) {
    const Problem problem(graph, 4);
    for (const char* const spec : {"cuda:0,1", "cuda"}) {
      FakeDevices gpus(spec);
      const auto weights = [&](const SessionOptions& options) {
        Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(), options);
        train(problem, session, 10);
        return floats(problem, session, "make1.bias");  // its gradient is 0 but for roundings
      };
      const std::vector<float> tree = weights({});
      const std::vector<float> sums = weights(kNccl);
      EXPECT_GT(gpus.runtime.reduced().groups, 0) << name;
      ASSERT_EQ(sums.size(), tree.size());
      for (std::size_t i = 0; i < tree.size(); ++i) {
        ASSERT_NEAR(sums[i], tree[i], 1e-4 * std::max(1.0F, std::abs(tree[i]))) << name << " on " << spec << " " << i;
      }
    }
  }
}

// Plain steps: a sum of M numbers is off by at most (M-1) u sum|x| in any order (Higham, "Accuracy and stability of
// numerical algorithms", 4.2, to first order), for each of the two; the update rounds twice at most.
TEST(Collectives, SumsAreOffByNoMoreThanTheirOrderExplains) {
  constexpr int kParts = 4;
  constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
  const Graph graph = training_graph(sgd(0));
  const Problem whole(graph, kParts);
  FakeDevices gpus("cuda");
  const auto weights = [&](const Problem& problem, const Plan& plan, const SessionOptions& options, int steps) {
    Session session(problem.tasks, gpus.devices, plan, CostModel(), options);
    train(problem, session, steps);
    return floats(problem, session);
  };
  const std::vector<float> tree = weights(whole, data_parallel(whole, gpus), {}, 1);
  const std::vector<float> sums = weights(whole, data_parallel(whole, gpus), kNccl, 1);
  std::vector<double> sizes(tree.size(), 0);  // of the rate times the parts of the gradient, without their signs
  for (int m = 0; m < kParts; ++m) {
    Problem part(graph, 1);
    for (auto& [id, tensor] : part.batch) {
      const std::byte* const from = whole.batch.at(id).data() + static_cast<std::size_t>(m) * tensor.bytes();
      std::copy_n(from, tensor.bytes(), tensor.data());
    }
    const Plan alone = one_device_plan(part.tasks, gpus.devices.cluster);
    const std::vector<float> before = weights(part, alone, {}, 0);
    const std::vector<float> after = weights(part, alone, {}, 1);
    for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] += std::abs(static_cast<double>(after[i]) - before[i]);
  }
  int differ = 0;
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const double bound = 2 * (kParts - 1) * kUnit * sizes[i] + 4 * kUnit * std::abs(tree[i]);
    ASSERT_NEAR(sums[i], tree[i], 1.01 * bound) << i;
    differ += sums[i] != tree[i] ? 1 : 0;
  }
  EXPECT_GT(differ, 0);  // or the tree was taken
}

TEST(Collectives, OnePlanGivesTheSameBitsInEveryRun) {
  Random random(8);
  const Problem problem(lstm_step(), 4);
  FakeDevices gpus("cuda");
  for (const bool is_random : {false, true}) {
    const Plan plan =
        is_random ? random_plan(problem.tasks, gpus.devices.cluster, random) : data_parallel(problem, gpus);
    std::set<std::string> bits;
    for (int run = 0; run < 20; ++run) {
      for (int gpu = 0; gpu < 4; ++gpu) gpus.runtime.delay(gpu, random.below(2) == 0 ? 0 : random.uniform(0, 100e-6));
      Session session(problem.tasks, gpus.devices, plan, CostModel(),
                      {.records_step = run % 4 == 3, .collectives = "nccl"});
      train(problem, session, 2);
      bits.insert(problem.bits(session));
    }
    EXPECT_EQ(bits.size(), 1U);
  }
}

// A schedule's costs after a step whose times are random.
CostModel random_costs(const Schedule& schedule, Random& random) {
  StepTrace trace;
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const LaneId lane = schedule.task(StepTaskId(static_cast<std::int64_t>(i))).lane;
    trace.records.push_back({lane, 0, random.uniform(0, 1)});
  }
  CostModel model;
  observe(schedule, trace, model);
  return model;
}

// What is summed by whom, and in which groups: NCCL's bits may depend on either.
TEST(Collectives, MeasuredTimesDoNotChangeTheBits) {
  Random random(9);
  for (const auto& graph : {training_graph(adam()), lstm_step(), gan_step()}) {
    const Problem problem(graph, 2);
    FakeDevices gpus("cuda:0,1");
    for (int i = 0; i < 12; ++i) {
      const Plan plan =
          i == 0 ? data_parallel(problem, gpus) : random_plan(problem.tasks, gpus.devices.cluster, random);
      const Schedule schedule(problem.tasks, gpus.devices.cluster, plan);
      std::set<std::string> bits;
      std::set<std::pair<long, long>> groups;
      for (int run = 0; run < 6; ++run) {
        const auto before = gpus.runtime.reduced();
        Session session(problem.tasks, gpus.devices, plan, random_costs(schedule, random), kNccl);
        train(problem, session, 2);
        bits.insert(problem.bits(session));
        const auto after = gpus.runtime.reduced();
        groups.emplace(after.groups - before.groups, after.reduces - before.reduces);
      }
      EXPECT_EQ(bits.size(), 1U);
      EXPECT_EQ(groups.size(), 1U);
    }
  }
}

TEST(Collectives, AStepHasOneGroupOfAllGradientsThatFitABucket) {
  const Problem problem(training_graph(adam()), 8);
  FakeDevices gpus("cuda");
  Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(), kNccl);
  train(problem, session, 3);
  EXPECT_EQ(gpus.runtime.reduced().groups, 3);
  EXPECT_EQ(gpus.runtime.reduced().reduces, 3 * 6);  // weight and bias of three layers
  EXPECT_EQ(gpus.runtime.reduced().most_ranks, 4);
}

TEST(Collectives, WhatIsNotOneSumOnEachGpuStaysATree) {
  const auto reduces = [](const std::string& spec, int micro_batches) {
    const Problem problem(training_graph(adam()), micro_batches);
    FakeDevices gpus(spec);
    Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(), kNccl);
    train(problem, session, 1);
    return gpus.runtime.reduced().reduces;
  };
  EXPECT_EQ(reduces("cuda:0,1,2", 6), 6);
  EXPECT_EQ(reduces("cuda:0,1,2", 3), 6);
  EXPECT_EQ(reduces("cuda:0,1", 6), 0);  // 0+1 and 2, 3 and 4+5
  EXPECT_EQ(reduces("cuda:0,1", 1), 0);
}

// The leaves of a gradient's tree, by the tree's own definition.
std::multiset<int> leaves(const TaskGraph& graph, DatumId sum) {
  const TaskId producer = graph.datum(sum).producer;
  if (graph.task(producer).kind != TaskKind::kReduce) return {graph.datum(sum).micro_batch};
  std::multiset<int> all;
  for (const DatumId operand : graph.inputs(producer)) all.merge(leaves(graph, operand));
  return all;
}

TEST(Collectives, BucketsHoldWholeSumsAndAreWaitedFor) {
  Random random(4);
  int partly = 0;
  int roots = 0;  // buckets with several
  for (int i = 0; i < 60; ++i) {
    const int micro_batches = i < 30 ? 2 + static_cast<int>(random.below(7)) : 2;
    const Problem problem(i % 2 == 0 ? training_graph(adam()) : gan_step(), micro_batches);
    FakeDevices gpus(i < 30 ? "cuda" : "cuda:0,1");
    const Plan plan =
        i % 3 == 0 ? data_parallel(problem, gpus) : random_plan(problem.tasks, gpus.devices.cluster, random);
    Schedule schedule(problem.tasks, gpus.devices.cluster, plan);
    const CostTable costs(problem.tasks, gpus.devices.cluster, CostModel());
    const std::size_t bucket_bytes = random.below(300);
    const auto buckets = plan_collectives(schedule, simulate(schedule, costs), bucket_bytes);
    for (const SumBucket& bucket : buckets) {
      std::set<StepTaskId> inside;
      std::size_t bytes = 0;
      for (const CrossingSum& sum : bucket.sums) {
        bytes += 4 * sum.floats;
        inside.insert(sum.tasks.begin(), sum.tasks.end());
        EXPECT_EQ(sum.devices, bucket.sums.front().devices);
        EXPECT_EQ(std::set(sum.devices.begin(), sum.devices.end()).size(), sum.devices.size());
        std::multiset<int> all;
        for (std::size_t rank = 0; rank < sum.devices.size(); ++rank) {
          EXPECT_EQ(gpus.devices.cluster.device(sum.devices[rank]).memory, schedule.home(sum.partials[rank]));
          all.merge(leaves(problem.tasks, sum.partials[rank]));
        }
        EXPECT_EQ(all.size(), static_cast<std::size_t>(micro_batches));
        EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size());
        const DatumId whole = problem.tasks.outputs(schedule.task(sum.last).task)[0];
        EXPECT_EQ(schedule.home(whole), gpus.devices.cluster.device(sum.devices[sum.root]).memory);
        EXPECT_EQ(problem.tasks.datum(whole).storage, problem.tasks.datum(sum.partials[sum.root]).storage);
      }
      EXPECT_TRUE(bucket.sums.size() == 1 || bytes <= bucket_bytes);
      partly += bucket.sums.size() > 1 ? 1 : 0;
      roots += bucket.sums.front().root != bucket.sums.back().root ? 1 : 0;
      const StepTaskId last = bucket.sums.back().last;
      const auto& waiting = schedule.successors(last);
      for (const StepTaskId task : inside) {
        for (const StepTaskId next : schedule.successors(task)) {
          if (inside.count(next) != 0) continue;
          EXPECT_NE(std::find(waiting.begin(), waiting.end(), next), waiting.end());
        }
      }
    }
  }
  EXPECT_GT(partly, 10);
  EXPECT_GT(roots, 5);
}

TEST(Collectives, BadInputIsAnErrorThatNamesTheOption) {
  const Problem problem(training_graph(adam()), 2);
  const auto error = [&](DeviceSet& devices, const SessionOptions& options) {
    const Plan plan = one_device_plan(problem.tasks, devices.cluster);
    return message_of([&] { Session(problem.tasks, devices, plan, CostModel(), options); });
  };
  FakeDevices gpus("cuda:0,1");
  FakeDevices parts("cuda:0/2");
  DeviceSet cpus = make_cpu_devices(2);
  EXPECT_EQ(error(gpus.devices, {.collectives = "ring"}), "[collectives] expected one of fixed_tree, nccl, got ring");
  EXPECT_EQ(error(gpus.devices, {.steal_rule = "cost", .collectives = "nccl"}),
            "[collectives] expected stealing none with nccl, got stealing cost");
  EXPECT_EQ(error(cpus, kNccl), "[collectives] expected devices with NCCL, got cpu:2");
  EXPECT_EQ(error(parts.devices, kNccl), "[nccl] expected one rank a GPU, got ranks 0 and 1 on GPU 0");
}

TEST(Collectives, ALostGpuIsNamedWheneverItIsLost) {
  const Problem problem(training_graph(adam()), 4);
  for (int gpu = 0; gpu < 4; ++gpu) {
    bool is_lost = true;
    long index = 0;
    for (; is_lost && index < 200; index += 3) {
      FakeDevices gpus("cuda");
      Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(), kNccl);
      train(problem, session, 1);
      gpus.runtime.lose_at(gpu, index);
      try {
        session.run(problem.inputs, {1, kLearningRate, 0});
        is_lost = false;  // there is no such work in a step, or nobody has looked behind it
      } catch (const DeviceLost& error) {
        EXPECT_EQ(error.device(), DeviceId(gpu)) << error.what();
      }
    }
    EXPECT_GT(index, 20);
  }
}

TEST(Collectives, AFailedWorkEndsTheStepAndTheSessionStaysUsable) {
  const Problem problem(training_graph(adam()), 4);
  FakeDevices gpus("cuda:0,1");
  Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(),
                  {.saves_updates = true, .collectives = "nccl"});
  train(problem, session, 1);
  int failures = 0;
  for (long index = 0; index < 200; ++index) {
    gpus.runtime.fail_at(static_cast<int>(index % 2), index / 2);
    try {
      session.run(problem.inputs, {1, kLearningRate, 3});
      break;  // there is no such work in a step
    } catch (const std::runtime_error& error) {
      ++failures;
    }
    EXPECT_TRUE(session.holds_state());
  }
  gpus.runtime.fail_at(0, -1000000);
  gpus.runtime.fail_at(1, -1000000);
  EXPECT_GT(failures, 20);
  const auto bits = [&](Session& trained) {
    train(problem, trained, 2);
    return problem.bits(trained);
  };
  Session other(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(), kNccl);
  EXPECT_EQ(bits(session), bits(other));
}

// One GPU is late: a reduce that does not wait for it reads what is not there yet.
TEST(Collectives, SumsWithoutTheirWaitsGiveOtherBits) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer reports them: see below";
#endif
  const Problem problem(training_graph(adam()), 4);
  for (const bool recorded : {false, true}) {
    FakeDevices gpus("cuda");
    gpus.runtime.delay(2, 300e-6);
    const auto bits = [&]() -> std::string {
      Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(),
                      {.records_step = recorded, .collectives = "nccl"});
      try {
        train(problem, session, 2);
      } catch (const std::invalid_argument& error) {
        return error.what();  // labels that were read before they were there
      }
      return problem.bits(session);
    };
    const std::string expected = bits();
    gpus.runtime.drop_waits(0, 1000000);
    EXPECT_NE(bits(), expected);
    gpus.runtime.drop_waits(0, 0);
    EXPECT_EQ(bits(), expected);
  }
}

// In a process of its own, as ThreadSanitizer tells by its exit status.
[[noreturn]] void run_steps(bool recorded, long first_dropped, long dropped) {
  try {
    const Problem problem(training_graph(adam()), 4);
    FakeDevices gpus("cuda");
    gpus.runtime.drop_waits(first_dropped, dropped);
    Session session(problem.tasks, gpus.devices, data_parallel(problem, gpus), CostModel(),
                    {.records_step = recorded, .collectives = "nccl"});
    train(problem, session, 3);
  } catch (const std::invalid_argument&) {  // labels that were read before they were there
  }
  std::exit(0);
}

TEST(CollectivesDeathTest, ThreadSanitizerSeesDroppedWaits) {
#ifndef __SANITIZE_THREAD__
  GTEST_SKIP() << "needs ThreadSanitizer";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const bool recorded : {false, true}) {
    EXPECT_EXIT(run_steps(recorded, 0, 0), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(run_steps(recorded, 0, LONG_MAX), testing::ExitedWithCode(66), "data race");
  }
}

}  // namespace
}  // namespace skua::test
