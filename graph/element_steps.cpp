#include "skua/graph/element_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace skua {

Op element_wise(const std::vector<ElementStep>& steps) {
  Op op{"element_wise", {}};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::string name = std::to_string(i);
    op.attributes.set(name, steps[i].op.type);
    op.attributes.set(name + ".from", steps[i].from);
    for (const auto& [own, value] : steps[i].op.attributes.values()) op.attributes.set(name + "." + own, value);
  }
  return op;
}

std::vector<ElementStep> element_steps(const Op& op) {
  const auto& attributes = op.attributes.values();
  std::vector<ElementStep> steps;
  std::size_t used = 0;
  for (std::string name = "0"; op.attributes.has(name); name = std::to_string(steps.size())) {
    const std::string prefix = name + ".";
    ElementStep step{{op.attributes.text(name), {}}, op.attributes.integers(prefix + "from")};
    used += 2;
    for (auto it = attributes.lower_bound(prefix); it != attributes.end() && it->first.starts_with(prefix); ++it) {
      const std::string own = it->first.substr(prefix.size());
      if (own == "from") continue;
      step.op.attributes.set(own, it->second);
      ++used;
    }
    steps.push_back(std::move(step));
  }
  if (used != attributes.size()) {
    throw std::invalid_argument(
        fmt::format("expected attributes of {} steps alone, got {} others", steps.size(), attributes.size() - used));
  }
  return steps;
}

std::vector<std::size_t> step_buffers(const std::vector<ElementStep>& steps, std::size_t inputs) {
  std::vector<std::size_t> last_reader(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const std::int64_t value : steps[i].from) {
      const auto from = static_cast<std::size_t>(value);
      if (from >= inputs) last_reader[from - inputs] = i;
    }
  }
  std::vector<std::size_t> buffers;
  std::vector<std::size_t> busy_until;  // by buffer: its last reader
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto is_free = [i](std::size_t reader) { return reader <= i; };
    const auto found = std::find_if(busy_until.begin(), busy_until.end(), is_free);
    buffers.push_back(static_cast<std::size_t>(found - busy_until.begin()));
    if (found == busy_until.end()) busy_until.push_back(0);
    busy_until[buffers.back()] = last_reader[i];
  }
  return buffers;
}

}  // namespace skua
