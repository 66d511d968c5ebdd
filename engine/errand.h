// Running one task of the graph on a device, with copies before and after it: of operands that lie in another memory,
// for a stolen task; of what an update is about to change.
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
  void* scratch = nullptr;
  Stream* stream = nullptr;

  // `operands`: inputs, then outputs, in the memory of the program's device.
  void launch(Program& program, std::span<void* const> operands, Completion& completion) const;
};

struct Transfer {
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
};

// One at a time; no allocation. Does one thing after another and ends early at the first error.
class Errand final : private Completion {
 public:
  Errand(Device& device, Program& program, std::size_t most_operands) : device_(device), program_(program) {
    before_.reserve(most_operands);
    operands_.reserve(most_operands);
    after_.reserve(most_operands);
  }
  // A stolen task: fetches its inputs, runs on copies, and returns what it has written. `operands` lie in the victim's
  // memory; `staging` is working space in the thief's for all of them.
  void steal(const Work& work, std::span<void* const> operands, std::byte* staging, Completion& completion);
  // An update: first saves what it changes, one after another, at `undo`. Sets `began` when it begins.
  void update(const Work& work, std::span<void* const> operands, std::byte* undo, bool& began, Completion& completion);

 private:
  void begin(const Work& work, Completion& completion);
  void done(std::exception_ptr error) noexcept override;
  void next();
  [[nodiscard]] std::size_t bytes(DatumId datum) const { return program_.value_bytes(work_.graph->datum(datum).value); }

  Device& device_;
  Program& program_;
  Work work_;
  std::vector<Transfer> before_;
  std::vector<void*> operands_;
  std::vector<Transfer> after_;
  bool* began_ = nullptr;
  std::size_t step_ = 0;  // of `before_`, the task, `after_`
  Completion* completion_ = nullptr;
};

}  // namespace skua
