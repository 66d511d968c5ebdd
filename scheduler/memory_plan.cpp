#include "skua/scheduler/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <utility>

namespace skua {
namespace {

using Edge = std::pair<StepTaskId, StepTaskId>;

// One piece of storage in one memory, and every task that reads or writes it there.
struct Item {
  DatumId root;
  MemoryId memory;
  std::size_t bytes = 0;
  std::vector<StepTaskId> touchers;  // in predicted order; none: it lies in the place of another one
  std::size_t offset = 0;            // in its frame, or in the arena where it is persistent
  std::size_t place = 0;             // the item in whose place it lies; its own position: in its own
};

// What one micro-batch keeps in one memory: its activations, or the gradients that are summed over micro-batches, which
// live longer. All frames of one class and memory lie in slots of one size.
struct FrameKey {
  MemoryId memory;
  bool gradients = false;
  int micro_batch = 0;
  friend auto operator<=>(const FrameKey&, const FrameKey&) = default;
};

struct Frame {
  std::vector<std::size_t> items;
  std::vector<StepTaskId> touchers;  // in predicted order, no doubles
  std::size_t bytes = 0;
  std::size_t slot = 0;
};

class Layout {
 public:
  Layout(const Schedule& schedule, const StepTrace& predicted, const MemorySizes& sizes, bool stealing)
      : schedule_(schedule), graph_(schedule.graph()), predicted_(predicted), sizes_(sizes), stealing_(stealing) {
    rank_tasks();
    mark_gradients();
    collect_items();
    share_places();
    group_items();
  }

  // Sizes, offsets and edges; with or without slack.
  void compute(bool slack) {
    edges = shared_edges_;
    arena_bytes.assign(schedule_.cluster().memory_count(), 0);
    for (std::size_t i : persistent_) items_[i].offset = reserve(items_[i].memory, items_[i].bytes);
    for (auto& [key, frame] : frames_) lay_out(frame);
    for (auto first = frames_.begin(); first != frames_.end();) {
      auto last = first;
      while (last != frames_.end() && same_slots(last->first, first->first)) ++last;
      std::vector<Frame*> frames;
      for (auto it = first; it != last; ++it) frames.push_back(&it->second);
      place_frames(first->first.memory, std::move(frames), slack);
      first = last;
    }
    reserve_lanes();
    reserve_undo();
  }

  // Whether the frames fit beside each other even where no item lies where another lay; then they fit in any case.
  [[nodiscard]] bool fits_without_reuse() const {
    std::vector<double> bytes(schedule_.cluster().memory_count(), 0);
    for (std::size_t i : persistent_) bytes[items_[i].memory.index()] += static_cast<double>(items_[i].bytes);
    for (auto first = frames_.begin(); first != frames_.end();) {
      double largest = 0;
      double count = 0;
      const FrameKey key = first->first;
      for (; first != frames_.end() && same_slots(first->first, key); ++first) {
        double sum = 0;
        for (std::size_t i : first->second.items) sum += static_cast<double>(items_[i].bytes);
        largest = std::max(largest, sum);
        ++count;
      }
      bytes[key.memory.index()] += count * largest;
    }
    for (std::size_t lane = 0; lane < schedule_.device_lane_count(); ++lane) {
      const LaneId id(static_cast<std::int64_t>(lane));
      bytes[schedule_.memory_of(id).index()] += static_cast<double>(MemoryPlan::align(sizes_.scratch_bytes(id)));
    }
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      bytes[memory_of(i).index()] += static_cast<double>(undo_bytes(TaskId(static_cast<std::int64_t>(i))));
    }
    for (std::size_t m = 0; m < bytes.size(); ++m) {
      if (bytes[m] > schedule_.cluster().memories()[m].capacity_bytes) return false;
    }
    return true;
  }

  // The first memory that is too small; one past the last where all are large enough.
  [[nodiscard]] MemoryId too_small() const {
    MemoryId memory(0);
    while (memory.index() < arena_bytes.size() &&
           static_cast<double>(arena_bytes[memory.index()]) <= schedule_.cluster().memory(memory).capacity_bytes) {
      ++memory.value;
    }
    return memory;
  }

