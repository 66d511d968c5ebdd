// Running one task of the graph on a device: where its operands lie, or, for a task stolen from another memory, on
// copies of them in the thief's.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "skua/engine/device.h"
#include "skua/scheduler/task_graph.h"

namespace skua {

struct Work {
  const TaskGraph* graph = nullptr;
  TaskId task;
  const StepContext* context = nullptr;
  void* scratch = nullptr;

  // `operands`: inputs, then outputs, in the memory of the program's device.
  void launch(Program& program, std::span<void* const> operands, Completion& completion) const;
};

// Fetches the inputs one after another, runs the task, and returns what it has written. One theft at a time; no
// allocation.
class Theft final : private Completion {
 public:
  Theft(Device& device, Program& program, std::size_t most_operands) : device_(device), program_(program) {
    staged_.reserve(most_operands);
  }
  // `operands` lie in the victim's memory; `staging` is working space in the thief's for all of them.
  void run(const Work& work, std::span<void* const> operands, std::byte* staging, Completion& completion);

 private:
  void done(std::exception_ptr error) noexcept override;
  void next();
  [[nodiscard]] std::size_t bytes(std::size_t operand) const;

  Device& device_;
  Program& program_;
  Work work_;
  std::span<void* const> operands_;
  std::vector<void*> staged_;  // by operand
  std::size_t inputs_ = 0;
  std::size_t step_ = 0;  // inputs, the task, outputs
  Completion* completion_ = nullptr;
};

}  // namespace skua
