// A small graph to be trained: what it starts from, what it is fed, and the bits that it ends with.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "graph/small_graphs.h"
#include "skua/engine/session.h"
#include "skua/graph/random.h"
#include "skua/graph/sha256.h"

namespace skua::test {

inline constexpr float kLearningRate = 0.01F;

inline Tensor random_tensor(const ValueType& type, std::uint64_t seed) {
  Tensor tensor(type);
  Random random(seed);
  if (type.dtype == DType::kInt32) {
    for (std::int32_t& x : tensor.ints()) x = static_cast<std::int32_t>(random.below(4));
  } else {
    for (float& x : tensor.floats()) x = static_cast<float>(random.uniform(-1, 1));
  }
  return tensor;
}

// The batch of a step and where training starts from, by micro-batch count.
struct Problem {
  TaskGraph tasks;
  std::map<ValueId, Tensor> batch;
  std::map<ValueId, const Tensor*> inputs;

  Problem(const Graph& graph_of_step, int micro_batches, int sharers = 1)
      : tasks(graph_of_step, micro_batches, Constraints{}, sharers) {
    for (ValueId id : graph().values_of(ValueKind::kInput)) {
      ValueType type = graph().value(id).type;
      std::vector<std::int64_t> extents = type.shape.extents();
      extents[0] *= micro_batches;
      type.shape = Shape(extents);
      batch[id] = random_tensor(type, static_cast<std::uint64_t>(id.value));
    }
    for (const auto& [id, tensor] : batch) inputs[id] = &tensor;
  }

  [[nodiscard]] const Graph& graph() const { return tasks.graph(); }

  void start(Session& session) const {
    for (ValueId id : graph().values_of(ValueKind::kParameter)) {
      session.set_value(id, random_tensor(graph().value(id).type, static_cast<std::uint64_t>(id.value)));
    }
    for (ValueId id : graph().values_of(ValueKind::kState)) session.set_value(id, Tensor(graph().value(id).type));
  }

  // All parameters and states.
  void add_state(const Session& session, Sha256& hash) const {
    for (const ValueKind kind : {ValueKind::kParameter, ValueKind::kState}) {
      for (ValueId id : graph().values_of(kind)) {
        const Tensor tensor = session.value(id);
        hash.update(std::span(tensor.data(), tensor.bytes()));
      }
    }
  }

  // Hash of all parameters, states and the last losses.
  [[nodiscard]] std::string bits(const Session& session) const {
    Sha256 hash;
    add_state(session, hash);
    for (ValueId id : graph().outputs()) {
      const Tensor tensor = session.output(id);
      hash.update(std::span(tensor.data(), tensor.bytes()));
    }
    return hash.hex();
  }

  std::string train(DeviceSet& devices, const Plan& plan, const std::string& rule, std::uint64_t seed = 0) const {
    constexpr int kSteps = 2;
    Session session(tasks, devices, plan, CostModel(), {rule, seed});
    start(session);
    for (int step = 0; step < kSteps; ++step) session.run(inputs, {step, kLearningRate, 0});
    return bits(session);
  }
};

}  // namespace skua::test
