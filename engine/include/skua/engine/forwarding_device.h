// A device and a program that pass everything on to others, which they own: to derive from, for devices that differ
// from another in one thing.
#pragma once

#include <memory>
#include <utility>

#include "skua/engine/device.h"

namespace skua {

class ForwardingProgram : public Program {
 public:
  explicit ForwardingProgram(std::unique_ptr<Program> program) : program_(std::move(program)) {}
  [[nodiscard]] std::size_t value_bytes(ValueId value) const override { return program_->value_bytes(value); }
  [[nodiscard]] std::size_t scratch_bytes() const override { return program_->scratch_bytes(); }
  [[nodiscard]] std::span<const InPlace> in_place(NodeId node) const override { return program_->in_place(node); }
  void set_step(const StepContext& context) override { program_->set_step(context); }
  void begin_step(Stream& stream) override { program_->begin_step(stream); }
  void launch(const KernelCall& call, Completion& completion) override { program_->launch(call, completion); }
  void accumulate(ValueId value, void* into, const void* from, Part part, Stream* stream,
                  Completion& completion) override {
    program_->accumulate(value, into, from, part, stream, completion);
  }
  void import_value(ValueId value, const Tensor& from, void* to) override { program_->import_value(value, from, to); }
  void export_value(ValueId value, const void* from, Tensor& to) override { program_->export_value(value, from, to); }

 protected:
  [[nodiscard]] Program& program() { return *program_; }

 private:
  std::unique_ptr<Program> program_;
};

class ForwardingDevice : public Device {
 public:
  explicit ForwardingDevice(std::unique_ptr<Device> device) : device_(std::move(device)) {}
  [[nodiscard]] const DeviceSpec& spec() const override { return device_->spec(); }
  [[nodiscard]] double memory_bytes() const override { return device_->memory_bytes(); }
  [[nodiscard]] bool supports(const Op& op) const override { return device_->supports(op); }
  [[nodiscard]] double flops_share(const Graph& graph, const Node& node) const override {
    return device_->flops_share(graph, node);
  }
  [[nodiscard]] void* allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  void release(void* data) noexcept override { device_->release(data); }
  [[nodiscard]] void* allocate_host(std::size_t bytes) override { return device_->allocate_host(bytes); }
  void release_host(void* data) noexcept override { device_->release_host(data); }
  void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) override {
    device_->copy(to, from, bytes, stream, completion);
  }
  [[nodiscard]] std::unique_ptr<Stream> make_stream() override { return device_->make_stream(); }
  [[nodiscard]] std::unique_ptr<Mark> make_mark() override { return device_->make_mark(); }
  [[nodiscard]] int window() const override { return device_->window(); }
  [[nodiscard]] bool can_record() const override { return device_->can_record(); }
  [[nodiscard]] std::unique_ptr<Recording> record(std::span<Stream* const> streams,
                                                  const std::function<void()>& submit) override {
    return device_->record(streams, submit);
  }
  [[nodiscard]] std::unique_ptr<Collectives> make_collectives(std::span<Stream* const> streams) override {
    return device_->make_collectives(streams);
  }
  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override { return device_->compile(graph); }

 protected:
  [[nodiscard]] Device& device() { return *device_; }

 private:
  std::unique_ptr<Device> device_;
};

}  // namespace skua
