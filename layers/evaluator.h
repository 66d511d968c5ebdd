// Forward passes of a model with given weights, in batches of one size.
#pragma once

#include <functional>
#include <memory>

#include "blueprint.h"
#include "skua/engine/session.h"

namespace skua {

class Evaluator {
 public:
  // `make` gives the graph of so many samples. The batch is cut into as many equal micro-batches as it divides into, up
  // to eight, for the devices to share. `devices` must outlive the evaluator. `seed` is that of noise.
  Evaluator(const std::function<ModelGraph(std::int64_t samples)>& make, DeviceSet& devices, std::int64_t batch_size,
            const std::map<std::string, Tensor>& weights, std::uint64_t seed);

  // The batch's number tells noise of one from that of another. Labels may be null where the model needs none.
  void run(const Tensor& features, const Tensor* labels, std::int64_t batch);
  [[nodiscard]] StepResult result() const { return result_of(model_, *session_); }  // REQUIRES: a graph with a loss
  [[nodiscard]] Tensor prediction() const;
  [[nodiscard]] const ModelGraph& model() const { return model_; }

 private:
  ModelGraph model_;
  std::unique_ptr<TaskGraph> tasks_;
  std::unique_ptr<Session> session_;
  std::map<ValueId, const Tensor*> inputs_;
  std::uint64_t seed_;
};

}  // namespace skua
