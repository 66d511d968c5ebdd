#include "evaluator.h"

#include "skua/scheduler/policy.h"

namespace skua {
namespace {

// Whatever the devices, so that sums of losses are the same bits on any number of them.
constexpr std::int64_t kMostMicroBatches = 8;

}  // namespace

Evaluator::Evaluator(const Architecture& architecture, const Loss& loss, DeviceSet& devices, std::int64_t batch_size,
                     const std::map<std::string, Tensor>& weights) {
  std::int64_t micro_batches = kMostMicroBatches;
  while (batch_size % micro_batches != 0) --micro_batches;
  model_ = evaluation_graph(architecture, batch_size / micro_batches, loss, 1);
  model_.graph.mark_output(model_.prediction);
  tasks_ = std::make_unique<TaskGraph>(model_.graph, static_cast<int>(micro_batches));
  const Plan plan = plan_with("data_parallel", *tasks_, devices.cluster, CostModel());
  session_ = std::make_unique<Session>(*tasks_, devices, plan, CostModel(), "none");
  for (const auto& [name, tensor] : weights) session_->set_value(model_.graph.find_value(name), tensor);
}

BatchResult Evaluator::run(const Tensor& features, const Tensor& labels) {
  inputs_[model_.features] = &features;
  inputs_[model_.labels] = &labels;
  session_->run(inputs_, {});
  return result_of(model_, *session_);
}

Tensor Evaluator::prediction() const {
  return session_->output(model_.prediction);
}

}  // namespace skua
