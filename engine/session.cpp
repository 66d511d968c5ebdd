#include "skua/engine/session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include "arena.h"
#include "collective_sums.h"
#include "errand.h"
#include "lane_streams.h"
#include "step_clock.h"
#include "waiter.h"

namespace skua {
namespace {

// Returns when it is done.
void copy_now(Device& device, void* to, const void* from, std::size_t bytes) {
  Waiter waiter;
  device.copy(to, from, bytes, nullptr, waiter);
  waiter.wait();
}

void check_one_kind(const DeviceSet& devices) {
  const std::string& first = devices.devices.front()->spec().kind;
  for (const auto& device : devices.devices) {
    const DeviceSpec& spec = device->spec();
    if (spec.kind == first) continue;
    throw std::invalid_argument(fmt::format("expected devices of one kind, got {} of kind {} beside {} of kind {}",
                                            spec.name, spec.kind, devices.devices.front()->spec().name, first));
  }
}

const Plan& checked(const Plan& plan, const TaskGraph& graph, const DeviceSet& devices) {
  validate(plan, graph, devices.cluster);
  check_one_kind(devices);
  return plan;
}

}  // namespace

class Session::Impl final : private Launcher {
 public:
  Impl(const TaskGraph& task_graph, DeviceSet& devices, const Plan& plan, const CostModel& model,
       const SessionOptions& options)
      : options_(options),
        task_graph_(task_graph),
        graph_(task_graph.graph()),
        devices_(devices),
        plan_(checked(plan, task_graph, devices)),
        schedule_(task_graph, devices.cluster, plan_),
        costs_(task_graph, devices.cluster, model),
        steal_rule_(make_steal_rule(options.steal_rule)) {
    for (const auto& device : devices_.devices) programs_.push_back(device->compile(graph_));
    check_collectives(options.collectives, options.steal_rule);
    lay_out_memory();
    std::vector<SumBucket> buckets;
    if (options_.collectives == "nccl") buckets = plan_collectives(schedule_, predicted_);
    bind_pointers();
    streams_ = LaneStreams::make(schedule_, devices_);
    if (streams_ != nullptr) stage_inputs();
    check_options();
    if (options_.collectives == "nccl") sum_by_collectives(buckets);
    find_work();
    begun_.resize(task_graph_.task_count());
    executor_ = std::make_unique<Executor>(schedule_, costs_, steal_rule_.get(), options.seed);
    for (std::size_t i = 0; i < devices_.devices.size(); ++i) {
      errands_.emplace_back(*devices_.devices[i], *programs_[i], most_operands_);
    }
  }

  void set_value(ValueId value, const Tensor& tensor) {
    const DatumId datum = held(value);
    program_of(schedule_.home(datum)).import_value(value, tensor, address(datum, schedule_.home(datum)));
  }

  Tensor value(ValueId value) const {
    const DatumId datum = held(value);
    Tensor tensor(graph_.value(value).type);
    program_of(schedule_.home(datum)).export_value(value, address(datum, schedule_.home(datum)), tensor);
    return tensor;
  }

  void run(const std::map<ValueId, const Tensor*>& inputs, const StepContext& context, StepTrace* trace,
           const std::stop_token& stop) {
    bind_inputs(inputs);
    for (const auto& program : programs_) program->set_step(context);
    std::ranges::fill(begun_, false);
    try {
      if (options_.records_step) return replay(trace != nullptr ? *trace : trace_);
      begin_streams();
      executor_->run(*this, trace != nullptr ? *trace : trace_, stop);
    } catch (const DeviceLost& error) {
      lost_ = error.device();
      undo();
      throw;
    } catch (...) {
      undo();
      throw;
    }
  }

  bool holds_state() const { return memory_survives() && std::ranges::none_of(begun_, std::identity()); }

