#include "skua/layers/training.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

namespace skua {
namespace {

double found(const MetricValues& values, const std::string& name) {
  const auto it = values.find(name);
  if (it != values.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& [known, value] : values) names.push_back(known);
  throw std::invalid_argument(fmt::format("[metric] expected one of {}, got '{}'", fmt::join(names, ", "), name));
}

}  // namespace

double EpochLogs::value(const std::string& name) const {
  MetricValues values = metrics;
  values["loss"] = loss;
  if (validation_loss) values["validation_loss"] = *validation_loss;
  for (const auto& [metric, value] : validation_metrics) values["validation_" + metric] = value;
  return found(values, name);
}

double Metrics::metric(const std::string& name) const {
  return found(metrics, name);
}

}  // namespace skua
