// What the subcommands share. Each add_*_command declares its options on the program; its callback runs it and throws
// std::invalid_argument for bad input.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/models.h"
#include "skua/scheduler/trace.h"
#include "skua/skua.h"

namespace skua::cli {

void add_devices_command(CLI::App& program);
void add_policies_command(CLI::App& program);
void add_train_command(CLI::App& program);
void add_generate_command(CLI::App& program);
void add_plan_command(CLI::App& program);
void add_simulate_command(CLI::App& program);
void add_schedule_command(CLI::App& program);
void add_calibrate_command(CLI::App& program);
void add_bench_command(CLI::App& program);
void add_bench_planning_command(CLI::App& bench);
void add_bench_fidelity_command(CLI::App& bench);
void add_bench_policies_command(CLI::App& bench);
void add_bench_models_command(CLI::App& bench);
void add_bench_model_command(CLI::App& bench);
void add_bench_stealing_command(CLI::App& bench);
void add_bench_overhead_command(CLI::App& bench);
void add_bench_wakeup_command(CLI::App& bench);

// Options of one name mean one thing in every subcommand.
void add_json_option(CLI::App& command, bool& json);
void add_model_argument(CLI::App& command, std::string& model);
void add_policy_options(CLI::App& command, std::string& policy, double& plan_seconds);
void add_stealing_option(CLI::App& command, std::string& stealing);
void add_passes_option(CLI::App& command, std::vector<std::string>& passes);
void add_constraints_option(CLI::App& command, std::optional<Constraints>& constraints);  // those of a file
void add_batch_options(CLI::App& command, std::optional<std::int64_t>& batch, std::string& micro_batches);
void add_device_counts_option(CLI::App& command, std::vector<int>& counts);
void add_list_option(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                     const std::string& help);

[[nodiscard]] std::vector<std::string> tutorial_models();
// All policies but replay where `names` is empty. Throws std::invalid_argument where a name is no policy's.
[[nodiscard]] std::vector<std::string> policies_or_all(std::vector<std::string> names);

// The number that all of `text` is; none where it is no number.
[[nodiscard]] std::optional<double> number_of(std::string_view text);
// "auto" is 0. Throws std::invalid_argument where it is no number of 1 or more.
[[nodiscard]] int micro_batches_of(const std::string& text);
// Refuses what is no number or less than `least`.
[[nodiscard]] CLI::Validator at_least(int least);
// Throws std::invalid_argument unless `path` is empty or a file that can be written; what it holds stays.
void expect_writable(const std::string& option, const std::string& path);
// Likewise for a folder, which need not exist yet.
void expect_writable_folder(const std::string& option, const std::string& path);
// A plan file is followed by the policy replay: throws std::invalid_argument where the user asked for another.
void follow_plan_file(const CLI::App& command, const std::string& plan_file, std::string& policy);

// The last line of standard output.
void print_json(const nlohmann::json& object);
// Aligned columns; the first row is the head.
void print_table(const std::vector<std::vector<std::string>>& rows);
[[nodiscard]] std::string milliseconds(double seconds);
[[nodiscard]] std::string megabytes(double bytes);

// Processor, cores and date, for measured figures.
[[nodiscard]] nlohmann::json machine_description();
void print_machine();  // as a line, and an empty one

}  // namespace skua::cli
