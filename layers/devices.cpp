#include "skua/layers/devices.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <thread>

#include "skua/engine/cpu/cpu_device.h"

namespace skua {
namespace {

constexpr int kMostThreads = 1024;

// A whole number in [1, kMostThreads]; 0 where the text is none.
int count_of(std::string_view text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && count >= 1 && count <= kMostThreads ? count : 0;
}

}  // namespace

DeviceSet open_devices(const std::string& spec) {
  if (spec == "cpu") return make_cpu_devices(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  if (spec.starts_with("cpu:")) {
    const std::string_view text = std::string_view(spec).substr(4);
    const std::size_t x = text.find('x');
    const int count = count_of(text.substr(0, x));
    const int threads = x == std::string_view::npos ? 1 : count_of(text.substr(x + 1));
    if (count > 0 && threads > 0 && count * threads <= kMostThreads) return make_cpu_devices(count, threads);
  }
  if (spec.starts_with("cuda")) {
    throw std::invalid_argument(
        fmt::format("[devices] expected cpu, cpu:N or cpu:NxT: this build has no CUDA devices, got '{}'", spec));
  }
  throw std::invalid_argument(
      fmt::format("[devices] expected cpu, cpu:N (N devices of one thread) or cpu:NxT (N of T threads), at most {} "
                  "threads in all, got '{}'",
                  kMostThreads, spec));
}

}  // namespace skua
