// A device that tells a hook of everything it is about to do. What the hook throws, the device throws.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "skua/engine/device.h"

namespace skua::test {

// A kernel (node, micro_batch), a sum (value, into) or a copy (neither).
struct Operation {
  NodeId node = {};
  int micro_batch = 0;
  ValueId value = {};
  const void* into = nullptr;

  friend auto operator<=>(const Operation&, const Operation&) = default;
};

class HookedDevice final : public Device {
 public:
  using Hook = std::function<void(const Operation&)>;

  HookedDevice(std::unique_ptr<Device> device, std::shared_ptr<Hook> hook)
      : device_(std::move(device)), hook_(std::move(hook)) {}
  [[nodiscard]] const DeviceSpec& spec() const override { return device_->spec(); }
  [[nodiscard]] double memory_bytes() const override { return device_->memory_bytes(); }
  [[nodiscard]] bool supports(const Op& op) const override { return device_->supports(op); }
  [[nodiscard]] void* allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  void release(void* data) noexcept override { device_->release(data); }
  void copy(void* to, const void* from, std::size_t bytes, Completion& completion) override {
    if (*hook_) (*hook_)({.into = to});
    device_->copy(to, from, bytes, completion);
  }
  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override {
    return std::make_unique<HookedProgram>(device_->compile(graph), hook_);
  }

 private:
  class HookedProgram final : public Program {
   public:
    HookedProgram(std::unique_ptr<Program> program, std::shared_ptr<Hook> hook)
        : program_(std::move(program)), hook_(std::move(hook)) {}
    [[nodiscard]] std::size_t value_bytes(ValueId value) const override { return program_->value_bytes(value); }
    [[nodiscard]] std::size_t scratch_bytes() const override { return program_->scratch_bytes(); }
    void launch(const KernelCall& call, Completion& completion) override {
      if (*hook_) (*hook_)({.node = call.node, .micro_batch = call.micro_batch});
      program_->launch(call, completion);
    }
    void accumulate(ValueId value, void* into, const void* from, Completion& completion) override {
      if (*hook_) (*hook_)({.value = value, .into = into});
      program_->accumulate(value, into, from, completion);
    }
    void import_value(ValueId value, const Tensor& from, void* to) override { program_->import_value(value, from, to); }
    void export_value(ValueId value, const void* from, Tensor& to) override { program_->export_value(value, from, to); }

   private:
    std::unique_ptr<Program> program_;
    std::shared_ptr<Hook> hook_;
  };

  std::unique_ptr<Device> device_;
  std::shared_ptr<Hook> hook_;
};

// By device, its hook: nothing until it is set.
using Hooks = std::vector<std::shared_ptr<HookedDevice::Hook>>;

inline Hooks hook(DeviceSet& devices) {
  Hooks hooks;
  for (auto& device : devices.devices) {
    hooks.push_back(std::make_shared<HookedDevice::Hook>());
    device = std::make_unique<HookedDevice>(std::move(device), hooks.back());
  }
  return hooks;
}

}  // namespace skua::test
