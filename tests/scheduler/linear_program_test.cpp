#include "scheduler/linear_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "skua/graph/random.h"

namespace skua::test {
namespace {

constexpr double kEnough = 100;  // seconds

// The two parts of a transport problem: 3 and 4 units from two places to two others that take 2 and 5, at costs 1, 4,
// 2, 3. By hand: 2 from the first to the first (2), 1 to the second (4), 4 from the second (12).
TEST(LinearProgram, SolvesATransportProblem) {
  LinearProgram program;
  for (const double cost : {1.0, 4.0, 2.0, 3.0}) program.add_variable(0, LinearProgram::kInfinity, cost);
  program.add_row(3, {{0, 1}, {1, 1}}, 3);
  program.add_row(4, {{2, 1}, {3, 1}}, 4);
  program.add_row(2, {{0, 1}, {2, 1}}, 2);
  program.add_row(5, {{1, 1}, {3, 0.5}, {3, 0.5}}, 5);  // terms of one variable add up
  const LinearProgram::Solution solution = program.relax(kEnough);
  EXPECT_NEAR(solution.objective, 18, 1e-7);
  EXPECT_NEAR(solution.bound, 18, 1e-7);
  ASSERT_EQ(solution.values.size(), 4U);
  EXPECT_NEAR(solution.values[0], 2, 1e-7);
}

// Knapsacks of 10 things against all 1024 choices.
TEST(LinearProgram, IntegersEqualTheBestOfAllChoices) {
  Random random(3, 0);
  for (int trial = 0; trial < 100; ++trial) {
    LinearProgram program;
    std::vector<double> values;
    std::vector<double> weights;
    std::vector<LinearProgram::Term> sum;
    for (int i = 0; i < 10; ++i) {
      values.push_back(1 + static_cast<double>(random.below(100)));
      weights.push_back(1 + static_cast<double>(random.below(100)));
      program.add_variable(0, 1, -values.back(), true);
      sum.push_back({i, weights.back()});
    }
    program.add_row(-LinearProgram::kInfinity, sum, 200);
    double best = 0;
    for (unsigned set = 0; set < 1024; ++set) {
      double value = 0;
      double weight = 0;
      for (unsigned i = 0; i < 10; ++i) {
        if ((set >> i & 1U) == 0) continue;
        value += values[i];
        weight += weights[i];
      }
      if (weight <= 200) best = std::max(best, value);
    }
    const LinearProgram::Solution solution = program.solve(kEnough);
    EXPECT_NEAR(-solution.objective, best, 1e-6);
    EXPECT_NEAR(-solution.bound, best, 1e-6);
    const LinearProgram::Solution relaxed = program.relax(kEnough);
    EXPECT_GE(-relaxed.bound, best - 1e-6);
  }
}

TEST(LinearProgram, SaysWhereThereIsNoSolutionAndWhereItStopped) {
  LinearProgram halves;
  halves.add_variable(0, 1, 1, true);
  halves.add_row(0.4, {{0, 1}}, 0.6);
  EXPECT_TRUE(halves.solve(kEnough).values.empty());
  EXPECT_EQ(halves.solve(kEnough).bound, LinearProgram::kInfinity);
  EXPECT_NEAR(halves.relax(kEnough).objective, 0.4, 1e-7);
}

// 60 tasks of odd lengths on 4 devices: not proved at once, as many plans are as good.
TEST(LinearProgram, StoppedEarlyItKeepsABoundBelowItsSolution) {
  LinearProgram program;
  const int makespan = program.add_variable(0, LinearProgram::kInfinity, 1);
  std::vector<std::vector<LinearProgram::Term>> loads(4, {{makespan, -1}});
  double work = 0;
  for (int i = 0; i < 60; ++i) {
    const double seconds = 1 + 0.37 * (i * 7 % 13);
    work += seconds;
    std::vector<LinearProgram::Term> shares;
    for (auto& load : loads) {
      shares.push_back({program.add_variable(0, 1, 0, true), 1});
      load.push_back({shares.back().variable, seconds});
    }
    program.add_row(1, shares, 1);
  }
  for (const auto& load : loads) program.add_row(-LinearProgram::kInfinity, load, 0);
  const LinearProgram::Solution stopped = program.solve(0.01);
  EXPECT_FALSE(stopped.values.empty());
  EXPECT_NEAR(stopped.bound, work / 4, 1e-6 * work);
  EXPECT_GT(stopped.objective, stopped.bound * (1 + 1e-9));
  EXPECT_LT(stopped.objective, stopped.bound * 1.05);
}

}  // namespace
}  // namespace skua::test
