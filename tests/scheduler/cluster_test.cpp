// Clusters: presets, files, routes, and every way to get one wrong.
#include "skua/scheduler/cluster.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "graph/small_graphs.h"

namespace skua::test {
namespace {

struct Parts {
  std::vector<DeviceSpec> devices{{"d0", "k", MemoryId(1), 1e9, 1e9, 0, true},
                                  {"d1", "k", MemoryId(2), 1e9, 1e9, 1e-6}};
  std::vector<MemorySpec> memories{{"host", 1e9}, {"m1", 1e9}, {"m2", 1e9}};
  std::vector<LinkSpec> links{{MemoryId(0), MemoryId(1), 100, 0.25},
                              {MemoryId(1), MemoryId(0), 200, 0},
                              {MemoryId(0), MemoryId(2), 400, 0.5},
                              {MemoryId(2), MemoryId(0), 50, 1},
                              {MemoryId(2), MemoryId(1), 1000, 2}};
  [[nodiscard]] Cluster make() const { return Cluster("parts", devices, memories, links); }
};

void expect_equal(const Cluster& a, const Cluster& b) {
  EXPECT_EQ(a.name(), b.name());
  ASSERT_EQ(a.device_count(), b.device_count());
  ASSERT_EQ(a.memory_count(), b.memory_count());
  ASSERT_EQ(a.links().size(), b.links().size());
  for (std::size_t i = 0; i < a.device_count(); ++i) {
    const DeviceSpec& x = a.devices()[i];
    const DeviceSpec& y = b.devices()[i];
    EXPECT_EQ(std::tie(x.name, x.kind, x.memory, x.flops_per_second, x.bytes_per_second, x.launch_seconds),
              std::tie(y.name, y.kind, y.memory, y.flops_per_second, y.bytes_per_second, y.launch_seconds));
    EXPECT_EQ(x.copy_engine, y.copy_engine);
  }
  for (std::size_t i = 0; i < a.memory_count(); ++i) {
    EXPECT_EQ(a.memories()[i].name, b.memories()[i].name);
    EXPECT_EQ(a.memories()[i].capacity_bytes, b.memories()[i].capacity_bytes);
  }
  for (std::size_t i = 0; i < a.links().size(); ++i) {
    const LinkSpec& x = a.links()[i];
    const LinkSpec& y = b.links()[i];
    EXPECT_EQ(std::tie(x.from, x.to, x.bytes_per_second, x.latency_seconds),
              std::tie(y.from, y.to, y.bytes_per_second, y.latency_seconds));
  }
}

std::string temporary(const std::string& name) {
  return (std::filesystem::path(testing::TempDir()) / ("skua_cluster_" + name)).string();
}

TEST(Cluster, RoutesAreDirectOrThroughTheHost) {
  const Cluster cluster = Parts().make();
  const auto seconds = [&](int from, int to) { return cluster.copy_seconds(1000, MemoryId(from), MemoryId(to)); };
  EXPECT_DOUBLE_EQ(seconds(0, 1), 0.25 + 10);
  EXPECT_DOUBLE_EQ(seconds(1, 0), 5);
  EXPECT_DOUBLE_EQ(seconds(2, 1), 2 + 1);              // its own link
  EXPECT_DOUBLE_EQ(seconds(1, 2), 0 + 5 + 0.5 + 2.5);  // device, host, device
  for (int m = 0; m < 3; ++m) EXPECT_EQ(seconds(m, m), 0);
}

TEST(Cluster, SaysWhatIsWrong) {
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  const std::pair<std::function<void(Parts&)>, const char*> cases[] = {
      {[](Parts& p) { p.devices.clear(); }, "[cluster] expected 1 device or more, got none"},
      {[](Parts& p) { p.memories.clear(); }, "[cluster] expected the host's memory, got no memory"},
      {[](Parts& p) { p.devices[1].name = "d0"; }, "[device d0] expected a new name, got that of another one"},
      {[](Parts& p) { p.devices[1].name = ""; }, "[device] expected a name, got an empty one"},
      {[](Parts& p) { p.devices[1].kind = ""; }, "[device d1] expected a kind, got an empty one"},
      {[](Parts& p) { p.devices[1].memory = MemoryId(3); }, "[device d1] expected a memory in [0,3), got 3"},
      {[](Parts& p) { p.devices[1].memory = MemoryId(); }, "[device d1] expected a memory in [0,3), got -1"},
      {[](Parts& p) { p.devices[0].flops_per_second = 0; }, "[device d0] expected flops_per_second above 0, got 0"},
      {[&](Parts& p) { p.devices[0].bytes_per_second = nan; },
       "[device d0] expected bytes_per_second above 0, got nan"},
      {[](Parts& p) { p.devices[0].launch_seconds = -1; }, "[device d0] expected launch_seconds of 0 or more, got -1"},
      {[](Parts& p) { p.devices[0].launch_seconds = 1e300; },
       "[device d0] expected launch_seconds up to 1e+30, got 1e+300"},
      {[](Parts& p) { p.devices[0].bytes_per_second = 1e-320; },
       "[device d0] expected bytes_per_second from 1e-30 to 1e+30, got 1e-320"},
      {[](Parts& p) { p.links[0].bytes_per_second = 1e300; },
       "[link host>m1] expected bytes_per_second from 1e-30 to 1e+30, got 1e+300"},
      {[](Parts& p) {
         for (int m = 3; m < 2049; ++m) p.memories.push_back({std::to_string(m), 1});
       },
       "[cluster] expected at most 2048 memories, got 2049"},
      {[](Parts& p) { p.memories[2].name = "host"; }, "[memory host] expected a new name, got that of another one"},
      {[&](Parts& p) { p.memories[2].capacity_bytes = infinity; },
       "[memory m2] expected capacity_bytes above 0, got inf"},
      {[](Parts& p) { p.links[4].to = MemoryId(7); }, "[link] expected a memory in [0,3), got 7"},
      {[](Parts& p) { p.links[4].from = MemoryId(-2); }, "[link] expected a memory in [0,3), got -2"},
      {[](Parts& p) { p.links[0].bytes_per_second = -5; }, "[link host>m1] expected bytes_per_second above 0, got -5"},
      {[&](Parts& p) { p.links[0].latency_seconds = nan; },
       "[link host>m1] expected latency_seconds of 0 or more, got nan"},
      {[](Parts& p) { p.links[4].to = MemoryId(2); },
       "[link m2>m2] expected one link between two memories, got one from a memory to itself"},
      {[](Parts& p) { p.links[4] = p.links[0]; }, "[link host>m1] expected one link between two memories, got two"},
      {[](Parts& p) { p.links.erase(p.links.begin()); }, "[memory m1] expected a link from the host, got none"},
      {[](Parts& p) { p.links.erase(p.links.begin() + 3); }, "[memory m2] expected a link to the host, got none"},
  };
  for (const auto& [spoil, message] : cases) {
    Parts parts;
    spoil(parts);
    EXPECT_EQ(message_of([&] { (void)parts.make(); }), message);
  }
}

TEST(Cluster, CpuPresets) {
  const Cluster one = make_cluster("cpu:3");
  EXPECT_EQ(one.name(), "cpu:3");
  ASSERT_EQ(one.device_count(), 3U);
  EXPECT_EQ(one.memory_count(), 1U);
  EXPECT_EQ(one.devices()[2].name, "cpu:2");
  EXPECT_EQ(one.devices()[2].kind, "cpux1");
  EXPECT_EQ(one.devices()[2].flops_per_second, 60e9);
  const Cluster two = make_cluster("cpu:2x4");
  EXPECT_EQ(two.name(), "cpu:2x4");
  ASSERT_EQ(two.device_count(), 2U);
  EXPECT_EQ(two.devices()[0].kind, "cpux4");
  EXPECT_EQ(two.devices()[0].bytes_per_second, 48e9);
  EXPECT_EQ(make_cluster("cpu:2x1").name(), "cpu:2");
  EXPECT_EQ(make_cluster("cpu:64x64").device_count(), 64U);
}

TEST(Cluster, BadCpuPresets) {
  for (const char* text : {"", "0", "x", "-1", "N", "2x0", "2x", "x2", "2x2x2", "2 ", " 2", "1.5", "4097", "64x65",
                           "99999999999", "4096x4096"}) {
    EXPECT_EQ(message_of([&] { (void)make_cluster(fmt::format("cpu:{}", text)); }),
              fmt::format("[cluster cpu:{0}] expected cpu:N or cpu:NxT, N devices of T threads, at least 1 of each and "
                          "at most 4096 threads in all, got '{0}'",
                          text));
  }
}

TEST(Cluster, GpuPresets) {
  const Cluster h100 = make_cluster("h100x8-nvlink");
  ASSERT_EQ(h100.device_count(), 8U);
  ASSERT_EQ(h100.memory_count(), 9U);
  EXPECT_EQ(h100.memory(MemoryId(3)).name, "gpu:2");
  EXPECT_EQ(h100.device(DeviceId(2)).memory, MemoryId(3));
  EXPECT_EQ(h100.links().size(), 8U * 2 + 8 * 7);
  const auto gigabyte = [](const Cluster& c, int from, int to) {
    return c.copy_seconds(1e9, MemoryId(from), MemoryId(to));
  };
  EXPECT_LT(gigabyte(h100, 1, 8), gigabyte(h100, 0, 1) / 4);
  EXPECT_LT(gigabyte(h100, 1, 8), gigabyte(make_cluster("a100x8-nvlink"), 1, 8));
  const Cluster pcie = make_cluster("a100x4-pcie");
  EXPECT_EQ(pcie.device_count(), 4U);
  EXPECT_DOUBLE_EQ(gigabyte(pcie, 1, 2), gigabyte(pcie, 1, 0) + gigabyte(pcie, 0, 2));
  const Cluster mixed = make_cluster("h100x4-a100x4-pcie");
  EXPECT_EQ(mixed.device(DeviceId(3)).kind, "h100-pcie");
  EXPECT_EQ(mixed.device(DeviceId(4)).kind, "a100-pcie");
  EXPECT_DOUBLE_EQ(gigabyte(mixed, 0, 5), gigabyte(pcie, 0, 1));
  EXPECT_LT(gigabyte(mixed, 0, 4), gigabyte(mixed, 0, 5));
  const Cluster nodes = make_cluster("2x-h100x4-nvlink");
  EXPECT_EQ(nodes.device_count(), 8U);
  EXPECT_DOUBLE_EQ(gigabyte(nodes, 1, 4), gigabyte(h100, 1, 4));  // inside a node
  EXPECT_GT(gigabyte(nodes, 4, 5), 8 * gigabyte(nodes, 1, 4));    // between nodes: 50 against 450 GB/s
  EXPECT_DOUBLE_EQ(gigabyte(nodes, 0, 8), gigabyte(nodes, 1, 8));
  for (const ClusterPreset& preset : cluster_presets()) {
    EXPECT_FALSE(preset.description.empty());
    if (preset.name.starts_with("cpu:")) continue;
    EXPECT_EQ(make_cluster(preset.name).name(), preset.name);
  }
}

TEST(Cluster, FilesComeBack) {
  const std::string path = temporary("round_trip.json");
  for (const Cluster& cluster : {Parts().make(), make_cluster("h100x8-nvlink"), make_cluster("cpu:2x4")}) {
    save_cluster(cluster, path);
    const Cluster loaded = make_cluster(path);
    expect_equal(loaded, cluster);
    for (std::size_t from = 0; from < cluster.memory_count(); ++from) {
      const MemoryId a(static_cast<std::int64_t>(from));
      EXPECT_EQ(loaded.copy_seconds(123, a, kHostMemory), cluster.copy_seconds(123, a, kHostMemory));
    }
  }
  std::filesystem::remove(path);
  EXPECT_THROW(save_cluster(make_cluster("cpu:1"), temporary("no_folder/x.json")), std::runtime_error);
}

TEST(Cluster, DamagedFilesAreNamed) {
  const std::string path = temporary("damaged.json");
  const std::pair<const char*, const char*> cases[] = {
      {"", "a cluster"},
      {"{\"devices\": [", "a cluster"},
      {"{\"colour\": 1}", "a cluster"},
      {"{}", "expected the host's memory"},
      {R"({"devices":[{"name":"d","kind":"k","flopsPerSecond":"NaN","bytesPerSecond":1}],
           "memories":[{"name":"host","capacityBytes":1}]})",
       "[device d] expected flops_per_second above 0, got nan"},
  };
  for (const auto& [text, what] : cases) {
    std::ofstream(path) << text;
    const std::string message = message_of([&] { (void)make_cluster(path); });
    EXPECT_TRUE(message.starts_with("[cluster " + path + "] ")) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }
  std::filesystem::remove(path);
}

TEST(Cluster, UnknownNamesListThePresets) {
  EXPECT_EQ(
      message_of([] { (void)make_cluster("h200"); }),
      "[cluster h200] expected a preset (cpu:N, cpu:NxT, h100x8-nvlink, h200x8-nvlink, a100x8-nvlink, a100x4-pcie, "
      "h100x4-a100x4-pcie, 2x-h100x4-nvlink) or the path of a cluster file, got neither");
}

}  // namespace
}  // namespace skua::test
