// A graph, planned and made ready on devices: memory laid out, programs compiled, parameters in place. Runs one step
// after another. One thread at a time. Owns everything but the devices.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "skua/engine/executor.h"
#include "skua/graph/tensor.h"
#include "skua/scheduler/cost_model.h"
#include "skua/scheduler/memory_plan.h"

namespace skua {

struct SessionStats {
  std::vector<std::size_t> peak_bytes;  // by memory of the cluster: arena bytes, as planned and as allocated
};

struct SessionOptions {
  std::string steal_rule = "none";  // one of steal_rule_names()
  std::uint64_t seed = 0;           // of thefts
  // A step that fails leaves parameters and states as they were before it; updates then save what they are about to
  // change.
  bool saves_updates = false;
  // The first step is recorded, and replayed for every step; traces have its seconds alone. For devices with streams,
  // without thefts and without saves_updates.
  bool records_step = false;
  // How gradients are summed across memories: "fixed_tree" by copies and adds, with the same bits under every plan;
  // "nccl" by reduces of NCCL between GPUs, where each memory makes one partial sum (what is not of that kind stays a
  // tree), with the same bits in every run under one plan, but others than the tree's and than another plan's. "nccl"
  // needs CUDA devices of one GPU each, and no thefts. Simulations do not know it: they have the tree's copies and
  // adds.
  std::string collectives = "fixed_tree";
};

[[nodiscard]] const std::vector<std::string>& collectives_names();
// Throws std::invalid_argument naming the option where there are no such ones, or not with this steal rule.
void check_collectives(const std::string& collectives, const std::string& steal_rule);

class Session {
 public:
  // `task_graph` and `devices` must outlive the session. `model` gives the steal rule its costs. Throws
  // std::invalid_argument where `plan` is not valid for graph and devices, and for options that do not go together.
  Session(const TaskGraph& task_graph, DeviceSet& devices, const Plan& plan, const CostModel& model,
          const SessionOptions& options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Parameters and states, in plain layout. Throw std::invalid_argument where the value is of another kind or type.
  void set_value(ValueId value, const Tensor& tensor);
  [[nodiscard]] Tensor value(ValueId value) const;

  // `inputs` holds for every graph input the whole batch, micro-batches one after another: the input's shape with the
  // first extent times micro_batches. Host memory that must stay until run returns.
  // Throws std::invalid_argument where an input is missing or has another type; rethrows the first kernel error, its
  // message led by the task's name, or DeviceLost; Cancelled where a requested stop kept tasks from running. The
  // session stays usable, but where a device was lost; holds_state says what became of parameters and states. The trace
  // (may be null) is overwritten.
  void run(const std::map<ValueId, const Tensor*>& inputs, const StepContext& context, StepTrace* trace = nullptr,
           const std::stop_token& stop = {});
  // Whether parameters and states are those after the last step that did not fail: no update of the failed step had
  // begun, or updates were saved; and no device was lost that had a memory to itself.
  [[nodiscard]] bool holds_state() const;

  // A marked output after run: micro-batches one after another; scalars as a vector of micro_batches values.
  [[nodiscard]] Tensor output(ValueId value) const;

  [[nodiscard]] const Schedule& schedule() const;
  [[nodiscard]] const CostTable& costs() const;
  [[nodiscard]] SessionStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skua