  [[nodiscard]] std::vector<std::size_t> datum_offsets() const {
    const std::size_t memories = arena_bytes.size();
    std::vector<std::size_t> offsets(graph_.datum_count() * memories, kNoOffset);
    for (std::size_t i = 0; i < graph_.datum_count(); ++i) {
      const DatumId root = graph_.datum(DatumId(static_cast<std::int64_t>(i))).storage;
      for (std::size_t m = 0; m < memories; ++m) {
        const auto it = item_of_.find({root, MemoryId(static_cast<std::int64_t>(m))});
        if (it != item_of_.end()) offsets[i * memories + m] = placed(it->second).offset;
      }
    }
    return offsets;
  }

  std::vector<Edge> edges;
  std::vector<std::size_t> arena_bytes;
  std::vector<std::size_t> scratch_offsets;
  std::vector<std::size_t> staging_offsets;
  std::vector<std::size_t> undo_offsets;  // by task

 private:
  static bool same_slots(const FrameKey& a, const FrameKey& b) {
    return a.memory == b.memory && a.gradients == b.gradients;
  }
  const TaskRecord& record(StepTaskId id) const { return predicted_.records[id.index()]; }

  // Every dependency, present or added here, leads from a smaller to a larger rank, so there is never a cycle.
  void rank_tasks() {
    std::vector<StepTaskId> order = schedule_.topological_order();
    std::stable_sort(order.begin(), order.end(), [&](StepTaskId a, StepTaskId b) {
      return std::pair(record(a).start_seconds, record(a).finish_seconds) <
             std::pair(record(b).start_seconds, record(b).finish_seconds);
    });
    rank_.resize(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) rank_[order[i].index()] = i;
  }

  void mark_gradients() {
    summed_.assign(graph_.graph().value_count(), false);
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      if (graph_.task(id).kind != TaskKind::kUpdate) continue;
      for (DatumId input : graph_.inputs(id)) summed_[graph_.datum(input).value.index()] = true;
    }
  }

  void collect_items() {
    for (std::size_t i = 0; i < schedule_.task_count(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      const StepTask& task = schedule_.task(id);
      if (task.is_copy()) {
        touch(id, task.datum, task.from);
        touch(id, task.datum, task.to);
        continue;
      }
      const MemoryId memory = schedule_.memory_of(task.lane);
      for (DatumId input : graph_.inputs(task.task)) touch(id, input, memory);
      for (DatumId output : graph_.outputs(task.task)) touch(id, output, memory);
    }
    for (std::size_t i = 0; i < graph_.datum_count(); ++i) {  // a value that nothing uses can still be asked for
      const DatumId id(static_cast<std::int64_t>(i));
      if (graph_.is_persistent(id)) item(id, schedule_.home(id));
    }
    for (Item& item : items_) {
      std::sort(item.touchers.begin(), item.touchers.end(),
                [&](StepTaskId a, StepTaskId b) { return rank_[a.index()] < rank_[b.index()]; });
    }
  }

  void touch(StepTaskId task, DatumId datum, MemoryId memory) {
    const ValueKind kind = graph_.graph().value(graph_.datum(datum).value).kind;
    if (kind == ValueKind::kInput && memory == kHostMemory) return;  // stays with the caller
    std::vector<StepTaskId>& touchers = item(graph_.datum(datum).storage, memory).touchers;
    if (touchers.empty() || touchers.back() != task) touchers.push_back(task);
  }

  Item& item(DatumId root, MemoryId memory) {
    const auto [it, added] = item_of_.try_emplace({root, memory}, items_.size());
    if (added)
      items_.push_back({root,
                        memory,
                        MemoryPlan::align(sizes_.value_bytes(graph_.datum(root).value, memory)),
                        {},
                        0,
                        items_.size()});
    return items_[it->second];
  }

  // The last tasks first: then a datum's item holds its own touchers when it is its producer's turn, and perhaps those
  // of what is made in its place.
  void share_places() {
    if (!sizes_.in_place) return;
    std::vector<StepTaskId> order;
    for (std::size_t i = 0; i < graph_.task_count(); ++i) order.emplace_back(static_cast<std::int64_t>(i));
    std::sort(order.begin(), order.end(),
              [&](StepTaskId a, StepTaskId b) { return rank_[a.index()] > rank_[b.index()]; });
    for (const StepTaskId maker : order) {
      const TaskId task = schedule_.task(maker).task;
      if (graph_.task(task).kind != TaskKind::kCompute) continue;
      for (const auto& [input, output] : sizes_.in_place(graph_.task(task).node)) {
        if (share_place(maker, graph_.inputs(task)[input], graph_.outputs(task)[output])) break;
      }
    }
  }

  // Whether `maker` makes `to` in the place of `from`.
  bool share_place(StepTaskId maker, DatumId from, DatumId to) {
    const auto may_share = [&](DatumId id) {
      const ValueId value = graph_.datum(id).value;
      return graph_.graph().value(value).kind == ValueKind::kIntermediate && !graph_.is_persistent(id) &&
             !summed_[value.index()];
    };
    const auto inputs = graph_.inputs(schedule_.task(maker).task);
    if (!may_share(from) || !may_share(to) || std::count(inputs.begin(), inputs.end(), from) > 1) return false;
    const MemoryId memory = memory_of(maker.index());
    Item& item = items_[item_of_.at({from, memory})];
    Item& made = items_[item_of_.at({to, memory})];
    if (item.bytes != made.bytes) return false;
    const auto is_over = [&](StepTaskId toucher) { return toucher == maker || precedes(toucher, maker); };
    if (!std::all_of(item.touchers.begin(), item.touchers.end(), is_over)) return false;
    for (const StepTaskId toucher : item.touchers) {
      if (toucher != maker) shared_edges_.emplace_back(toucher, maker);
    }
    std::erase(item.touchers, maker);  // is the first of the others
    item.touchers.insert(item.touchers.end(), made.touchers.begin(), made.touchers.end());
    made.touchers.clear();
    made.place = item.place;
    return true;
  }

  [[nodiscard]] const Item& placed(std::size_t i) const {
    while (items_[i].place != i) i = items_[i].place;
    return items_[i];
  }

  void group_items() {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const Datum& root = graph_.datum(items_[i].root);
      if (graph_.is_persistent(items_[i].root)) {
        persistent_.push_back(i);
      } else if (!items_[i].touchers.empty()) {
        frames_[{items_[i].memory, summed_[root.value.index()], root.micro_batch}].items.push_back(i);
      }
    }
    for (auto& [key, frame] : frames_) {
      for (std::size_t i : frame.items) {
        frame.touchers.insert(frame.touchers.end(), items_[i].touchers.begin(), items_[i].touchers.end());
      }
      std::sort(frame.touchers.begin(), frame.touchers.end(),
                [&](StepTaskId a, StepTaskId b) { return rank_[a.index()] < rank_[b.index()]; });
      frame.touchers.erase(std::unique(frame.touchers.begin(), frame.touchers.end()), frame.touchers.end());
    }
  }

