// What `skua bench fidelity` has measured: rows of figures, how the simulator did over all of them, and ways to show
// both.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "skua/scheduler/median.h"
#include "skua/scheduler/plan.h"
#include "skua/scheduler/trace.h"

namespace skua::cli {

// One policy's plan of one model on some devices, which is a workload.
struct FidelityRow {
  std::string model;
  std::string devices;
  std::int64_t batch = 0;
  std::string policy;
  std::string error = "";  // why the policy refused; nothing of what follows then
  Plan plan = {};
  StepTrace trace = {};                        // simulated, in the last repeat
  std::vector<double> simulated_seconds = {};  // by repeat
  std::vector<double> measured_seconds = {};   // by repeat
  std::vector<double> work_errors = {};        // by repeat, in percent: of the sum of all tasks' times

  [[nodiscard]] bool refused() const { return !error.empty(); }
  [[nodiscard]] double simulated() const { return median_of(simulated_seconds); }
  [[nodiscard]] double measured() const { return median_of(measured_seconds); }
  [[nodiscard]] double least() const { return *std::ranges::min_element(measured_seconds); }
  [[nodiscard]] double most() const { return *std::ranges::max_element(measured_seconds); }
  [[nodiscard]] double error_percent() const { return (simulated() / measured() - 1) * 100; }
  // How far the repeats are apart.
  [[nodiscard]] double spread_percent() const { return (most() - least()) / measured() * 100; }
};

// Two policies of one workload that differ by more than the noise: one was faster in each of its repeats than the other
// in any.
struct PolicyPair {
  const FidelityRow* faster;
  const FidelityRow* slower;

  [[nodiscard]] double measured_percent() const { return (slower->measured() / faster->measured() - 1) * 100; }
  [[nodiscard]] double simulated_percent() const { return (slower->simulated() / faster->simulated() - 1) * 100; }
};

// Over all rows.
struct FidelityVerdict {
  double median_error_percent = 0;  // of the errors' absolute values
  double worst_error_percent = 0;
  std::size_t pairs = 0;             // that differ by more than the noise
  std::vector<PolicyPair> reversed;  // of those, the ones that the simulator has the other way round
  std::vector<PolicyPair> alike;     // and the ones between which it sees no difference

  [[nodiscard]] std::size_t agreeing() const { return pairs - reversed.size() - alike.size(); }
};

// Throws std::invalid_argument where every policy refused. Points into the rows.
[[nodiscard]] FidelityVerdict judge(const std::vector<FidelityRow>& rows);

using TextTable = std::vector<std::vector<std::string>>;  // the first row is the head
[[nodiscard]] TextTable table_of(const std::vector<FidelityRow>& rows);
[[nodiscard]] TextTable table_of(const FidelityVerdict& verdict);  // without a head
void add_to_json(nlohmann::json& object, const std::vector<FidelityRow>& rows, const FidelityVerdict& verdict);
// Throw std::runtime_error where the file cannot be written.
void write_csv(const std::vector<FidelityRow>& rows, const std::string& path);
void write_report(const std::vector<FidelityRow>& rows, const FidelityVerdict& verdict, const std::string& path);

}  // namespace skua::cli
