#include "skua/graph/op.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iomanip>
#include <sstream>
#include <stdexcept>

namespace skua {

namespace {

constexpr const char* kKinds[] = {"an integer", "a real", "a text", "a list of integers"};  // by variant index

template <class T>
const T& get(const std::map<std::string, Attribute>& values, const std::string& name) {
  const auto found = values.find(name);
  const std::size_t wanted = Attribute(T{}).index();
  if (found == values.end()) {
    throw std::invalid_argument(fmt::format("expected an attribute '{}' ({}), got none", name, kKinds[wanted]));
  }
  if (found->second.index() != wanted) {
    throw std::invalid_argument(
        fmt::format("expected attribute '{}' to be {}, got {}", name, kKinds[wanted], kKinds[found->second.index()]));
  }
  return std::get<T>(found->second);
}

std::string text_of(std::int64_t value) {
  return fmt::format("{}", value);
}
std::string text_of(double value) {
  return fmt::format("{:#}", value);
}  // shortest that reads back, always with a point
std::string text_of(const std::vector<std::int64_t>& values) {
  return fmt::format("[{}]", fmt::join(values, ","));
}
std::string text_of(const std::string& value) {
  std::ostringstream quoted;
  quoted << std::quoted(value);
  return quoted.str();
}

}  // namespace

std::int64_t Attributes::integer(const std::string& name) const {
  return get<std::int64_t>(values_, name);
}
double Attributes::real(const std::string& name) const {
  return get<double>(values_, name);
}
const std::string& Attributes::text(const std::string& name) const {
  return get<std::string>(values_, name);
}
const std::vector<std::int64_t>& Attributes::integers(const std::string& name) const {
  return get<std::vector<std::int64_t>>(values_, name);
}

std::string Op::to_string() const {
  std::vector<std::string> parts;
  for (const auto& [name, attribute] : attributes.values()) {
    parts.push_back(name + "=" + std::visit([](const auto& value) { return text_of(value); }, attribute));
  }
  return parts.empty() ? type : fmt::format("{}{{{}}}", type, fmt::join(parts, ","));
}

}  // namespace skua