  Tensor output(ValueId value) const {
    const auto& outputs = graph_.outputs();
    if (std::find(outputs.begin(), outputs.end(), value) == outputs.end()) {
      throw std::invalid_argument(fmt::format("[value {}] expected a marked output", graph_.value(value).name));
    }
    Tensor part(graph_.value(value).type);
    Tensor whole(batch_type(part.type()));
    for (int m = 0; m < task_graph_.micro_batches(); ++m) {
      const DatumId datum = task_graph_.datum_of(value, m);
      program_of(schedule_.home(datum)).export_value(value, address(datum, schedule_.home(datum)), part);
      std::memcpy(whole.data() + static_cast<std::size_t>(m) * part.bytes(), part.data(), part.bytes());
    }
    return whole;
  }

  const Schedule& schedule() const { return schedule_; }
  const CostTable& costs() const { return costs_; }

  SessionStats stats() const {
    SessionStats stats;
    for (std::size_t m = 0; m < arenas_.size(); ++m) {
      stats.peak_bytes.push_back(memory_->arena_bytes(MemoryId(static_cast<std::int64_t>(m))));
    }
    return stats;
  }

 private:
  // Where a task's operands begin in pointers_, inputs before outputs.
  struct Operands {
    std::size_t begin = 0;
    std::size_t inputs = 0;
    std::size_t outputs = 0;
  };
  // A pointer into the caller's batch, set anew each step.
  struct InputSlot {
    std::size_t position;  // in pointers_
    ValueId value;
    int micro_batch;
    ValueType batch;         // of the whole tensor
    std::size_t staged = 0;  // where the devices have streams: its place
    bool is_copied = false;  // into it, by this slot
  };

  void lay_out_memory() {
    const MemorySizes sizes{
        [this](ValueId value, MemoryId) { return programs_.front()->value_bytes(value); },
        [this](LaneId lane) { return programs_[schedule_.lanes()[lane.index()].device.index()]->scratch_bytes(); },
        options_.saves_updates, [this](NodeId node) { return programs_.front()->in_place(node); }};
    predicted_ = predict();
    memory_ = std::make_unique<MemoryPlan>(schedule_, predicted_, sizes, steal_rule_ != nullptr);
    for (std::size_t m = 0; m < devices_.cluster.memory_count(); ++m) {
      const MemoryId memory(static_cast<std::int64_t>(m));
      Device* const owner = device_in(memory);  // none: the host's, and no device computes there
      arenas_.emplace_back(owner != nullptr ? *owner : *devices_.devices.front(), owner == nullptr,
                           memory_->arena_bytes(memory));
    }
  }

  // Which sums collectives do together depends on it, and so do their bits: not by times, which no two runs measure
  // alike.
  StepTrace predict() const {
    if (options_.collectives != "nccl") return simulate(schedule_, costs_);
    return simulate(schedule_, CostTable(task_graph_, devices_.cluster, CostModel()));
  }

  void check_options() const {
    if (!options_.records_step) return;
    if (!devices_.devices.front()->can_record()) {
      throw std::invalid_argument(
          fmt::format("[session] expected devices that can record steps, got {}", devices_.cluster.name()));
    }
    if (steal_rule_ != nullptr || options_.saves_updates) {
      throw std::invalid_argument("[session] expected no thefts and no saved updates where steps are recorded");
    }
  }

  void sum_by_collectives(const std::vector<SumBucket>& buckets) {
    if (streams_ == nullptr) {
      throw std::invalid_argument(
          fmt::format("[collectives] expected devices with NCCL, got {}", devices_.cluster.name()));
    }
    sums_ = std::make_unique<CollectiveSums>(schedule_, devices_, buckets, *streams_,
                                             [this](DatumId datum, MemoryId memory) { return address(datum, memory); });
  }

