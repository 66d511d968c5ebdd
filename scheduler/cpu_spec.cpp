#include "skua/scheduler/cpu_spec.h"

#include <charconv>
#include <string_view>

namespace skua {
namespace {

constexpr std::string_view kPrefix = "cpu:";

// A whole number in [1, kMostThreads]; 0 where the text is none.
int count_of(std::string_view text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && count >= 1 && count <= CpuSpec::kMostThreads ? count : 0;
}

}  // namespace

std::optional<CpuSpec> parse_cpu_spec(const std::string& text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  const std::string_view counts = std::string_view(text).substr(kPrefix.size());
  const std::size_t x = counts.find('x');
  const CpuSpec spec{count_of(counts.substr(0, x)), x == std::string_view::npos ? 1 : count_of(counts.substr(x + 1))};
  const int threads = spec.devices * spec.threads;
  if (threads == 0 || threads > CpuSpec::kMostThreads) return std::nullopt;
  return spec;
}

}  // namespace skua
