#include "max_load_search.h"

#include <algorithm>
#include <unordered_set>

namespace skua::max_load {
namespace {

// A sum near a limit may be rounded to either side of it: bounds rule out only what is beyond it by more.
constexpr double kRounding = 1 + 1e-9;

// Where items are, as a part is made: in earlier parts, in the part, or surely in later ones.
enum class Place : unsigned char { kBefore, kInside, kOpen, kAfter };

using Words = std::vector<std::uint64_t>;

struct WordsHash {
  std::size_t operator()(const Words& words) const {
    std::size_t hash = 0;
    for (const std::uint64_t word : words) hash = (hash ^ word) * 0x9E3779B97F4A7C15U + (hash >> 29);
    return hash;
  }
};

// The time that is left, so that a result does not depend on the machine.
struct Steps {
  std::size_t most = 0;
  std::size_t taken = 0;
  [[nodiscard]] bool over() const { return taken > most; }
};

// What the search knows of the devices that are free.
struct Free {
  std::vector<std::size_t> devices;  // by class
  std::vector<double> weights;       // by item: least seconds times speed of their classes
  double speeds = 0;                 // theirs together
  double bytes = 0;                  // likewise

  Free(const Problem& problem, std::vector<std::size_t> free) : devices(std::move(free)) {
    const std::vector<DeviceClass>& classes = problem.classes();
    for (std::size_t c = 0; c < classes.size(); ++c) {
      speeds += static_cast<double>(devices[c]) * classes[c].speed;
      if (devices[c] > 0) bytes += static_cast<double>(devices[c]) * classes[c].capacity_bytes;
    }
    for (const Item& item : problem.items()) {
      double& weight = weights.emplace_back(kInfinity);
      for (std::size_t c = 0; c < classes.size(); ++c) {
        if (devices[c] > 0 && item.seconds[c] < kInfinity) {
          weight = std::min(weight, item.seconds[c] * classes[c].speed);
        }
      }
    }
  }
};

// Parts on a device of one class that may come after a closed set, one after another: items are decided on in
// topological order, each first taken and then left, with all that needs it. Given are those that stay below the
// target, leave no more than the devices free after it can do, and are not dominated by a larger part (`rest_gains`).
class Parts {
 public:
  Parts(const Problem& problem, const std::vector<std::size_t>& order, const std::vector<bool>& before,
        std::size_t device_class, double target, const Free& free, const Free& free_after, Steps& steps)
      : problem_(problem),
        order_(order),
        class_(device_class),
        target_(target),
        free_(free),
        free_after_(free_after),
        steps_(steps),
        places_(before.size()),
        readers_(problem.data().size()) {
    for (std::size_t i = 0; i < before.size(); ++i) {
      places_[i] = before[i] ? Place::kBefore : Place::kOpen;
      if (before[i]) continue;
      state_.least_work += free.weights[i];
      bytes_left_ += problem.items()[i].bytes;
    }
    for (std::size_t d = 0; d < problem.data().size(); ++d) {
      for (const std::size_t to : problem.data()[d].to) ++(before[to] ? readers_[d].outside : readers_[d].open);
    }
  }

  // Makes the next part; false where there is none, or the steps are over.
  bool next() {
    bool go_on = !started_ || leave_last();
    started_ = true;
    while (go_on && !steps_.over()) {
      while (state_.at < order_.size() && places_[order_[state_.at]] != Place::kOpen) ++state_.at;
      if (state_.at == order_.size()) {
        if (is_undominated()) return true;
      } else if (take(order_[state_.at])) {
        continue;
      }
      go_on = leave_last();
    }
    return false;
  }

  [[nodiscard]] bool holds(std::size_t item) const { return places_[item] == Place::kInside; }

 private:
  struct State {
    std::size_t at = 0;     // in the order
    double work = 0;        // seconds of the part
    double copies = 0;      // those that are sure, whatever is decided on the open items
    double bytes = 0;       // of the part
    double least_work = 0;  // weights of all that is not before, the part's own as they are, with its copies
    double after = 0;       // weights of what is left, on devices free after the part
  };
  struct Decision {
    State state;  // before it
    std::size_t item = 0;
    bool taken = true;
    std::size_t moves = 0;  // before it
  };
  struct Readers {
    std::size_t inside = 0;
    std::size_t outside = 0;  // before or after
    std::size_t open = 0;
  };

  [[nodiscard]] double seconds(std::size_t item) const { return problem_.items()[item].seconds[class_]; }

  [[nodiscard]] double sure_copy(std::size_t d) const {
    const ItemDatum& datum = problem_.data()[d];
    switch (places_[datum.from]) {
      case Place::kInside:
        return readers_[d].outside > 0 ? datum.out_seconds[class_] : 0;
      case Place::kOpen:
        return 0;
      default:
        return readers_[d].inside > 0 ? datum.in_seconds[class_] : 0;
    }
  }

