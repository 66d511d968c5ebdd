// skua devices, skua policies.
#include <fmt/format.h>

#include <memory>

#include "command.h"

namespace skua::cli {
namespace {

nlohmann::json to_json(const GpuList& list) {
  nlohmann::json gpus = nlohmann::json::array();
  for (const GpuDescription& gpu : list.gpus) {
    gpus.push_back({{"name", fmt::format("cuda:{}", gpu.ordinal)},
                    {"kind", gpu.name},
                    {"memory_bytes", gpu.memory_bytes},
                    {"multiprocessors", gpu.multiprocessors}});
  }
  return {{"gpus", gpus}, {"built", !list.versions.empty()}, {"versions", list.versions}, {"why_none", list.why}};
}

void print_gpus(const GpuList& list) {
  const std::string versions = list.versions.empty() ? "" : fmt::format(" ({})", list.versions);
  if (list.gpus.empty()) return fmt::print("No GPU: {}{}\n\n", list.why, versions);
  std::vector<std::vector<std::string>> rows{{"GPU", "name", "memory", "multiprocessors"}};
  for (const GpuDescription& gpu : list.gpus) {
    rows.push_back({fmt::format("cuda:{}", gpu.ordinal), gpu.name, megabytes(gpu.memory_bytes),
                    fmt::format("{}", gpu.multiprocessors)});
  }
  print_table(rows);
  fmt::print("\ncuda:0 opens GPU 0, cuda:0,1 two GPUs, cuda:0/4 GPU 0 as four devices{}.\n\n", versions);
}

void list_devices(bool json) {
  const DeviceSet set = open_devices("cpu");
  nlohmann::json object = {
      {"machine", machine_description()}, {"devices", nlohmann::json::array()}, {"presets", nlohmann::json::array()}};
  std::vector<std::vector<std::string>> devices{{"device", "kind", "memory"}};
  for (const auto& device : set.devices) {
    object["devices"].push_back(
        {{"name", device->spec().name}, {"kind", device->spec().kind}, {"memory_bytes", device->memory_bytes()}});
    devices.push_back({device->spec().name, device->spec().kind, megabytes(device->memory_bytes())});
  }
  std::vector<std::vector<std::string>> presets{{"cluster preset", "what it is"}};
  for (const ClusterPreset& preset : cluster_presets()) {
    object["presets"].push_back({{"name", preset.name}, {"description", preset.description}});
    presets.push_back({preset.name, preset.description});
  }
  const GpuList gpus = machine_gpus();
  object["cuda"] = to_json(gpus);
  if (json) return print_json(object);
  fmt::print("{}\n\n", object["machine"]["processor"].get<std::string>());
  print_table(devices);
  fmt::print("\ncpu:N opens N devices of one thread, cpu:NxT N devices of T threads.\n\n");
  print_gpus(gpus);
  print_table(presets);
}

void list_policies(bool json) {
  nlohmann::json list = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows{{"policy", "what it does"}};
  for (const PolicyInfo& policy : policies()) {
    list.push_back({{"name", policy.name}, {"description", policy.description}});
    rows.push_back({policy.name, policy.description});
  }
  if (json) return print_json({{"policies", list}});
  print_table(rows);
}

}  // namespace

void add_devices_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("devices", "This machine's devices and the cluster presets");
  const auto json = std::make_shared<bool>(false);
  add_json_option(command, *json);
  command.callback([json] { list_devices(*json); });
}

void add_policies_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("policies", "Every policy with one line of what it does");
  const auto json = std::make_shared<bool>(false);
  add_json_option(command, *json);
  command.callback([json] { list_policies(*json); });
}

}  // namespace skua::cli
