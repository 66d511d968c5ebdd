// skua calibrate: kernel times and links of devices that are here, for planning where they are not.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "skua/engine/link_times.h"
#include "workload.h"

namespace skua::cli {
namespace {

struct CalibrateOptions {
  std::string model;
  std::string devices = "cpu";
  std::optional<std::int64_t> batch;
  std::vector<std::string> micro_batches = {"1", "2", "4", "8"};
  int steps = 9;
  std::string profile;
  std::string cluster;
  bool json = false;
};

nlohmann::json to_json(const Cluster& cluster) {
  nlohmann::json links = nlohmann::json::array();
  for (const LinkSpec& link : cluster.links()) {
    links.push_back({{"from", cluster.memory(link.from).name},
                     {"to", cluster.memory(link.to).name},
                     {"bytes_per_second", link.bytes_per_second},
                     {"latency_seconds", link.latency_seconds}});
  }
  return links;
}

void print_links(const Cluster& cluster) {
  std::vector<std::vector<std::string>> rows{{"link", "GB/s", "latency us"}};
  for (const LinkSpec& link : cluster.links()) {
    rows.push_back({fmt::format("{} to {}", cluster.memory(link.from).name, cluster.memory(link.to).name),
                    fmt::format("{:.2f}", link.bytes_per_second / 1e9),
                    fmt::format("{:.2f}", link.latency_seconds * 1e6)});
  }
  if (rows.size() > 1) print_table(rows);
}

// Counts that do not divide the batch are left out.
CostModel measure_kernels(const CalibrateOptions& options, const models::Recipe& recipe) {
  CostModel costs;
  if (std::filesystem::exists(options.profile)) costs = CostModel::load(options.profile);
  const std::int64_t batch = options.batch.value_or(recipe.batch_size);
  for (const std::string& text : options.micro_batches) {
    const int count = micro_batches_of(text);
    if (count == 0) throw std::invalid_argument("[--micro-batches] expected numbers of 1 or more, got auto");
    if (batch % count != 0) continue;
    Workload workload(recipe, open_devices(options.devices), batch, count, costs);
    workload.calibrate(options.steps);
    costs = workload.costs();
    fmt::print(stderr, "{} on {}: {} micro-batches measured\n", recipe.name, options.devices, count);
  }
  return costs;
}

void calibrate(const CalibrateOptions& options) {
  expect_writable("--profile", options.profile);
  expect_writable("--cluster", options.cluster);
  const models::Recipe& recipe = models::recipe(options.model);
  const CostModel costs = measure_kernels(options, recipe);
  DeviceSet devices = open_devices(options.devices);
  const Cluster cluster = measure_links(devices);
  costs.save(options.profile);
  if (!options.cluster.empty()) save_cluster(cluster, options.cluster);
  if (options.json) {
    return print_json({{"model", options.model},
                       {"devices", options.devices},
                       {"operators_measured", costs.measured_count()},
                       {"links", to_json(cluster)},
                       {"machine", machine_description()}});
  }
  fmt::print("{} operators, by shape and kind of device, are in {}\n", costs.measured_count(), options.profile);
  print_links(cluster);
}

}  // namespace

void add_calibrate_command(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("calibrate", "Measure kernels and links here, for plan and simulate anywhere");
  const auto options = std::make_shared<CalibrateOptions>();
  add_model_argument(command, options->model);
  command.add_option("--devices", options->devices, "Devices to measure, as for train")->capture_default_str();
  command.add_option("--batch", options->batch, "Samples of a step; otherwise the model's")->check(at_least(1));
  add_list_option(command, "--micro-batches", options->micro_batches, "Counts to measure the operators at");
  command.add_option("--steps", options->steps, "Measured steps of each count")
      ->check(at_least(static_cast<int>(CostModel::kMinSamples)))
      ->capture_default_str();
  command.add_option("--profile", options->profile, "Where kernel times go; those that the file has stay")->required();
  command.add_option("--cluster", options->cluster, "Where the devices go, with their links as measured");
  add_json_option(command, options->json);
  command.callback([options] { calibrate(*options); });
}

}  // namespace skua::cli
