// A device that tells a hook of everything it is about to do. What the hook throws, the device throws.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "skua/engine/forwarding_device.h"

namespace skua::test {

// A kernel (node, micro_batch), a sum (value, into) or a copy (neither); of the part of that index.
struct Operation {
  NodeId node = {};
  int micro_batch = 0;
  ValueId value = {};
  const void* into = nullptr;
  int part = 0;

  friend auto operator<=>(const Operation&, const Operation&) = default;
};

class HookedDevice final : public ForwardingDevice {
 public:
  using Hook = std::function<void(const Operation&)>;

  HookedDevice(std::unique_ptr<Device> device, std::shared_ptr<Hook> hook)
      : ForwardingDevice(std::move(device)), hook_(std::move(hook)) {}
  void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) override {
    if (*hook_) (*hook_)({.into = to});
    device().copy(to, from, bytes, stream, completion);
  }
  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override {
    return std::make_unique<HookedProgram>(device().compile(graph), hook_);
  }

 private:
  class HookedProgram final : public ForwardingProgram {
   public:
    HookedProgram(std::unique_ptr<Program> program, std::shared_ptr<Hook> hook)
        : ForwardingProgram(std::move(program)), hook_(std::move(hook)) {}
    void launch(const KernelCall& call, Completion& completion) override {
      if (*hook_) (*hook_)({.node = call.node, .micro_batch = call.micro_batch, .part = call.part.index});
      program().launch(call, completion);
    }
    void accumulate(ValueId value, void* into, const void* from, Part part, Stream* stream,
                    Completion& completion) override {
      if (*hook_) (*hook_)({.value = value, .into = into, .part = part.index});
      program().accumulate(value, into, from, part, stream, completion);
    }

   private:
    std::shared_ptr<Hook> hook_;
  };

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
