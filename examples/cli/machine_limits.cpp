#include "machine_limits.h"

#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "skua/layers/devices.h"
#include "skua/scheduler/median.h"

namespace skua::cli {
namespace {

constexpr std::int64_t kExtent = 1024;
constexpr std::size_t kCopiedBytes = std::size_t{64} << 20;
constexpr int kRuns = 7;

class Told final : public Completion {
 public:
  void done(std::exception_ptr error) noexcept override {
    if (error) std::terminate();  // our own graph
  }
};

// Median seconds of an action, all threads beginning each of its runs together.
double median_seconds(std::barrier<>& together, const std::function<void()>& action) {
  std::vector<double> seconds;
  action();
  for (int i = 0; i < kRuns; ++i) {
    together.arrive_and_wait();
    const auto start = std::chrono::steady_clock::now();
    action();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return median_of(std::move(seconds));
}

MachineLimits limits_of_one(std::barrier<>& together) {
  Graph graph;
  const ValueId a = graph.add_input("a", {{1, kExtent, kExtent}});
  const ValueId b = graph.add_input("b", {{1, kExtent, kExtent}});
  graph.add_node({"matmul", {{"transpose_a", std::int64_t{0}}, {"transpose_b", std::int64_t{0}}}}, {a, b}, "product");
  const DeviceSet set = open_devices("cpu:1");
  Device& device = *set.devices.front();
  const auto program = device.compile(graph);
  const std::vector<float> numbers(static_cast<std::size_t>(kExtent * kExtent), 0.5F);
  std::vector<float> product(numbers.size());
  const std::shared_ptr<void> scratch(device.allocate(program->scratch_bytes()),
                                      [&](void* data) { device.release(data); });
  void* const input = const_cast<float*>(numbers.data());  // it is only read
  const std::vector<void*> inputs{input, input};
  const std::vector<void*> outputs{product.data()};
  const double product_seconds = median_seconds(together, [&] {
    Told told;
    program->launch({NodeId(0), inputs, outputs, scratch.get()}, told);
  });
  std::vector<std::byte> from(kCopiedBytes, std::byte{1});
  std::vector<std::byte> to(kCopiedBytes);
  const double copy_seconds = median_seconds(together, [&] { std::memcpy(to.data(), from.data(), kCopiedBytes); });
  return {2.0 * kExtent * kExtent * kExtent / product_seconds, 2.0 * kCopiedBytes / copy_seconds};
}

MachineLimits measure(int devices) {
  std::barrier<> together(devices);
  std::vector<MachineLimits> each(static_cast<std::size_t>(devices));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < devices; ++i) {
      threads.emplace_back([&, i] { each[static_cast<std::size_t>(i)] = limits_of_one(together); });
    }
  }
  MachineLimits all;
  for (const MachineLimits& one : each) {
    all.flops_per_second += one.flops_per_second;
    all.bytes_per_second += one.bytes_per_second;
  }
  return all;
}

}  // namespace

const MachineLimits& machine_limits(int devices) {
  static std::map<int, MachineLimits> known;
  const auto found = known.find(devices);
  return found != known.end() ? found->second : known.emplace(devices, measure(devices)).first->second;
}

}  // namespace skua::cli
