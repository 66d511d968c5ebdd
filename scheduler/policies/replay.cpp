#include <stdexcept>

#include "builtin.h"

namespace skua {
namespace {

class Replay final : public Policy {
 public:
  explicit Replay(std::string file) : file_(std::move(file)) {}
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel&) const override {
    Plan plan = load_plan(file_);
    validate(plan, graph, cluster);
    return plan;
  }

 private:
  std::string file_;
};

}  // namespace

std::unique_ptr<Policy> make_replay_policy(const PolicyOptions& options) {
  if (options.plan_file.empty()) throw std::invalid_argument("[policy replay] expected a plan file, got none");
  return std::make_unique<Replay>(options.plan_file);
}

}  // namespace skua