  // Devices with streams copy from memory that stays where it is, into which each batch is copied first.
  void stage_inputs() {
    std::map<std::pair<ValueId, int>, std::size_t> offsets;
    std::size_t bytes = 0;
    for (InputSlot& slot : input_slots_) {
      const auto [offset, is_new] = offsets.emplace(std::pair(slot.value, slot.micro_batch), bytes);
      slot.staged = offset->second;
      slot.is_copied = is_new;
      if (is_new) bytes += MemoryPlan::align(graph_.value(slot.value).type.bytes());
    }
    staging_.emplace(*devices_.devices.front(), true, bytes);
    for (const InputSlot& slot : input_slots_) pointers_[slot.position] = staging_->data() + slot.staged;
  }

  std::byte* address(DatumId datum, MemoryId memory) const {
    const std::size_t offset = memory_->offset(datum, memory);
    return offset == kNoOffset ? nullptr : arenas_[memory.index()].data() + offset;
  }

  void bind_pointers() {
    for (std::size_t i = 0; i < schedule_.task_count(); ++i) {
      const StepTask& task = schedule_.task(StepTaskId(static_cast<std::int64_t>(i)));
      Operands operands{pointers_.size(), 1, 1};
      if (task.is_copy()) {
        bind(task.datum, task.from);
        bind(task.datum, task.to);
      } else {
        const MemoryId memory = schedule_.memory_of(task.lane);
        for (DatumId datum : task_graph_.inputs(task.task)) bind(datum, memory);
        for (DatumId datum : task_graph_.outputs(task.task)) bind(datum, memory);
        operands.inputs = task_graph_.inputs(task.task).size();
        operands.outputs = task_graph_.outputs(task.task).size();
      }
      operands_.push_back(operands);
      most_operands_ = std::max(most_operands_, operands.inputs + operands.outputs);
    }
  }

  void bind(DatumId id, MemoryId memory) {
    const Datum& datum = task_graph_.datum(id);
    if (graph_.value(datum.value).kind == ValueKind::kInput && memory == kHostMemory) {
      input_slots_.push_back(
          {pointers_.size(), datum.value, datum.micro_batch, batch_type(graph_.value(datum.value).type)});
    }
    pointers_.push_back(address(id, memory));
  }

  ValueType batch_type(const ValueType& part) const {
    ValueType type = part;
    const std::int64_t count = task_graph_.micro_batches();
    if (part.shape.rank() == 0) {
      type.shape = Shape({count});
    } else {
      std::vector<std::int64_t> extents = part.shape.extents();
      extents.front() *= count;
      type.shape = Shape(std::move(extents));
    }
    return type;
  }

  void bind_inputs(const std::map<ValueId, const Tensor*>& inputs) {
    for (const InputSlot& slot : input_slots_) {
      const auto it = inputs.find(slot.value);
      const Value& value = graph_.value(slot.value);
      if (it == inputs.end() || it->second == nullptr) {
        throw std::invalid_argument(fmt::format("[input {}] expected a tensor, got none", value.name));
      }
      const Tensor& tensor = *it->second;
      const std::size_t part_bytes = value.type.bytes();
      if (tensor.type() != slot.batch) {
        throw std::invalid_argument(fmt::format("[input {}] expected {}, got {}", value.name, slot.batch.to_string(),
                                                tensor.type().to_string()));
      }
      const std::byte* const part = tensor.data() + static_cast<std::size_t>(slot.micro_batch) * part_bytes;
      if (streams_ == nullptr) {
        pointers_[slot.position] = const_cast<std::byte*>(part);  // kernels only read it
      } else if (slot.is_copied) {
        std::memcpy(pointers_[slot.position], part, part_bytes);
      }
    }
  }

  DatumId held(ValueId id) const {
    const Value& value = graph_.value(id);
    if (value.kind != ValueKind::kParameter && value.kind != ValueKind::kState) {
      throw std::invalid_argument(fmt::format("[value {}] expected a parameter or a state", value.name));
    }
    return task_graph_.datum_of(id, kWholeStep);
  }

  // A device that computes in this memory and is not lost; null: none.
  Device* device_in(MemoryId memory) const {
    for (std::size_t i = 0; i < devices_.devices.size(); ++i) {
      const bool is_lost = lost_ == DeviceId(static_cast<std::int64_t>(i));
      if (devices_.devices[i]->spec().memory == memory && !is_lost) return devices_.devices[i].get();
    }
    return nullptr;
  }

