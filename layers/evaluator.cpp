#include "evaluator.h"

#include "skua/scheduler/policy.h"

namespace skua {
namespace {

// Whatever the devices, so that sums of losses are the same bits on any number of them.
constexpr std::int64_t kMostMicroBatches = 8;

}  // namespace

Evaluator::Evaluator(const std::function<ModelGraph(std::int64_t samples)>& make, DeviceSet& devices,
                     std::int64_t batch_size, const std::map<std::string, Tensor>& weights, std::uint64_t seed)
    : seed_(seed) {
  std::int64_t micro_batches = kMostMicroBatches;
  while (batch_size % micro_batches != 0) --micro_batches;
  model_ = make(batch_size / micro_batches);
  model_.graph.mark_output(model_.prediction);
  tasks_ = std::make_unique<TaskGraph>(model_.graph, static_cast<int>(micro_batches));
  const Plan plan = plan_with("data_parallel", *tasks_, devices.cluster, CostModel());
  session_ = std::make_unique<Session>(*tasks_, devices, plan, CostModel());
  for (const auto& [name, tensor] : weights) {
    const ValueId parameter = model_.graph.find_value(name);
    if (parameter.valid()) session_->set_value(parameter, tensor);
  }
}

void Evaluator::run(const Tensor& features, const Tensor* labels, std::int64_t batch) {
  inputs_[model_.features] = &features;
  if (model_.labels.valid()) inputs_[model_.labels] = labels;
  session_->run(inputs_, {batch, 0, seed_});
}

Tensor Evaluator::prediction() const {
  return session_->output(model_.prediction);
}

}  // namespace skua
