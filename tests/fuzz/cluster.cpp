// Cluster files, and names of presets of CPUs.
#include "skua/scheduler/cluster.h"

#include <cmath>

#include "fuzz.h"

namespace skua::test {
namespace {

void check_copies(const Cluster& cluster) {
  const std::size_t count = std::min<std::size_t>(cluster.memory_count(), 8);
  for (std::size_t from = 0; from < count; ++from) {
    for (std::size_t to = 0; to < count; ++to) {
      const double seconds =
          cluster.copy_seconds(1e9, MemoryId(static_cast<std::int64_t>(from)), MemoryId(static_cast<std::int64_t>(to)));
      require(std::isfinite(seconds) && seconds >= 0, "copies that end");
    }
  }
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const std::string text = text_of(data, size);
  if (const auto cluster = accepted([&] { return make_cluster(fuzz_folder().write("cluster.json", text)); })) {
    check_copies(*cluster);
    const std::string saved = fuzz_folder() / "saved.json";
    save_cluster(*cluster, saved);
    const std::string first = content_of(saved);
    save_cluster(make_cluster(saved), saved);
    require(content_of(saved) == first, "a saved cluster to be the same when it is read");
  }
  if (size < 40) attempt([&] { (void)make_cluster("cpu:" + text); });
  return 0;
}
