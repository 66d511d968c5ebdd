#include "slowed_device.h"

#include <chrono>

namespace skua::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Factor = std::shared_ptr<const std::atomic<double>>;

// Ends late.
class Delayed final : public Completion {
 public:
  Delayed(Completion& completion, double factor) : completion_(completion), factor_(factor), start_(Clock::now()) {}
  void done(std::exception_ptr error) noexcept override {
    const auto until = start_ + (Clock::now() - start_) * factor_;
    while (Clock::now() < until) {
    }
    completion_.done(std::move(error));
  }

 private:
  Completion& completion_;
  double factor_;
  Clock::time_point start_;
};

class SlowedProgram final : public Program {
 public:
  SlowedProgram(std::unique_ptr<Program> program, Factor factor)
      : program_(std::move(program)), factor_(std::move(factor)) {}
  [[nodiscard]] std::size_t value_bytes(ValueId value) const override { return program_->value_bytes(value); }
  [[nodiscard]] std::size_t scratch_bytes() const override { return program_->scratch_bytes(); }
  void launch(const KernelCall& call, Completion& completion) override {
    Delayed delayed(completion, *factor_);
    program_->launch(call, delayed);
  }
  void accumulate(ValueId value, void* into, const void* from, Completion& completion) override {
    Delayed delayed(completion, *factor_);
    program_->accumulate(value, into, from, delayed);
  }
  void import_value(ValueId value, const Tensor& from, void* to) override { program_->import_value(value, from, to); }
  void export_value(ValueId value, const void* from, Tensor& to) override { program_->export_value(value, from, to); }

 private:
  std::unique_ptr<Program> program_;
  Factor factor_;
};

class SlowedDevice final : public Device {
 public:
  SlowedDevice(std::unique_ptr<Device> device, Factor factor)
      : device_(std::move(device)), factor_(std::move(factor)) {}
  [[nodiscard]] const DeviceSpec& spec() const override { return device_->spec(); }
  [[nodiscard]] double memory_bytes() const override { return device_->memory_bytes(); }
  [[nodiscard]] bool supports(const Op& op) const override { return device_->supports(op); }
  [[nodiscard]] void* allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  void release(void* data) noexcept override { device_->release(data); }
  void copy(void* to, const void* from, std::size_t bytes, Completion& completion) override {
    device_->copy(to, from, bytes, completion);
  }
  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override {
    return std::make_unique<SlowedProgram>(device_->compile(graph), factor_);
  }

 private:
  std::unique_ptr<Device> device_;
  Factor factor_;
};

}  // namespace

std::unique_ptr<Device> slowed(std::unique_ptr<Device> device, Factor factor) {
  return std::make_unique<SlowedDevice>(std::move(device), std::move(factor));
}

}  // namespace skua::cli