  static std::size_t& count(Readers& readers, Place place) {
    if (place == Place::kOpen) return readers.open;
    return place == Place::kInside ? readers.inside : readers.outside;
  }

  void move(std::size_t item, Place place) {
    for (const std::size_t d : problem_.items()[item].data) {
      if (problem_.data()[d].from == item) continue;
      --count(readers_[d], places_[item]);
      ++count(readers_[d], place);
    }
    places_[item] = place;
  }

  void decide(std::size_t item, Place place) {
    ++steps_.taken;
    double copies = 0;
    for (const std::size_t d : problem_.items()[item].data) copies -= sure_copy(d);
    move(item, place);
    moved_.push_back(item);
    for (const std::size_t d : problem_.items()[item].data) copies += sure_copy(d);
    state_.copies += copies;
    state_.least_work += copies * problem_.classes()[class_].speed;
  }

  // Whether a part with the items taken and without those left may be one of a pipeline below the target.
  [[nodiscard]] bool may_do() const {
    return state_.work + state_.copies < target_ && state_.bytes <= problem_.classes()[class_].capacity_bytes &&
           state_.least_work <= target_ * free_.speeds * kRounding &&
           state_.after <= target_ * free_after_.speeds * kRounding;
  }

  bool take(std::size_t item) {
    decisions_.push_back({state_, item, true, moved_.size()});
    if (seconds(item) == kInfinity) return false;
    state_.work += seconds(item);
    state_.bytes += problem_.items()[item].bytes;
    state_.least_work += seconds(item) * problem_.classes()[class_].speed - free_.weights[item];
    decide(item, Place::kInside);
    return may_do();
  }

  bool leave(std::size_t item) {
    const std::size_t first = moved_.size();
    state_.after += free_after_.weights[item];
    decide(item, Place::kAfter);
    for (std::size_t m = first; m < moved_.size(); ++m) {
      for (const std::size_t next : problem_.items()[moved_[m]].successors) {
        if (places_[next] == Place::kAfter) continue;
        state_.after += free_after_.weights[next];
        decide(next, Place::kAfter);
      }
    }
    return may_do();
  }

  void undo(const Decision& decision) {
    while (moved_.size() > decision.moves) {
      move(moved_.back(), Place::kOpen);
      moved_.pop_back();
    }
    state_ = decision.state;
  }

  // Leaves the item that was taken last and can be left; false where there is none.
  bool leave_last() {
    while (!decisions_.empty()) {
      Decision& last = decisions_.back();
      undo(last);
      if (last.taken && !(costs_nothing(last.item) && rest_gains(last.item))) {
        last.taken = false;
        if (leave(last.item)) return true;
        undo(last);
      }
      decisions_.pop_back();
    }
    return false;
  }

  // Whether no device gets more to do where `item`, whose predecessors are before or inside, is taken out of a later
  // part that it may be in. If so, a part that could hold the item too and stay below the target need not be tried
  // without it: in any pipeline that goes on from there, the item can move into this part, all parts keep their order,
  // those other than these two their loads (a load depends on what is in the part alone), and none reaches the target.
  // Where it holds, it holds for all parts that this one grows into.
  [[nodiscard]] bool rest_gains(std::size_t item) const {
    for (std::size_t c = 0; c < problem_.classes().size(); ++c) {
      double more = -problem_.items()[item].seconds[c];
      for (const std::size_t d : problem_.items()[item].data) {
        if (more == -kInfinity) break;
        const ItemDatum& datum = problem_.data()[d];
        const std::size_t done = done_readers(d);
        if (datum.from != item) {
          // It read d there: copied in from an earlier part, maybe for it alone, or out where d was made there.
          if (is_done(datum.from)) {
            more -= done + 1 == datum.to.size() ? datum.in_seconds[c] : 0;
          } else {
            more += done == 0 ? datum.out_seconds[c] : 0;
          }
        } else {
          // It made d there: copied out for readers elsewhere, and now in for those there.
          more += done < datum.to.size() ? datum.in_seconds[c] : 0;
          more -= done > 0 ? datum.out_seconds[c] : 0;
        }
      }
      if (more > 0) return false;
    }
    return true;
  }

  // Whether neither this part nor any that it grows into gets more to do where `item` is added.
  [[nodiscard]] bool costs_nothing(std::size_t item) const {
    const bool room = bytes_left_ <= problem_.classes()[class_].capacity_bytes;
    if (seconds(item) > 0 || (problem_.items()[item].bytes > 0 && !room)) return false;
    double more = 0;
    for (const std::size_t d : problem_.items()[item].data) {
      const ItemDatum& datum = problem_.data()[d];
      const Readers& readers = readers_[d];
      if (datum.from == item) {
        more += readers.outside + readers.open > 0 ? datum.out_seconds[class_] : 0;
        more -= readers.inside > 0 ? datum.in_seconds[class_] : 0;
      } else if (!holds(datum.from)) {
        more += readers.inside == 0 ? datum.in_seconds[class_] : 0;
      }
    }
    return more <= 0;
  }