  Program& program_of(MemoryId memory) const {
    const Device* const device = device_in(memory);
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      if (devices_.devices[i].get() == device) return *programs_[i];
    }
    return *programs_.front();
  }

  bool memory_survives() const {
    if (!lost_.valid()) return true;
    const MemoryId memory = devices_.cluster.device(lost_).memory;
    return memory == kHostMemory || device_in(memory) != nullptr;
  }

  // Puts back what the updates of this step have changed, the last of them first, where it was saved and survives.
  void undo() {
    if (!options_.saves_updates || !memory_survives()) return;
    for (std::size_t i = task_graph_.task_count(); i-- > 0;) {
      if (!begun_[i]) continue;
      const TaskId task(static_cast<std::int64_t>(i));
      const StepTaskId id(task.value);
      const MemoryId memory = schedule_.memory_of(schedule_.task(id).lane);
      const auto inputs = task_graph_.inputs(task);
      const std::byte* saved = arenas_[memory.index()].data() + memory_->undo_offset(task);
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        if (k == kUpdateGradient) continue;
        const std::size_t bytes = programs_.front()->value_bytes(task_graph_.datum(inputs[k]).value);
        const Part::Range range = task_graph_.task(task).part.of(bytes);
        auto* const changed = static_cast<std::byte*>(pointers_[operands_[i].begin + k]) + range.begin;
        copy_now(*device_in(memory), changed, saved, range.size());
        saved += MemoryPlan::align(range.size());
      }
      begun_[i] = false;
    }
  }

  int window(LaneId lane) const override {
    return devices_.devices[schedule_.lanes()[lane.index()].device.index()]->window();
  }
  bool only_submits() const override { return streams_ != nullptr; }

  void launch(StepTaskId id, LaneId lane, Completion& completion) override {
    if (streams_ == nullptr) return start(id, lane, nullptr, completion);
    streams_->submit(id, lane, starter_, completion);
  }

  void start(StepTaskId id, LaneId lane, Stream* stream, Completion& completion) {
    const StepTask& task = schedule_.task(id);
    const Operands& operands = operands_[id.index()];
    const std::span all(pointers_.data() + operands.begin, operands.inputs + operands.outputs);
    const DeviceId device = schedule_.lanes()[lane.index()].device;
    if (task.is_copy()) {
      const std::size_t bytes = programs_.front()->value_bytes(task_graph_.datum(task.datum).value);
      return devices_.devices[device.index()]->copy(all[1], all[0], bytes, stream, completion);
    }
    const MemoryId here = schedule_.memory_of(lane);
    const Work work{&task_graph_, task.task, scratch(lane), stream};
    std::byte* const arena = arenas_[here.index()].data();
    if (schedule_.memory_of(task.lane) != here) {
      return errands_[lane.index()].steal(work, all, arena + memory_->staging_offset(lane), completion);
    }
    if (const std::size_t undo = memory_->undo_offset(task.task); undo != kNoOffset) {
      return errands_[lane.index()].update(work, all, arena + undo, begun_[task.task.index()], completion);
    }
    if (task_graph_.task(task.task).kind == TaskKind::kUpdate) begun_[task.task.index()] = true;
    work.launch(*programs_[device.index()], all, completion);
  }

  // The devices' streams come first among the lanes'. Where no task will run, none would tell that this has ended.
  void begin_streams() {
    if (streams_ == nullptr) return;
    for (std::size_t d = 0; d < programs_.size(); ++d) {
      if (has_work_[d]) programs_[d]->begin_step(streams_->stream(LaneId(static_cast<std::int64_t>(d))));
    }
  }

  void find_work() {
    has_work_.assign(programs_.size(), steal_rule_ != nullptr);
    for (std::size_t i = 0; i < task_graph_.task_count(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      if (sums_ == nullptr || !sums_->has(id)) has_work_[schedule_.task(id).lane.index()] = true;
    }
  }

  void replay(StepTrace& trace) {
    if (recording_ == nullptr) {
      recording_ = streams_->record(
          predicted_, [this] { begin_streams(); }, starter_);
    }
    std::ranges::fill(begun_, true);
    trace.records.clear();
    StepClock clock;
    clock.start();
    Waiter waiter;
    recording_->replay(waiter);
    waiter.wait();
    trace.seconds = clock.seconds();
    std::ranges::fill(begun_, false);
  }

  void* scratch(LaneId lane) const {
    return arenas_[schedule_.memory_of(lane).index()].data() + memory_->scratch_offset(lane);
  }

  const SessionOptions options_;
  const TaskGraph& task_graph_;
  const Graph& graph_;
  DeviceSet& devices_;
  Plan plan_;
  Schedule schedule_;
  CostTable costs_;
  std::unique_ptr<StealRule> steal_rule_;
  std::vector<std::unique_ptr<Program>> programs_;  // by device
  StepTrace predicted_;
  std::unique_ptr<MemoryPlan> memory_;
  std::vector<Arena> arenas_;       // by memory
  std::optional<Arena> staging_;    // of inputs, where the devices have streams
  std::vector<Operands> operands_;  // by StepTaskId
  std::vector<void*> pointers_;
  std::vector<InputSlot> input_slots_;
  std::size_t most_operands_ = 0;
  std::deque<Errand> errands_;  // by lane
  std::deque<bool> begun_;      // by task: an update of this step that has changed something
  DeviceId lost_;
  StepTrace trace_;                       // where the caller wants none
  std::unique_ptr<LaneStreams> streams_;  // null: the devices have none
  std::unique_ptr<CollectiveSums> sums_;  // null: all are trees
  std::vector<bool> has_work_;            // by device: tasks may run on its lane
  const LaneStreams::Submit starter_ = [this](StepTaskId id, LaneId lane, Completion& completion) {
    if (sums_ != nullptr && sums_->has(id)) return sums_->start(id, completion);
    start(id, lane, &streams_->stream(lane), completion);
  };
  std::unique_ptr<Recording> recording_;
  std::unique_ptr<Executor> executor_;
};

