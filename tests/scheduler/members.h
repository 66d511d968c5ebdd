// The policy `auto` against the policies that it chooses from.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "skua/scheduler/policy.h"

namespace skua::test {

// Simulated seconds of the plan of `auto`. REQUIRES: plans fit in memory.
inline double expect_no_worse_than_members(const TaskGraph& graph, const Cluster& cluster, const CostModel& model,
                                           double budget_seconds) {
  constexpr double kShare = 0.05;  // of those that go on as long as they may
  const auto places = static_cast<double>(graph.task_count() * cluster.device_count());
  const bool small = places * places <= 5e5 * budget_seconds;  // else `linear` takes too long to be a member
  const double automatic = plan_with("auto", graph, cluster, model, {"", budget_seconds}).predicted_seconds;
  for (const char* name : {"single", "data_parallel", "gpipe", "1f1b", "greedy", "heft", "cpop", "peft", "etf", "m_etf",
                           "m_sct", "linear", "convex"}) {
    if (!small && name == std::string("linear")) continue;
    double member = 0;
    try {
      member = plan_with(name, graph, cluster, model, {"", budget_seconds * kShare}).predicted_seconds;
    } catch (const std::invalid_argument&) {  // does not serve this graph
      continue;
    }
    EXPECT_LE(automatic, member * (1 + 1e-9)) << name;
  }
  return automatic;
}

}  // namespace skua::test
