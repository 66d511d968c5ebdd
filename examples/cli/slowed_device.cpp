#include "slowed_device.h"

#include <chrono>
#include <utility>

#include "skua/engine/forwarding_device.h"

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

class SlowedProgram final : public ForwardingProgram {
 public:
  SlowedProgram(std::unique_ptr<Program> program, Factor factor)
      : ForwardingProgram(std::move(program)), factor_(std::move(factor)) {}
  void launch(const KernelCall& call, Completion& completion) override {
    Delayed delayed(completion, *factor_);
    program().launch(call, delayed);
  }
  void accumulate(ValueId value, void* into, const void* from, Part part, Stream* stream,
                  Completion& completion) override {
    Delayed delayed(completion, *factor_);
    program().accumulate(value, into, from, part, stream, delayed);
  }

 private:
  Factor factor_;
};

class SlowedDevice final : public ForwardingDevice {
 public:
  SlowedDevice(std::unique_ptr<Device> device, Factor factor)
      : ForwardingDevice(std::move(device)), factor_(std::move(factor)) {}
  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override {
    return std::make_unique<SlowedProgram>(device().compile(graph), factor_);
  }

 private:
  Factor factor_;
};

}  // namespace

std::unique_ptr<Device> slowed(std::unique_ptr<Device> device, Factor factor) {
  return std::make_unique<SlowedDevice>(std::move(device), std::move(factor));
}

}  // namespace skua::cli
