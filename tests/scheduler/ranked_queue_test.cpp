// Ready tasks by rank, against an ordered set, and against the heap that the searches use.
#include "skua/scheduler/ranked_queue.h"

#include <gtest/gtest.h>

#include <set>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "skua/graph/random.h"
#include "skua/scheduler/ready_queue.h"

namespace skua::test {
namespace {

TEST(RankedQueue, IsASetOfRanks) {
  for (const std::size_t ranks : {1, 63, 64, 65, 4096, 4097, 300000}) {  // one word, one more, levels
    RankedQueue queue(ranks);
    std::set<std::uint32_t> expected;
    Random random(ranks);
    for (int i = 0; i < 3000; ++i) {
      const auto rank = static_cast<std::uint32_t>(random.below(ranks));
      if (expected.insert(rank).second) {
        queue.insert(rank, rank);
      } else {
        queue.erase(rank, rank);
        expected.erase(rank);
      }
      ASSERT_EQ(queue.size(), expected.size());
      ASSERT_EQ(queue.empty(), expected.empty());
      if (expected.empty()) continue;
      ASSERT_EQ(queue.first(), *expected.begin());
      ASSERT_EQ(queue.last(), *expected.rbegin());
      const auto above = expected.lower_bound(rank);
      ASSERT_EQ(queue.before(rank), above == expected.begin() ? RankedQueue::kNoRank : *std::prev(above));
    }
    double backlog = 0;
    for (const std::uint32_t rank : expected) backlog += rank;
    EXPECT_DOUBLE_EQ(queue.backlog_seconds(), backlog);
    queue.clear();
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.backlog_seconds(), 0);
    queue.insert(static_cast<std::uint32_t>(ranks - 1), 1);
    EXPECT_EQ(queue.first(), ranks - 1);
  }
}

TEST(RankedQueue, OrdersAsTheHeapDoes) {
  const TaskGraph graph(training_graph(adam()), 6);
  const Cluster cluster = make_cluster("cpu:3");
  Random random(5);
  for (int i = 0; i < 20; ++i) {
    const Schedule schedule(graph, cluster, random_plan(graph, cluster, random));
    const ReadyOrder order(schedule);
    ReadyQueue heap;
    RankedQueue ranks(order.size());
    for (std::size_t t = 0; t < schedule.task_count(); ++t) {
      if (random.below(3) == 0) continue;
      const StepTaskId id(static_cast<std::int64_t>(t));
      heap.push({schedule.task(id).priority, id, 0});
      ranks.insert(order.rank(id), 0);
    }
    while (!heap.empty()) {
      ASSERT_EQ(order.task(ranks.first()), heap.pop().id);
      ranks.erase(ranks.first(), 0);
    }
    EXPECT_TRUE(ranks.empty());
  }
}

}  // namespace
}  // namespace skua::test
