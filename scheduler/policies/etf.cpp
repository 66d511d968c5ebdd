#include "earliest_task_first.h"

namespace skua {
namespace {

// Hwang, Chow, Anger, Lee, "Scheduling precedence graphs in systems with interprocessor communication times", SIAM J.
// Comput. 18(2), 1989.
class Etf final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    return earliest_task_first(CostTable(graph, cluster, model), {});
  }
};

// ETF within memory limits: Jeon et al., "Baechi: fast device placement of machine learning graphs", SoCC 2020, m-ETF.
class MEtf final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    return earliest_task_first_in_memory(CostTable(graph, cluster, model), {});
  }
};

}  // namespace

std::unique_ptr<Policy> make_etf_policy(const PolicyOptions&) {
  return std::make_unique<Etf>();
}

std::unique_ptr<Policy> make_m_etf_policy(const PolicyOptions&) {
  return std::make_unique<MEtf>();
}

}  // namespace skua
