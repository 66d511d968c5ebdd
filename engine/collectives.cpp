#include "collectives.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace skua {
namespace {

class Finder {
 public:
  explicit Finder(const Schedule& schedule) : schedule_(schedule), graph_(schedule.graph()) {
    for (std::size_t i = graph_.task_count(); i < schedule.task_count(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      copies_.emplace(std::pair(schedule.task(id).datum, schedule.task(id).to), id);
    }
  }

  [[nodiscard]] std::vector<CrossingSum> sums() const {
    std::vector<CrossingSum> all;
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      const TaskId task(static_cast<std::int64_t>(i));
      if (!is_reduce(task)) continue;
      const DatumId whole = graph_.outputs(task)[0];
      if (std::ranges::any_of(graph_.consumers(whole), [&](TaskId reader) { return is_reduce(reader); })) continue;
      if (auto sum = crossing(whole)) all.push_back(std::move(*sum));
    }
    return all;
  }

 private:
  [[nodiscard]] bool is_reduce(TaskId task) const { return graph_.task(task).kind == TaskKind::kReduce; }

  // The one memory that all of a sum is made in; invalid where there are several.
  [[nodiscard]] MemoryId made_in(DatumId sum) const {
    const TaskId producer = graph_.datum(sum).producer;
    if (!is_reduce(producer)) return schedule_.home(sum);
    const auto operands = graph_.inputs(producer);
    const MemoryId left = made_in(operands[0]);
    return left == made_in(operands[1]) ? left : MemoryId();
  }

  // Nothing where it does not cross memories, or some memory would take part twice.
  [[nodiscard]] std::optional<CrossingSum> crossing(DatumId whole) const {
    const ValueType& type = graph_.graph().value(graph_.datum(whole).value).type;
    if (type.dtype != DType::kFloat32 || made_in(whole).valid()) return std::nullopt;
    CrossingSum sum;
    std::map<DeviceId, DatumId> partials;
    if (!collect(whole, partials, sum.tasks)) return std::nullopt;
    const DeviceId root = device_in(schedule_.home(whole));
    for (const auto& [device, partial] : partials) {
      if (device == root) sum.root = sum.devices.size();
      sum.devices.push_back(device);
      sum.partials.push_back(partial);
    }
    sum.floats = static_cast<std::size_t>(type.shape.elements());
    sum.last = StepTaskId(graph_.datum(whole).producer.value);
    return sum;
  }

  // False: a memory takes part twice, or no device has it to itself.
  bool collect(DatumId sum, std::map<DeviceId, DatumId>& partials, std::vector<StepTaskId>& tasks) const {
    if (const MemoryId memory = made_in(sum); memory.valid()) {
      const DeviceId device = device_in(memory);
      return device.valid() && partials.emplace(device, sum).second;
    }
    const TaskId reduce = graph_.datum(sum).producer;
    for (const DatumId operand : graph_.inputs(reduce)) {
      if (!collect(operand, partials, tasks)) return false;
      const auto copy = copies_.find({operand, schedule_.home(sum)});
      if (copy != copies_.end()) tasks.push_back(copy->second);
    }
    tasks.push_back(StepTaskId(reduce.value));
    return true;
  }

  // Invalid: there is none, or there are several.
  [[nodiscard]] DeviceId device_in(MemoryId memory) const {
    DeviceId found;
    for (std::size_t d = 0; d < schedule_.cluster().device_count(); ++d) {
      const DeviceId device(static_cast<std::int64_t>(d));
      if (schedule_.cluster().device(device).memory != memory) continue;
      if (found.valid()) return {};
      found = device;
    }
    return found;
  }

  const Schedule& schedule_;
  const TaskGraph& graph_;
  std::map<std::pair<DatumId, MemoryId>, StepTaskId> copies_;
};

// Fills buckets one after another.
class Packer {
 public:
  Packer(Schedule& schedule, std::size_t bucket_bytes) : schedule_(schedule), bucket_bytes_(bucket_bytes) {}

  void add(const CrossingSum& sum) {
    const std::size_t bytes = sum.floats * sizeof(float);
    const bool fits =
        !open_.sums.empty() && sum.devices == open_.sums.front().devices && bytes_ + bytes <= bucket_bytes_;
    if (!fits || !try_push(sum)) {
      close();
      if (!try_push(sum)) return;  // not even alone
    }
    bytes_ += bytes;
  }

  [[nodiscard]] std::vector<SumBucket> finished() {
    close();
    return std::move(buckets_);
  }

 private:
  // False: something would have to wait for the bucket and come before it.
  bool try_push(const CrossingSum& sum) {
    open_.sums.push_back(sum);
    if (!has_circle()) return true;
    open_.sums.pop_back();
    return false;
  }

  [[nodiscard]] std::vector<bool> inside() const {
    std::vector<bool> inside(schedule_.task_count(), false);
    for (const CrossingSum& sum : open_.sums) {
      for (const StepTaskId task : sum.tasks) inside[task.index()] = true;
    }
    return inside;
  }

  // What follows the open bucket's tasks and is none of them; no doubles.
  [[nodiscard]] std::vector<StepTaskId> followers(const std::vector<bool>& inside) const {
    std::vector<StepTaskId> all;
    for (const CrossingSum& sum : open_.sums) {
      for (const StepTaskId task : sum.tasks) {
        std::ranges::copy_if(schedule_.successors(task), std::back_inserter(all),
                             [&](StepTaskId next) { return !inside[next.index()]; });
      }
    }
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

  [[nodiscard]] bool has_circle() const {
    const std::vector<bool> is_inside = inside();
    std::vector<StepTaskId> reached = followers(is_inside);
    std::vector<bool> seen(schedule_.task_count(), false);
    for (const StepTaskId task : reached) seen[task.index()] = true;
    while (!reached.empty()) {
      const StepTaskId task = reached.back();
      reached.pop_back();
      for (const StepTaskId next : schedule_.successors(task)) {
        if (is_inside[next.index()]) return true;
        if (!seen[next.index()]) reached.push_back(next);
        seen[next.index()] = true;
      }
    }
    return false;
  }

  void close() {
    if (open_.sums.empty()) return;
    const StepTaskId last = open_.sums.back().last;
    for (const StepTaskId next : followers(inside())) schedule_.add_dependency(last, next);
    for (const CrossingSum& sum : open_.sums) {
      if (sum.last != last) schedule_.add_dependency(sum.last, last);
    }
    buckets_.push_back(std::exchange(open_, {}));
    bytes_ = 0;
  }

  Schedule& schedule_;
  const std::size_t bucket_bytes_;
  SumBucket open_;
  std::size_t bytes_ = 0;  // of open_
  std::vector<SumBucket> buckets_;
};

}  // namespace

std::vector<SumBucket> plan_collectives(Schedule& schedule, const StepTrace& predicted, std::size_t bucket_bytes) {
  std::vector<CrossingSum> sums = Finder(schedule).sums();
  const auto start = [&](const CrossingSum& sum) { return predicted.records[sum.last.index()].start_seconds; };
  std::ranges::stable_sort(sums, [&](const CrossingSum& a, const CrossingSum& b) { return start(a) < start(b); });
  Packer packer(schedule, bucket_bytes);
  for (const CrossingSum& sum : sums) packer.add(sum);
  std::vector<SumBucket> buckets = packer.finished();
  (void)schedule.topological_order();  // throws where there is a circle
  return buckets;
}

}  // namespace skua
