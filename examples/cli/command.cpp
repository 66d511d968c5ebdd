#include "command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace skua::cli {

void add_json_option(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print one JSON object as the last line of standard output");
}

void add_model_argument(CLI::App& command, std::string& model) {
  command.add_option("model", model, fmt::format("One of: {}", fmt::join(models::names(), ", ")))->required();
}

void add_policy_options(CLI::App& command, std::string& policy, double& plan_seconds) {
  command.add_option("--policy", policy, "What makes the plan; see `skua policies`")->capture_default_str();
  command.add_option("--plan-seconds", plan_seconds, "The planner's time budget")
      ->check(at_least(0))
      ->capture_default_str();
}

void add_stealing_option(CLI::App& command, std::string& stealing) {
  command
      .add_option("--stealing", stealing,
                  fmt::format("What idle devices may take: {}", fmt::join(steal_rule_names(), ", ")))
      ->capture_default_str();
}

void add_passes_option(CLI::App& command, std::vector<std::string>& passes) {
  std::string help = "Graph passes: all, none, or names with commas between";
  for (const Pass& pass : graph_passes()) help += fmt::format("; {}: {}", pass.name, pass.description);
  command
      .add_option_function<std::string>(
          "--passes", [&passes](const std::string& text) { passes = passes_of(text); }, help)
      ->default_str("all");
}

void add_constraints_option(CLI::App& command, std::optional<Constraints>& constraints) {
  command.add_option_function<std::string>(
      "--constraints", [&constraints](const std::string& file) { constraints = load_constraints(file); },
      "Where layers run, by when, what first, and limits of devices: a file (docs/constraints.md)");
}

void add_batch_options(CLI::App& command, std::optional<std::int64_t>& batch, std::string& micro_batches) {
  command.add_option("--batch", batch, "Samples of one step; otherwise as is usual for the model");
  command.add_option("--micro-batches", micro_batches, "Parts of a batch, or auto for the best simulated count")
      ->capture_default_str();
}

void add_device_counts_option(CLI::App& command, std::vector<int>& counts) {
  command.add_option("--devices", counts, "Counts of CPU devices of one thread: 1,2")
      ->delimiter(',')
      ->take_all()
      ->check(at_least(1))
      ->capture_default_str();
}

void add_list_option(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                     const std::string& help) {
  command.add_option(name, values, help)->delimiter(',')->take_all()->capture_default_str();
}

std::vector<std::string> tutorial_models() {
  return {"mnist_cnn", "text_rnn", "text_lstm", "mnist_gan"};
}

std::vector<std::string> policies_or_all(std::vector<std::string> names) {
  const bool all = names.empty();
  for (const PolicyInfo& policy : policies()) {
    if (all && policy.name != "replay") names.push_back(policy.name);
  }
  for (const std::string& name : names) (void)make_policy(name, {.plan_file = "-"});
  return names;
}

std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

int micro_batches_of(const std::string& text) {
  if (text == "auto") return 0;
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1) {
    throw std::invalid_argument(
        fmt::format("[--micro-batches] expected a number of 1 or more or auto, got '{}'", text));
  }
  return count;
}

CLI::Validator at_least(int least) {
  const auto complaint = [least](const std::string& text) {
    const std::optional<double> number = number_of(text);
    if (number && *number >= least) return std::string();
    return fmt::format("expected a number of {} or more, got '{}'", least, text);
  };
  return CLI::Validator(complaint, "");
}

void expect_writable(const std::string& option, const std::string& path) {
  if (path.empty()) return;
  const bool is_new = !std::filesystem::exists(path);
  const bool writable = std::ofstream(path, std::ios::app).is_open();
  if (writable && is_new) std::filesystem::remove(path);
  if (!writable) {
    throw std::invalid_argument(fmt::format("[{}] expected a file that can be written, got '{}'", option, path));
  }
}

void expect_writable_folder(const std::string& option, const std::string& path) {
  if (path.empty()) return;
  std::error_code error;  // what cannot be looked at counts as missing
  std::filesystem::path nearest = std::filesystem::absolute(path);
  while (!std::filesystem::exists(nearest, error) && nearest.has_relative_path()) nearest = nearest.parent_path();
  if (std::filesystem::is_directory(nearest, error) && access(nearest.c_str(), W_OK | X_OK) == 0) return;
  throw std::invalid_argument(fmt::format("[{}] expected a folder that can be written, got '{}'", option, path));
}

void follow_plan_file(const CLI::App& command, const std::string& plan_file, std::string& policy) {
  if (plan_file.empty()) return;
  if (command.count("--policy") > 0 && policy != "replay") {
    throw std::invalid_argument(
        fmt::format("[--policy] expected replay for the plan file {}, got '{}'", plan_file, policy));
  }
  policy = "replay";
}

void print_json(const nlohmann::json& object) {
  fmt::print("{}\n", object.dump());
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}", row[i], widths[i] + 2);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

std::string milliseconds(double seconds) {
  return fmt::format("{:.3f} ms", seconds * 1e3);
}

std::string megabytes(double bytes) {
  return fmt::format("{:.1f} MB", bytes / 1e6);
}

nlohmann::json machine_description() {
  std::string processor = "unknown";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      processor = line.substr(line.find(':') + 2);
      break;
    }
  }
  return {{"processor", processor},
          {"cores", std::thread::hardware_concurrency()},
          {"date", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))}};
}

void print_machine() {
  const nlohmann::json machine = machine_description();
  fmt::print("{}, {} cores, {}\n\n", machine["processor"].get<std::string>(), machine["cores"].get<int>(),
             machine["date"].get<std::string>());
}

}  // namespace skua::cli