  std::size_t reserve(MemoryId memory, std::size_t bytes) {
    return std::exchange(arena_bytes[memory.index()], arena_bytes[memory.index()] + MemoryPlan::align(bytes));
  }

  // Whether a dependency of `maker` on it costs no parallelism: it is predicted to end before that, on the same lane or
  // as a direct predecessor.
  bool precedes(StepTaskId toucher, StepTaskId maker) const {
    if (rank_[toucher.index()] >= rank_[maker.index()]) return false;
    const auto& successors = schedule_.successors(toucher);
    return schedule_.task(toucher).lane == schedule_.task(maker).lane ||
           std::find(successors.begin(), successors.end(), maker) != successors.end();
  }

  // Whether `next` may lie where `last` lay.
  bool precedes(const Item& last, const Item& next) const {
    return std::all_of(last.touchers.begin(), last.touchers.end(),
                       [&](StepTaskId toucher) { return precedes(toucher, next.touchers.front()); });
  }

  // Offsets inside a frame: largest first, each at the lowest place that is free of what may live at the same time.
  // Source: greedy by size, Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020.
  void lay_out(Frame& frame) {
    std::vector<std::size_t> order = frame.items;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return items_[a].bytes > items_[b].bytes; });
    std::vector<std::size_t> placed;  // by offset
    frame.bytes = 0;
    for (std::size_t i : order) {
      Item& item = items_[i];
      item.offset = 0;
      for (std::size_t other : placed) {
        const Item& taken = items_[other];
        if (taken.offset >= item.offset + item.bytes || taken.offset + taken.bytes <= item.offset) continue;
        if (!precedes(taken, item) && !precedes(item, taken)) item.offset = taken.offset + taken.bytes;
      }
      placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                     [&](std::size_t a, std::size_t b) { return items_[a].offset < items_[b].offset; }),
                    i);
      frame.bytes = std::max(frame.bytes, item.offset + item.bytes);
    }
    order_items(frame);
  }

  // What touches the last item at a place before what makes the next there; those before it follow by transitivity.
  void order_items(const Frame& frame) {
    std::vector<std::size_t> order = frame.items;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return rank_[items_[a].touchers.front().index()] < rank_[items_[b].touchers.front().index()];
    });
    std::map<std::size_t, std::size_t> owners;  // by the first byte of a piece: the last item there
    constexpr std::size_t kNobody = static_cast<std::size_t>(-1);
    owners[0] = kNobody;
    const auto split = [&](std::size_t at) { owners.emplace(at, std::prev(owners.upper_bound(at))->second); };
    for (const std::size_t next : order) {
      const Item& item = items_[next];
      split(item.offset);
      split(item.offset + item.bytes);
      const auto begin = owners.find(item.offset);
      const auto end = owners.find(item.offset + item.bytes);
      std::set<std::size_t> before;
      for (auto piece = begin; piece != end; ++piece) before.insert(piece->second);
      before.erase(kNobody);
      for (const std::size_t last : before) {
        for (StepTaskId toucher : items_[last].touchers) edges.emplace_back(toucher, item.touchers.front());
      }
      if (begin == end) continue;  // no bytes
      owners.erase(begin, end);
      owners[item.offset] = next;
    }
  }

  // Gives each frame a slot, oldest free slot first, and orders the frames of a slot one after another.
  void place_frames(MemoryId memory, std::vector<Frame*> frames, bool slack) {
    std::stable_sort(frames.begin(), frames.end(), [&](const Frame* a, const Frame* b) {
      return rank_[a->touchers.front().index()] < rank_[b->touchers.front().index()];
    });
    std::size_t slots = assign_slots(frames, 0);
    if (slack) {
      const auto& devices = schedule_.cluster().devices();
      slots += static_cast<std::size_t>(
          std::count_if(devices.begin(), devices.end(), [&](const DeviceSpec& d) { return d.memory == memory; }));
      slots = assign_slots(frames, slots);
    }
    std::size_t slot_bytes = 0;
    for (const Frame* frame : frames) slot_bytes = std::max(slot_bytes, frame->bytes);
    const std::size_t base = reserve(memory, slots * slot_bytes);
    std::vector<Frame*> last(slots, nullptr);
    for (Frame* frame : frames) {
      for (std::size_t i : frame->items) items_[i].offset += base + frame->slot * slot_bytes;
      if (last[frame->slot] != nullptr) order_frames(*last[frame->slot], *frame);
      last[frame->slot] = frame;
    }
  }

  // Opens a new slot where none is free or fewer than `wanted` are open. Returns how many are open in the end.
  std::size_t assign_slots(const std::vector<Frame*>& frames, std::size_t wanted) const {
    std::vector<const Frame*> last;  // by slot
    for (Frame* frame : frames) {
      const std::size_t start = rank_[frame->touchers.front().index()];
      std::size_t best = last.size();
      for (std::size_t s = 0; s < last.size() && last.size() >= wanted; ++s) {
        const std::size_t end = rank_[last[s]->touchers.back().index()];
        if (end < start && (best == last.size() || end < rank_[last[best]->touchers.back().index()])) best = s;
      }
      if (best == last.size()) last.push_back(nullptr);
      last[best] = frame;
      frame->slot = best;
    }
    return last.size();
  }

  // The last tasks of one frame before the first tasks of the next; those in between follow by transitivity.
  void order_frames(const Frame& before, const Frame& after) {
    const auto inside = [&](const Frame& frame, StepTaskId id) {
      return std::binary_search(frame.touchers.begin(), frame.touchers.end(), id,
                                [&](StepTaskId a, StepTaskId b) { return rank_[a.index()] < rank_[b.index()]; });
    };
    std::vector<StepTaskId> sinks;
    for (StepTaskId id : before.touchers) {
      const auto& next = schedule_.successors(id);
      if (std::none_of(next.begin(), next.end(), [&](StepTaskId s) { return inside(before, s); })) sinks.push_back(id);
    }
    std::vector<StepTaskId> sources = after.touchers;
    for (StepTaskId id : after.touchers) {
      for (StepTaskId successor : schedule_.successors(id)) std::erase(sources, successor);
    }
    for (StepTaskId sink : sinks) {
      for (StepTaskId source : sources) edges.emplace_back(sink, source);
    }
  }

  void reserve_lanes() {
    const std::size_t lanes = schedule_.device_lane_count();
    scratch_offsets.assign(lanes, kNoOffset);
    staging_offsets.assign(lanes, kNoOffset);
    for (std::size_t i = 0; i < lanes; ++i) {
      const LaneId lane(static_cast<std::int64_t>(i));
      const MemoryId memory = schedule_.memory_of(lane);
      scratch_offsets[i] = reserve(memory, sizes_.scratch_bytes(lane));
      if (stealing_ && arena_bytes.size() > 1) staging_offsets[i] = reserve(memory, staging_bytes(memory));
    }
  }

  void reserve_undo() {
    undo_offsets.assign(graph_.task_count(), kNoOffset);
    for (std::size_t i = 0; i < undo_offsets.size(); ++i) {
      const std::size_t bytes = undo_bytes(TaskId(static_cast<std::int64_t>(i)));
      if (bytes > 0) undo_offsets[i] = reserve(memory_of(i), bytes);
    }
  }

  [[nodiscard]] std::size_t undo_bytes(TaskId id) const {
    if (!sizes_.saves_updates || !changes_in_place(graph_, id)) return 0;
    std::size_t bytes = 0;
    const auto inputs = graph_.inputs(id);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (i == kUpdateGradient) continue;
      const std::size_t whole = sizes_.value_bytes(graph_.datum(inputs[i]).value, memory_of(id.index()));
      bytes += MemoryPlan::align(graph_.task(id).part.of(whole).size());
    }
    return bytes;
  }

  [[nodiscard]] MemoryId memory_of(std::size_t task) const {
    return schedule_.memory_of(schedule_.task(StepTaskId(static_cast<std::int64_t>(task))).lane);
  }

  std::size_t staging_bytes(MemoryId memory) const {
    std::size_t most = 0;
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      if (graph_.task(id).kind == TaskKind::kUpdate) continue;
      std::size_t bytes = 0;
      for (const auto data : {graph_.inputs(id), graph_.outputs(id)}) {
        for (DatumId datum : data) bytes += MemoryPlan::align(sizes_.value_bytes(graph_.datum(datum).value, memory));
      }
      most = std::max(most, bytes);
    }
    return most;
  }

  const Schedule& schedule_;
  const TaskGraph& graph_;
  const StepTrace& predicted_;
  const MemorySizes& sizes_;
  const bool stealing_;
  std::vector<std::size_t> rank_;   // by StepTaskId
  std::vector<bool> summed_;        // by ValueId: read by an update
  std::vector<Edge> shared_edges_;  // of what is made in place
  std::vector<Item> items_;
  std::map<std::pair<DatumId, MemoryId>, std::size_t> item_of_;
  std::vector<std::size_t> persistent_;
  std::map<FrameKey, Frame> frames_;
};

}  // namespace

