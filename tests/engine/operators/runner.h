// Drives a program node by node, as an executor would: every value in a buffer of its own that starts as garbage. What a
// node may make in the place of an input is made so once more, and must have the same bits.
#pragma once

#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "skua/engine/device.h"

namespace skua::test {

// Rethrows the error of the work that it was given to.
class Finished final : public Completion {
 public:
  void done(std::exception_ptr error) noexcept override {
    const std::scoped_lock lock(mutex_);
    ++calls_;
    error_ = std::move(error);
    told_.notify_all();
  }
  // Waits until the work has ended.
  void check() {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this] { return calls_ > 0; });
    if (calls_ != 1) throw std::logic_error("expected one call of done()");
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  int calls_ = 0;
  std::exception_ptr error_;
};

class Runner {
 public:
  Runner(Device& device, Graph graph)
      : device_(device),
        graph_(std::move(graph)),
        program_(device.compile(graph_)),
        stream_(device.make_stream()),
        mark_(device.make_mark()),
        scratch_(block(device, program_->scratch_bytes())) {
    for (std::size_t i = 0; i < graph_.value_count(); ++i) blocks_.push_back(block(device, bytes(id_of(i))));
  }

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] Program& program() { return *program_; }
  [[nodiscard]] std::size_t bytes(ValueId value) const { return program_->value_bytes(value); }
  [[nodiscard]] void* data(ValueId value) { return blocks_[value.index()].get(); }
  // As it lies in the device's memory.
  [[nodiscard]] std::string stored(ValueId value) {
    std::string copy(bytes(value), '\0');
    copy_bytes(device_, copy.data(), data(value), copy.size());
    return copy;
  }
  void poison(ValueId value) { poison(device_, data(value), bytes(value)); }

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
    const auto launch = [&] {
      submit([&](Completion& submitted) {
        if (stream_) program_->begin_step(*stream_);
        program_->launch({id, inputs, outputs, scratch_.get(), micro_batch, stream_.get()}, submitted);
      });
    };
    launch();
    for (const auto& [input, output] : program_->in_place(id)) {
      if (bytes(node.inputs[input]) != bytes(node.outputs[output])) continue;
      const std::string expected = stored(node.outputs[output]);
      std::swap(inputs[input], outputs[output]);
      copy_bytes(device_, inputs[input], outputs[output], expected.size());
      outputs[output] = inputs[input];
      launch();
      if (stored(node.outputs[output]) != expected) {
        throw std::logic_error(node.op.type + " gives other bits in the place of its input " + std::to_string(input));
      }
      inputs[input] = data(node.inputs[input]);
    }
  }

  void run(const StepContext& context = {}, int micro_batch = 0) {
    for (std::size_t i = 0; i < graph_.node_count(); ++i) {
      run_node(NodeId(static_cast<std::int64_t>(i)), context, micro_batch);
    }
  }

  void accumulate(ValueId value, const void* from) {
    submit([&](Completion& submitted) { program_->accumulate(value, data(value), from, {}, stream_.get(), submitted); });
  }

  using Block = std::shared_ptr<void>;
  // Of all bytes 0xff: float NaNs.
  static Block block(Device& device, std::size_t bytes) {
    void* const data = device.allocate(bytes);
    poison(device, data, bytes);
    return {data, [&device](void* p) { device.release(p); }};
  }
  static void copy_bytes(Device& device, void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    Finished finished;
    device.copy(to, from, bytes, nullptr, finished);
    finished.check();
  }

 private:
  static ValueId id_of(std::size_t i) { return ValueId(static_cast<std::int64_t>(i)); }

  static void poison(Device& device, void* data, std::size_t bytes) {
    copy_bytes(device, data, std::string(bytes, '\xff').data(), bytes);
  }

  // Until what `action` launches has ended, whether or not the device has streams.
  template <class Action>
  void submit(Action action) {
    Finished submitted;
    Finished ended;
    if (stream_) stream_->begin(*mark_);
    action(submitted);
    if (stream_) stream_->end(*mark_, &ended);
    submitted.check();
    if (stream_) ended.check();
  }

  Device& device_;
  Graph graph_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Mark> mark_;
  Block scratch_;
  std::vector<Block> blocks_;
};

}  // namespace skua::test
