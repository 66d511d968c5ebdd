// Drives a program node by node, as an executor would: every value in a buffer of its own that starts as garbage.
#pragma once

#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "skua/engine/cpu/cpu_device.h"

namespace skua::test {

// Rethrows the error of the work that it was given to.
class Finished final : public Completion {
 public:
  void done(std::exception_ptr error) noexcept override {
    ++calls_;
    error_ = std::move(error);
  }
  void check() const {
    if (calls_ != 1) throw std::logic_error("expected one call of done()");
    if (error_) std::rethrow_exception(error_);
  }

 private:
  int calls_ = 0;
  std::exception_ptr error_;
};

class Runner {
 public:
  Runner(Device& device, Graph graph)
      : graph_(std::move(graph)), program_(device.compile(graph_)), scratch_(block(device, program_->scratch_bytes())) {
    for (std::size_t i = 0; i < graph_.value_count(); ++i) blocks_.push_back(block(device, bytes(id_of(i))));
  }

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] Program& program() { return *program_; }
  [[nodiscard]] std::size_t bytes(ValueId value) const { return program_->value_bytes(value); }
  [[nodiscard]] void* data(ValueId value) { return blocks_[value.index()].get(); }
  [[nodiscard]] std::string stored(ValueId value) { return {static_cast<const char*>(data(value)), bytes(value)}; }

  void set(ValueId value, const Tensor& tensor) { program_->import_value(value, tensor, data(value)); }
  [[nodiscard]] Tensor get(ValueId value) {
    Tensor tensor(graph_.value(value).type);
    program_->export_value(value, data(value), tensor);
    return tensor;
  }

  void run_node(NodeId id, const StepContext& context = {}, int micro_batch = 0) {
    program_->set_step(context);
    const Node& node = graph_.node(id);
    std::vector<void*> inputs;
    std::vector<void*> outputs;
    for (const ValueId input : node.inputs) inputs.push_back(data(input));
    for (const ValueId output : node.outputs) outputs.push_back(data(output));
    Finished finished;
    program_->launch({id, inputs, outputs, scratch_.get(), micro_batch}, finished);
    finished.check();
  }

  void run(const StepContext& context = {}, int micro_batch = 0) {
    for (std::size_t i = 0; i < graph_.node_count(); ++i) {
      run_node(NodeId(static_cast<std::int64_t>(i)), context, micro_batch);
    }
  }

  void accumulate(ValueId value, const void* from) {
    Finished finished;
    program_->accumulate(value, data(value), from, nullptr, finished);
    finished.check();
  }

  using Block = std::shared_ptr<void>;
  // Of all bytes 0xff: float NaNs.
  static Block block(Device& device, std::size_t bytes) {
    void* const data = device.allocate(bytes);
    std::memset(data, 0xff, bytes);
    return {data, [&device](void* p) { device.release(p); }};
  }

 private:
  static ValueId id_of(std::size_t i) { return ValueId(static_cast<std::int64_t>(i)); }

  Graph graph_;
  std::unique_ptr<Program> program_;
  Block scratch_;
  std::vector<Block> blocks_;
};

}  // namespace skua::test
