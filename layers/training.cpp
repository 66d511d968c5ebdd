#include "skua/layers/training.h"

#include <fmt/format.h>

#include <stdexcept>

namespace skua {
namespace {

double found(const MetricValues& metrics, const std::string& name) {
  const auto it = metrics.find(name);
  if (it == metrics.end())
    throw std::invalid_argument(fmt::format("[metric] expected one that is kept, got '{}'", name));
  return it->second;
}

}  // namespace

double EpochLogs::value(const std::string& name) const {
  constexpr std::string_view kValidation = "validation_";
  if (name == "loss") return loss;
  if (name == "validation_loss" && validation_loss) return *validation_loss;
  if (name.starts_with(kValidation)) return found(validation_metrics, name.substr(kValidation.size()));
  return found(metrics, name);
}

double Metrics::metric(const std::string& name) const {
  return found(metrics, name);
}

}  // namespace skua