  [[nodiscard]] bool is_done(std::size_t item) const {
    return places_[item] == Place::kBefore || places_[item] == Place::kInside;
  }

  [[nodiscard]] std::size_t done_readers(std::size_t d) const {
    const std::vector<std::size_t>& to = problem_.data()[d].to;
    return static_cast<std::size_t>(std::count_if(to.begin(), to.end(), [&](std::size_t i) { return is_done(i); }));
  }

  // All items are decided on. Whether no item that was left could be taken and make the rest no worse.
  bool is_undominated() {
    bool any = false;
    steps_.taken += decisions_.size();
    for (const Decision& decision : decisions_) {
      any = any || decision.taken;
      if (!decision.taken && could_take(decision.item) && rest_gains(decision.item)) return false;
    }
    return any;
  }

  bool could_take(std::size_t item) {
    double load = state_.work + state_.copies + seconds(item);
    for (const std::size_t d : problem_.items()[item].data) load -= sure_copy(d);
    move(item, Place::kInside);
    for (const std::size_t d : problem_.items()[item].data) load += sure_copy(d);
    move(item, Place::kAfter);
    return load < target_ && state_.bytes + problem_.items()[item].bytes <= problem_.classes()[class_].capacity_bytes;
  }

  const Problem& problem_;
  const std::vector<std::size_t>& order_;
  const std::size_t class_;
  const double target_;
  const Free& free_;
  const Free& free_after_;
  Steps& steps_;
  std::vector<Place> places_;     // by item
  std::vector<Readers> readers_;  // by datum
  double bytes_left_ = 0;         // of all items not before
  State state_;
  std::vector<Decision> decisions_;
  std::vector<std::size_t> moved_;  // out of the open ones
  bool started_ = false;
};

// Depth first, part by part. Closed sets from which no pipeline goes on with the devices left are not tried again.
class Search {
 public:
  Search(const Problem& problem, double target, std::size_t most_steps)
      : problem_(problem),
        order_(problem.topological_order(true)),
        target_(target),
        steps_{most_steps},
        devices_(problem.items().size()) {}

  Found run() {
    std::vector<std::size_t> free;
    for (const DeviceClass& devices : problem_.classes()) free.push_back(devices.devices.size());
    const bool found = go_on(std::vector<bool>(problem_.items().size(), false), Free(problem_, std::move(free)));
    if (!found) devices_.clear();
    return {devices_, found || !steps_.over(), steps_.taken};
  }

 private:
  // Whether devices that are free can do all that is not in `before`; says which, then.
  bool go_on(const std::vector<bool>& before, const Free& free) {
    double work = 0;
    double bytes = 0;
    bool all = true;
    steps_.taken += before.size();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i]) continue;
      all = false;
      work += free.weights[i];
      bytes += problem_.items()[i].bytes;
    }
    if (all) return true;
    if (work > target_ * free.speeds * kRounding || bytes > free.bytes) return false;
    Words key = key_of(before, free);
    if (failed_.count(key) > 0) return false;
    for (std::size_t c = 0; c < free.devices.size(); ++c) {
      if (free.devices[c] > 0 && goes_on_with(before, free, c)) return true;
    }
    if (!steps_.over()) failed_.insert(std::move(key));
    return false;
  }

  bool goes_on_with(const std::vector<bool>& before, const Free& free, std::size_t c) {
    std::vector<std::size_t> left = free.devices;
    --left[c];
    const Free free_after(problem_, std::move(left));
    Parts parts(problem_, order_, before, c, target_, free, free_after, steps_);
    while (parts.next()) {
      std::vector<bool> with = before;
      for (std::size_t i = 0; i < with.size(); ++i) with[i] = with[i] || parts.holds(i);
      if (!go_on(with, free_after)) continue;
      for (std::size_t i = 0; i < with.size(); ++i) {
        if (parts.holds(i)) devices_[i] = problem_.classes()[c].devices[free_after.devices[c]];
      }
      return true;
    }
    return false;
  }

  [[nodiscard]] static Words key_of(const std::vector<bool>& before, const Free& free) {
    Words key(free.devices.begin(), free.devices.end());
    key.resize(key.size() + (before.size() + 63) / 64, 0);
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i]) key[free.devices.size() + i / 64] |= std::uint64_t{1} << (i % 64);
    }
    return key;
  }

  const Problem& problem_;
  const std::vector<std::size_t> order_;
  const double target_;
  Steps steps_;
  std::vector<DeviceId> devices_;
  std::unordered_set<Words, WordsHash> failed_;
};

}  // namespace

Found find_pipeline(const Problem& problem, double target, std::size_t most_steps) {
  return Search(problem, target, most_steps).run();
}

}  // namespace skua::max_load
