#include "skua/scheduler/device_speeds.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "skua/scheduler/median.h"

namespace skua {
namespace {

constexpr std::size_t kSteps = 3;          // that a device must stand out in, and that its factor is the median of
const double kStandsOut = std::log(1.15);  // by so much
const double kNearOne = kStandsOut / 2;    // and counts as slow until here
constexpr double kStandardErrors = 2;
constexpr int kFadeSteps = 32;

// A device's measured over expected times in one step. `low` and `high`: the least and most that the median can be
// whichever one key is left out.
struct StepRatio {
  double low;
  double middle;
  double high;
};

// Of ratios in ascending order: the first up to which they have so much weight.
double quantile(const std::vector<KeyRatio>& sorted, double weight) {
  double sum = 0;
  for (const KeyRatio& key : sorted) {
    sum += key.weight;
    if (sum >= weight) return key.ratio;
  }
  return sorted.back().ratio;
}

// Nothing where there is one key or none: it may be that key's cost which is wrong.
std::optional<StepRatio> ratio_of(std::vector<KeyRatio> keys) {
  if (keys.size() < 2) return std::nullopt;
  std::ranges::sort(keys, {}, &KeyRatio::ratio);
  double all = 0;
  double heaviest = 0;
  for (const KeyRatio& key : keys) {
    all += key.weight;
    heaviest = std::max(heaviest, key.weight);
  }
  return StepRatio{quantile(keys, (all - heaviest) / 2), quantile(keys, all / 2), quantile(keys, (all + heaviest) / 2)};
}

// Of two in the middle the smaller: where half of the devices are slow, the others are the healthy ones.
double lower_median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double DeviceSpeeds::factor(const std::string& device) const {
  const auto found = tracks_.find(device);
  return found != tracks_.end() && found->second.slow ? std::exp(found->second.log_factor) : 1;
}

std::vector<double> DeviceSpeeds::observe(const Cluster& cluster, const std::vector<std::vector<KeyRatio>>& by_device) {
  std::vector<std::optional<StepRatio>> ratios;
  for (const std::vector<KeyRatio>& keys : by_device) ratios.push_back(ratio_of(keys));
  std::vector<double> slowness;
  for (std::size_t d = 0; d < ratios.size(); ++d) {
    const DeviceSpec& device = cluster.devices()[d];
    std::vector<double> middles;
    std::vector<double> highs;
    for (std::size_t other = 0; other < ratios.size(); ++other) {
      if (other == d || !ratios[other] || cluster.devices()[other].kind != device.kind) continue;
      middles.push_back(ratios[other]->middle);
      highs.push_back(ratios[other]->high);
    }
    Track& track = tracks_[device.name];
    if (!ratios[d] || middles.empty()) {
      fade(track);
      slowness.push_back(track.slow ? std::exp(track.log_factor) : 1);
      continue;
    }
    const Excess excess{std::log(ratios[d]->middle / lower_median(std::move(middles))),
                        std::log(ratios[d]->low / lower_median(std::move(highs)))};
    const bool out = track.slow ? excess.value >= kNearOne : excess.least >= kStandsOut;
    slowness.push_back(out ? std::exp(excess.value) : 1);
    add(track, excess);
  }
  return slowness;
}

void DeviceSpeeds::add(Track& track, const Excess& excess) {
  track.idle_steps = 0;
  if (track.latest.size() == kSteps) track.latest.erase(track.latest.begin());
  track.latest.push_back(excess);
  if (track.latest.size() < kSteps) return;
  std::vector<double> values;
  double mean = 0;
  for (const Excess& step : track.latest) {
    values.push_back(step.value);
    mean += step.value / static_cast<double>(kSteps);
  }
  if (!track.slow) {
    double variance = 0;
    for (const double value : values) variance += (value - mean) * (value - mean) / static_cast<double>(kSteps - 1);
    const double error = std::sqrt(variance / static_cast<double>(kSteps));
    track.slow = mean >= kStandardErrors * error &&
                 std::ranges::all_of(track.latest, [](const Excess& step) { return step.least >= kStandsOut; });
  }
  if (!track.slow) return;
  track.log_factor = median_of(std::move(values));
  track.slow = track.log_factor >= kNearOne;
}

void DeviceSpeeds::fade(Track& track) {
  track.latest.clear();
  if (!track.slow || ++track.idle_steps < kFadeSteps) return;
  track.idle_steps = 0;
  track.log_factor /= 2;
  track.slow = track.log_factor >= kNearOne;
}

}  // namespace skua
