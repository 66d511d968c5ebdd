// An operator as plain data: a type name and attributes. What a type means (shape rule, gradient rule, cost) stands in
// its OpDefinition (op_registry.h); how it is computed is the business of each device.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace skua {

using Attribute = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>>;

// Named attributes in alphabetical order. The getters throw std::invalid_argument where the name is missing or has
// another type; the error names the attribute.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Attribute>> values) : values_(values) {}

  void set(const std::string& name, Attribute value) { values_[name] = std::move(value); }
  void erase(const std::string& name) { values_.erase(name); }
  [[nodiscard]] bool has(const std::string& name) const { return values_.count(name) != 0; }
  [[nodiscard]] std::int64_t integer(const std::string& name) const;
  [[nodiscard]] double real(const std::string& name) const;
  [[nodiscard]] const std::string& text(const std::string& name) const;
  [[nodiscard]] const std::vector<std::int64_t>& integers(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, Attribute>& values() const { return values_; }

  friend bool operator==(const Attributes&, const Attributes&) = default;

 private:
  std::map<std::string, Attribute> values_;
};

struct Op {
  std::string type;
  Attributes attributes;

  [[nodiscard]] std::string to_string() const;  // "conv2d{padding=[0,0,0,0],strides=[1,1]}"
  friend bool operator==(const Op&, const Op&) = default;
};

}  // namespace skua
