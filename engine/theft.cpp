#include "theft.h"

#include "skua/scheduler/memory_plan.h"

namespace skua {

void Work::launch(Program& program, std::span<void* const> operands, Completion& completion) const {
  const Task& info = graph->task(task);
  const std::size_t inputs = graph->inputs(task).size();
  if (info.kind == TaskKind::kReduce) return program.accumulate(info.value, operands[0], operands[1], completion);
  program.launch({info.node, operands.first(inputs), operands.subspan(inputs), scratch, context, info.micro_batch},
                 completion);
}

void Theft::run(const Work& work, std::span<void* const> operands, std::byte* staging, Completion& completion) {
  work_ = work;
  operands_ = operands;
  inputs_ = work.graph->inputs(work.task).size();
  completion_ = &completion;
  staged_.clear();
  for (std::size_t i = 0; i < operands.size(); ++i) {
    staged_.push_back(staging);
    staging += MemoryPlan::align(bytes(i));
  }
  // A sum is made in place of its left operand.
  if (work.graph->task(work.task).kind == TaskKind::kReduce) staged_[2] = staged_[0];
  step_ = 0;
  next();
}

void Theft::done(std::exception_ptr error) noexcept {
  ++step_;
  if (error != nullptr || step_ == operands_.size() + 1) return completion_->done(error);
  try {
    next();
  } catch (...) {
    completion_->done(std::current_exception());
  }
}

void Theft::next() {
  if (step_ < inputs_) return device_.copy(staged_[step_], operands_[step_], bytes(step_), *this);
  if (step_ == inputs_) return work_.launch(program_, staged_, *this);
  const std::size_t output = step_ - 1;
  device_.copy(operands_[output], staged_[output], bytes(output), *this);
}

std::size_t Theft::bytes(std::size_t operand) const {
  const auto inputs = work_.graph->inputs(work_.task);
  const DatumId datum = operand < inputs_ ? inputs[operand] : work_.graph->outputs(work_.task)[operand - inputs_];
  return program_.value_bytes(work_.graph->datum(datum).value);
}

}  // namespace skua
