#include "workload.h"

#include <fmt/format.h>

#include <numeric>
#include <stdexcept>

#include "skua/engine/estimates.h"

namespace skua::cli {

Workload::Workload(const models::Recipe& recipe, DeviceSet devices, std::optional<std::int64_t> batch,
                   int micro_batches, CostModel costs)
    : compile_(recipe.compile),
      batch_(batch.value_or(recipe.batch_size)),
      devices_(std::move(devices)),
      costs_(std::move(costs)) {
  if (!recipe.data) throw std::invalid_argument(fmt::format("[bench] expected a model with data, got {}", recipe.name));
  Model model = recipe.make();
  tasks_ = std::make_unique<TaskGraph>(model.training_graph(batch_, micro_batches, compile_), micro_batches,
                                       Constraints{}, devices_.cluster.sharers());
  add_estimates(*tasks_, devices_, costs_);
  model.compile(compile_);
  weights_ = model.weights();
  read_batch(*recipe.data("").pair.train);
}

Plan Workload::plan(const std::string& policy, const CostModel& costs, double plan_seconds) const {
  return plan_with(policy, *tasks_, devices_.cluster, costs, {"", plan_seconds});
}

std::unique_ptr<Session> Workload::open(const Plan& plan, const CostModel& costs, const std::string& stealing) {
  return std::make_unique<Session>(*tasks_, devices_, plan, costs, SessionOptions{stealing});
}

void Workload::calibrate(int steps) {
  const auto session = open(plan("data_parallel", costs_, 0), costs_, "none");
  run(*session, steps, [&](const StepTrace& trace) { observe(session->schedule(), trace, costs_); });
}

void Workload::run(Session& session, int steps, const std::function<void(const StepTrace&)>& action) const {
  const Graph& graph = tasks_->graph();
  for (const auto& [name, tensor] : weights_) session.set_value(graph.find_value(name), tensor);
  for (ValueId id : graph.values_of(ValueKind::kState)) session.set_value(id, Tensor(graph.value(id).type));
  std::map<ValueId, const Tensor*> inputs{{graph.find_value("features"), &features_}};
  if (const ValueId labels = graph.find_value("labels"); labels.valid()) inputs[labels] = &labels_;
  StepTrace trace;
  for (int step = 0; step < kWarmUpSteps + steps; ++step) {
    session.run(inputs, {step, static_cast<float>(compile_.optimizer.learning_rate), compile_.seed}, &trace);
    if (step >= kWarmUpSteps) action(trace);
  }
}

void Workload::read_batch(const Dataset& data) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(batch_));
  std::iota(rows.begin(), rows.end(), 0);
  for (std::int64_t& row : rows) row %= data.size();
  const auto batch_of = [&](const ValueType& row) {
    std::vector<std::int64_t> extents = row.shape.extents();
    extents.insert(extents.begin(), batch_);
    return ValueType{Shape(std::move(extents)), row.dtype};
  };
  features_ = Tensor(batch_of(data.feature_type()));
  labels_ = Tensor(batch_of(data.label_type()));
  data.read(rows, features_, labels_);
}

}  // namespace skua::cli
