#include "device_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace skua::cuda {
namespace {

std::optional<int> parse_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::optional<std::vector<int>> parse_ordinals(std::string_view text) {
  std::vector<int> ordinals;
  for (;;) {
    const std::size_t comma = text.find(',');
    const auto ordinal = parse_number(text.substr(0, comma));
    if (!ordinal) return std::nullopt;
    ordinals.push_back(*ordinal);
    if (comma == std::string_view::npos) return ordinals;
    text.remove_prefix(comma + 1);
  }
}

// Nothing where the words are wrong; numbers are any.
std::optional<DevicesSpec> parse(std::string_view text) {
  DevicesSpec spec;
  if (take_suffix(text, ":tf32")) {
    spec.precision = Precision::kTf32;
  } else if (take_suffix(text, ":bfloat16")) {
    spec.precision = Precision::kBfloat16;
  }
  if (text == "cuda" || text == "cuda:all") return spec;
  constexpr std::string_view kPrefix = "cuda:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const std::size_t slash = text.find('/');
  const auto ordinals = parse_ordinals(text.substr(0, slash));
  if (!ordinals) return std::nullopt;
  spec.ordinals = *ordinals;
  if (slash == std::string_view::npos) return spec;
  const auto parts = parse_number(text.substr(slash + 1));
  if (!parts || ordinals->size() != 1) return std::nullopt;
  spec.parts = *parts;
  return spec;
}

}  // namespace

DevicesSpec parse_devices_spec(const std::string& text) {
  const auto spec = parse(text);
  if (!spec) {
    throw std::invalid_argument(fmt::format(
        "[devices] expected cuda:N, cuda:N,M, cuda:N/PARTS or cuda:all, each with :tf32 or :bfloat16 behind "
        "it if so wished, got '{}'",
        text));
  }
  if (spec->parts < 1 || spec->parts > DevicesSpec::kMostParts) {
    throw std::invalid_argument(
        fmt::format("[devices] expected 1 to {} parts of a GPU, got '{}'", DevicesSpec::kMostParts, text));
  }
  std::vector<int> sorted = spec->ordinals;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw std::invalid_argument(fmt::format("[devices] expected each GPU once, got '{}'", text));
  }
  return *spec;
}

}  // namespace skua::cuda
