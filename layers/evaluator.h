// Forward passes of a model with given weights, in batches of one size.
#pragma once

#include <memory>

#include "model_graph.h"
#include "skua/engine/session.h"

namespace skua {

class Evaluator {
 public:
  // The batch is cut into as many equal micro-batches as it divides into, up to eight, for the devices to share.
  // `devices` must outlive the evaluator.
  Evaluator(const Architecture& architecture, const Loss& loss, DeviceSet& devices, std::int64_t batch_size,
            const std::map<std::string, Tensor>& weights);

  BatchResult run(const Tensor& features, const Tensor& labels);
  [[nodiscard]] Tensor prediction() const;  // of the last run

 private:
  ModelGraph model_;
  std::unique_ptr<TaskGraph> tasks_;
  std::unique_ptr<Session> session_;
  std::map<ValueId, const Tensor*> inputs_;
};

}  // namespace skua
