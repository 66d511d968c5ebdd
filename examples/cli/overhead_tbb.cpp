// oneTBB's sides of `skua bench overhead`: its flow graph, and tasks that count their predecessors by hand.
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "overhead.h"

namespace skua::cli {
namespace {

namespace flow = oneapi::tbb::flow;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A node per task and an edge per dependency; messages without content.
class FlowGraph {
 public:
  FlowGraph(BenchTasks& tasks, int workers) : tasks_(tasks), arena_(workers) {
    arena_.execute([&] { build(); });  // a graph runs in the arena that it is made in
  }

  void run() {
    arena_.execute([this] {
      for (const std::uint32_t root : tasks_.roots()) nodes_[root].try_put({});
      graph_->wait_for_all();
    });
  }

 private:
  using Message = flow::continue_msg;

  void build() {
    graph_.emplace();
    for (std::size_t task = 0; task < tasks_.count(); ++task) {
      nodes_.emplace_back(*graph_, [this, task](const Message&) { tasks_.run_task(task); });
      for (const std::uint32_t before : tasks_.predecessors(task)) flow::make_edge(nodes_[before], nodes_[task]);
    }
  }

  BenchTasks& tasks_;
  oneapi::tbb::task_arena arena_;
  std::optional<flow::graph> graph_;
  std::deque<flow::continue_node<Message>> nodes_;
};

// Whoever ends the last predecessor of some tasks goes on with one of them, and hands the others to oneTBB.
class CountedTasks {
 public:
  CountedTasks(BenchTasks& tasks, int workers) : tasks_(tasks), arena_(workers), missing_(tasks.count()) {
    for (std::size_t task = 0; task < tasks.count(); ++task) missing_[task] = predecessor_count(task);
  }

  void run() {
    arena_.execute([this] {
      oneapi::tbb::task_group group;
      for (const std::uint32_t root : tasks_.roots()) spawn(group, root);
      group.wait();
    });
  }

 private:
  [[nodiscard]] int predecessor_count(std::size_t task) const {
    return static_cast<int>(tasks_.predecessors(task).size());
  }

  void spawn(oneapi::tbb::task_group& group, std::uint32_t task) {
    group.run([this, &group, task] { run_from(group, task); });
  }

  void run_from(oneapi::tbb::task_group& group, std::uint32_t task) {
    for (std::optional<std::uint32_t> next = task; next;) {
      const std::uint32_t current = *next;
      next.reset();
      tasks_.run_task(current);
      for (const std::uint32_t after : tasks_.successors(current)) {
        if (missing_[after].fetch_sub(1, std::memory_order_acq_rel) > 1) continue;
        missing_[after].store(predecessor_count(after), std::memory_order_relaxed);  // for the next run
        if (next) {
          spawn(group, after);
        } else {
          next = after;
        }
      }
    }
  }

  BenchTasks& tasks_;
  oneapi::tbb::task_arena arena_;
  std::vector<std::atomic<int>> missing_;  // predecessors that have not ended, by task
};

template <class Runner>
OverheadSide side_of(const std::string& name, BenchTasks& tasks, int workers) {
  const auto start = Clock::now();
  const auto runner = std::make_shared<Runner>(tasks, workers);
  return {name, seconds_since(start), [runner] { runner->run(); }};
}

}  // namespace

std::vector<OverheadSide> tbb_sides(BenchTasks& tasks, int workers) {
  return {side_of<FlowGraph>("oneTBB flow graph", tasks, workers),
          side_of<CountedTasks>("oneTBB task group", tasks, workers)};
}

}  // namespace skua::cli
