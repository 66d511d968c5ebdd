#include "errand.h"

#include "skua/scheduler/memory_plan.h"

namespace skua {

void Work::launch(Program& program, std::span<void* const> operands, Completion& completion) const {
  const Task& info = graph->task(task);
  const std::size_t inputs = graph->inputs(task).size();
  if (info.kind == TaskKind::kReduce) {
    return program.accumulate(info.value, operands[0], operands[1], info.part, stream, completion);
  }
  program.launch(
      {info.node, operands.first(inputs), operands.subspan(inputs), scratch, info.micro_batch, stream, info.part},
      completion);
}

void Errand::steal(const Work& work, std::span<void* const> operands, std::byte* staging, Completion& completion) {
  begin(work, completion);
  const auto inputs = work.graph->inputs(work.task);
  const auto outputs = work.graph->outputs(work.task);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const std::size_t size = bytes(i < inputs.size() ? inputs[i] : outputs[i - inputs.size()]);
    operands_.push_back(staging);
    staging += MemoryPlan::align(size);
    if (i < inputs.size()) {
      before_.push_back({operands_[i], operands[i], size});
    } else {
      after_.push_back({operands[i], operands_[i], size});
    }
  }
  if (work.graph->task(work.task).kind == TaskKind::kReduce) {  // a sum is made in place of its left operand
    operands_[2] = operands_[0];
    after_[0].from = operands_[0];
  }
  next();
}

void Errand::update(const Work& work, std::span<void* const> operands, std::byte* undo, bool& began,
                    Completion& completion) {
  begin(work, completion);
  began_ = &began;
  operands_.assign(operands.begin(), operands.end());
  const auto inputs = work.graph->inputs(work.task);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (i == kUpdateGradient) continue;
    const Part::Range range = work.graph->task(work.task).part.of(bytes(inputs[i]));
    before_.push_back({undo, static_cast<std::byte*>(operands[i]) + range.begin, range.size()});
    undo += MemoryPlan::align(range.size());
  }
  next();
}

void Errand::begin(const Work& work, Completion& completion) {
  work_ = work;
  completion_ = &completion;
  before_.clear();
  operands_.clear();
  after_.clear();
  began_ = nullptr;
  step_ = 0;
}

void Errand::done(std::exception_ptr error) noexcept {
  ++step_;
  if (error != nullptr || step_ == before_.size() + 1 + after_.size()) return completion_->done(error);
  try {
    next();
  } catch (...) {
    completion_->done(std::current_exception());
  }
}

void Errand::next() {
  if (step_ == before_.size()) {
    if (began_ != nullptr) *began_ = true;
    return work_.launch(program_, operands_, *this);
  }
  const Transfer& transfer = step_ < before_.size() ? before_[step_] : after_[step_ - before_.size() - 1];
  device_.copy(transfer.to, transfer.from, transfer.bytes, work_.stream, *this);
}

}  // namespace skua