MemorySizes plain_sizes(const Schedule& schedule) {
  const Graph& graph = schedule.graph().graph();
  return {[&graph](ValueId value, MemoryId) { return static_cast<std::size_t>(graph.value(value).type.bytes()); },
          [](LaneId) { return std::size_t{0}; }, false};
}

bool fits_in_memory(const Schedule& schedule, const StepTrace& predicted, const MemorySizes& sizes) {
  Layout layout(schedule, predicted, sizes, false);
  if (layout.fits_without_reuse()) return true;
  layout.compute(false);
  return layout.too_small().index() == schedule.cluster().memory_count();
}

MemoryPlan::MemoryPlan(Schedule& schedule, const StepTrace& predicted, const MemorySizes& sizes, bool stealing) {
  Layout layout(schedule, predicted, sizes, stealing);
  const std::size_t memories = schedule.cluster().memory_count();
  layout.compute(stealing);
  if (stealing && layout.too_small().index() < memories) layout.compute(false);
  if (const MemoryId memory = layout.too_small(); memory.index() < memories) {
    const MemorySpec& spec = schedule.cluster().memory(memory);
    throw std::invalid_argument(fmt::format("memory {} needs {:.3g} GB, has {:.3g} GB", spec.name,
                                            static_cast<double>(layout.arena_bytes[memory.index()]) / 1e9,
                                            spec.capacity_bytes / 1e9));
  }
  for (const auto& [before, after] : layout.edges) schedule.add_dependency(before, after);
  offsets_ = layout.datum_offsets();
  arena_bytes_ = std::move(layout.arena_bytes);
  scratch_offsets_ = std::move(layout.scratch_offsets);
  staging_offsets_ = std::move(layout.staging_offsets);
  undo_offsets_ = std::move(layout.undo_offsets);
}

}  // namespace skua