const std::vector<std::string>& collectives_names() {
  static const std::vector<std::string> kNames{"fixed_tree", "nccl"};
  return kNames;
}

void check_collectives(const std::string& collectives, const std::string& steal_rule) {
  const std::vector<std::string>& names = collectives_names();
  if (std::find(names.begin(), names.end(), collectives) == names.end()) {
    throw std::invalid_argument(
        fmt::format("[collectives] expected one of {}, got {}", fmt::join(names, ", "), collectives));
  }
  if (collectives == "nccl" && steal_rule != "none") {
    throw std::invalid_argument(
        fmt::format("[collectives] expected stealing none with nccl, got stealing {}", steal_rule));
  }
}

Session::Session(const TaskGraph& task_graph, DeviceSet& devices, const Plan& plan, const CostModel& model,
                 const SessionOptions& options)
    : impl_(std::make_unique<Impl>(task_graph, devices, plan, model, options)) {}

Session::~Session() = default;

void Session::set_value(ValueId value, const Tensor& tensor) {
  impl_->set_value(value, tensor);
}
Tensor Session::value(ValueId value) const {
  return impl_->value(value);
}
void Session::run(const std::map<ValueId, const Tensor*>& inputs, const StepContext& context, StepTrace* trace,
                  const std::stop_token& stop) {
  impl_->run(inputs, context, trace, stop);
}
bool Session::holds_state() const {
  return impl_->holds_state();
}
Tensor Session::output(ValueId value) const {
  return impl_->output(value);
}
const Schedule& Session::schedule() const {
  return impl_->schedule();
}
const CostTable& Session::costs() const {
  return impl_->costs();
}
SessionStats Session::stats() const {
  return impl_->stats();
}

}  // namespace skua
