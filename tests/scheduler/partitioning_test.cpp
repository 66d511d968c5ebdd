// Splits of the workloads of Tarnawski et al. against their experts' splits, where the files are (CONTRIBUTING.md).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "skua/scheduler/max_load.h"

namespace skua::test {
namespace {

namespace fs = std::filesystem;

// $SKUA_PARTITIONING_DIR, or shared/testsets/dnn-partitioning beside the source tree.
std::optional<fs::path> partitioning_folder() {
  if (const char* const variable = std::getenv("SKUA_PARTITIONING_DIR")) return variable;
  const fs::path beside = fs::path(SKUA_SOURCE_DIR) / ".." / "shared" / "testsets" / "dnn-partitioning";
  if (fs::exists(beside)) return beside;
  return std::nullopt;
}

nlohmann::json read_json(const fs::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

// Accelerators count from 0, CPUs from -1 down.
using DeviceOfNode = std::map<int, int>;

// From the file itself: times, and for each node whose output leaves its device one copy out and one into each other
// device, but for CPUs. Checks that all memory suffices and colours stay together.
double max_load_of(const nlohmann::json& file, const DeviceOfNode& devices) {
  std::map<int, double> loads;
  std::map<int, double> bytes;
  std::map<int, int> colours;
  for (const nlohmann::json& node : file.at("nodes")) {
    const int device = devices.at(node.at("id"));
    loads[device] += node.at(device < 0 ? "cpuLatency" : "fpgaLatency").get<double>();
    bytes[device] += node.at("size").get<double>();
    EXPECT_TRUE(device < 0 || node.at("supportedOnFpga") == 1) << node;
    EXPECT_EQ(colours.emplace(node.at("colorClass"), device).first->second, device) << node;
  }
  std::map<std::pair<int, int>, double> copies;  // of a node's output, to or from a device
  for (const nlohmann::json& edge : file.at("edges")) {
    const int from = devices.at(edge.at("sourceId"));
    const int to = devices.at(edge.at("destId"));
    if (from == to) continue;
    copies[{edge.at("sourceId"), from}] = edge.at("cost");
    copies[{edge.at("sourceId"), to}] = edge.at("cost");
  }
  for (const auto& [where, seconds] : copies) loads[where.second] += where.second < 0 ? 0 : seconds;
  double worst = 0;
  for (const auto& [device, load] : loads) {
    worst = std::max(worst, load);
    EXPECT_LT(device, file.at("maxFPGAs").get<int>());
    EXPECT_GE(device, -file.at("maxCPUs").get<int>());
    EXPECT_TRUE(device < 0 || bytes[device] <= file.at("maxSizePerFPGA").get<double>()) << device;
  }
  return worst;
}

// The experts' split of inference also says where nodes of the same colour are in training.
DeviceOfNode experts_split(const nlohmann::json& file, const nlohmann::json& expert) {
  DeviceOfNode devices;
  int device = 0;
  for (const nlohmann::json& nodes : expert.at("fpgas")) {
    for (const int node : nodes.at("nodes")) devices[node] = device;
    ++device;
  }
  device = -1;
  for (const nlohmann::json& nodes : expert.at("cpus")) {
    for (const int node : nodes.at("nodes")) devices[node] = device;
    --device;
  }
  std::map<int, int> colours;
  for (const nlohmann::json& node : file.at("nodes")) {
    const auto known = devices.find(node.at("id"));
    if (known != devices.end()) colours[node.at("colorClass")] = known->second;
  }
  for (const nlohmann::json& node : file.at("nodes")) devices.emplace(node.at("id"), colours.at(node.at("colorClass")));
  return devices;
}

TEST(Partitioning, BestPipelinesAreProvedAndBeatTheExperts) {
  const auto folder = partitioning_folder();
  if (!folder) {
    GTEST_SKIP() << "no workloads: SKUA_PARTITIONING_DIR is not set and ../shared/testsets/dnn-partitioning does not "
                    "exist";
  }
  for (const std::string model : {"bert24", "gnmt", "inceptionv3", "resnet50"}) {
    for (const std::string mode : {"inference", "training"}) {
      const std::string name = model + "_" + mode;
      SCOPED_TRACE(name);
      const fs::path path = *folder / "throughput-inputs" / "LayerGraphs" / (name + ".json");
      fs::path expert = *folder / "human-experts" / (name + "_expert.json");
      if (!fs::exists(expert)) expert.replace_filename(model + "_inference_expert.json");
      const nlohmann::json file = read_json(path);
      const TimedGraph graph = load_timed_graph(path.string());
      const LoadSplit split = minimize_max_load(graph, graph.cluster.value());
      DeviceOfNode devices;
      for (std::size_t t = 0; t < graph.tasks.size(); ++t) {
        const std::string& device = graph.cluster->device(split.devices[t]).name;
        const int number = std::stoi(device.substr(device.find(':') + 1));
        devices[std::stoi(graph.tasks[t].name)] = device[0] == 'c' ? -1 - number : number;
      }
      EXPECT_NEAR(split.max_load, max_load_of(file, devices), 1e-9);
      EXPECT_LE(split.max_load, max_load_of(file, experts_split(file, read_json(expert))));
      EXPECT_LE(split.max_load, 1.01 * split.pipeline_bound);
      EXPECT_LE(split.bound, split.pipeline_bound);
    }
  }
}

}  // namespace
}  // namespace skua::test
