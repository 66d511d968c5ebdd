#include "fidelity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <fstream>
#include <stdexcept>

#include "command.h"
#include "skua/scheduler/report.h"

namespace skua::cli {
namespace {

constexpr double kAlikePercent = 0.1;  // simulated makespans closer than this are the same

// Whether two policies of one workload run the same tasks in the same order on the same devices.
bool same_schedule(const FidelityRow& a, const FidelityRow& b) {
  const auto same_place = [](const TaskRecord& x, const TaskRecord& y) {
    return x.lane == y.lane && x.start_seconds == y.start_seconds;
  };
  return std::ranges::equal(a.trace.records, b.trace.records, same_place);
}

std::vector<PolicyPair> pairs_beyond_noise(const std::vector<FidelityRow>& rows) {
  std::vector<PolicyPair> pairs;
  for (const FidelityRow& a : rows) {
    for (const FidelityRow& b : rows) {
      if (a.refused() || b.refused() || a.model != b.model || a.devices != b.devices) continue;
      if (a.most() < b.least() && !same_schedule(a, b)) pairs.push_back({&a, &b});
    }
  }
  return pairs;
}

std::vector<double> in_milliseconds(std::vector<double> seconds) {
  for (double& value : seconds) value *= 1e3;
  return seconds;
}

nlohmann::json to_json(const FidelityRow& row) {
  nlohmann::json object = {
      {"model", row.model}, {"devices", row.devices}, {"batch", row.batch}, {"policy", row.policy}};
  if (row.refused()) {
    object["error"] = row.error;
    return object;
  }
  object["plan"] = row.plan.policy;
  object["measured_ms"] = row.measured() * 1e3;
  object["simulated_ms"] = row.simulated() * 1e3;
  object["error_percent"] = row.error_percent();
  object["spread_percent"] = row.spread_percent();
  object["work_error_percent"] = median_of(row.work_errors);
  object["measured_ms_by_repeat"] = in_milliseconds(row.measured_seconds);
  object["simulated_ms_by_repeat"] = in_milliseconds(row.simulated_seconds);
  return object;
}

nlohmann::json to_json(const std::vector<PolicyPair>& pairs) {
  nlohmann::json list = nlohmann::json::array();
  for (const PolicyPair& pair : pairs) {
    list.push_back({{"model", pair.faster->model},
                    {"devices", pair.faster->devices},
                    {"faster", pair.faster->policy},
                    {"slower", pair.slower->policy},
                    {"measured_percent", pair.measured_percent()},
                    {"simulated_percent", pair.simulated_percent()}});
  }
  return list;
}

}  // namespace

FidelityVerdict judge(const std::vector<FidelityRow>& rows) {
  FidelityVerdict verdict;
  std::vector<double> errors;
  for (const FidelityRow& row : rows) {
    if (!row.refused()) errors.push_back(std::abs(row.error_percent()));
  }
  if (errors.empty()) throw std::invalid_argument("[bench] expected a policy that makes a plan, got none");
  verdict.median_error_percent = median_of(errors);
  verdict.worst_error_percent = *std::ranges::max_element(errors);
  for (const PolicyPair& pair : pairs_beyond_noise(rows)) {
    ++verdict.pairs;
    if (std::abs(pair.simulated_percent()) < kAlikePercent) {
      verdict.alike.push_back(pair);
    } else if (pair.simulated_percent() < 0) {
      verdict.reversed.push_back(pair);
    }
  }
  return verdict;
}

void add_to_json(nlohmann::json& object, const std::vector<FidelityRow>& rows, const FidelityVerdict& verdict) {
  object["results"] = nlohmann::json::array();
  for (const FidelityRow& row : rows) object["results"].push_back(to_json(row));
  object["median_error_percent"] = verdict.median_error_percent;
  object["worst_error_percent"] = verdict.worst_error_percent;
  object["pairs"] = verdict.pairs;
  object["pairs_agreeing"] = verdict.agreeing();
  object["pairs_alike"] = to_json(verdict.alike);
  object["pairs_reversed"] = to_json(verdict.reversed);
}

TextTable table_of(const std::vector<FidelityRow>& rows) {
  TextTable table{{"model", "devices", "policy", "measured", "simulated", "error", "spread", "error of all tasks"}};
  for (const FidelityRow& row : rows) {
    table.push_back({row.model, row.devices, row.policy});
    if (row.refused()) {
      table.back().push_back("refused: " + row.error);
      continue;
    }
    table.back().push_back(milliseconds(row.measured()));
    table.back().push_back(milliseconds(row.simulated()));
    table.back().push_back(fmt::format("{:+.1f} %", row.error_percent()));
    table.back().push_back(fmt::format("{:.1f} %", row.spread_percent()));
    table.back().push_back(fmt::format("{:+.1f} %", median_of(row.work_errors)));
  }
  return table;
}

TextTable table_of(const FidelityVerdict& verdict) {
  TextTable table{
      {"median error", fmt::format("{:.1f} %", verdict.median_error_percent)},
      {"worst error", fmt::format("{:.1f} %", verdict.worst_error_percent)},
      {"order of policies", fmt::format("as simulated in {} of the {} pairs that differ by more than the noise",
                                        verdict.agreeing(), verdict.pairs)}};
  if (!verdict.alike.empty()) {
    const PolicyPair& most = *std::ranges::max_element(verdict.alike, {}, &PolicyPair::measured_percent);
    table.push_back({"simulated alike", fmt::format("{} of them, at most {:.1f} % apart: {} and {}, {} on {}",
                                                    verdict.alike.size(), most.measured_percent(), most.faster->policy,
                                                    most.slower->policy, most.faster->model, most.faster->devices)});
  }
  for (const PolicyPair& pair : verdict.reversed) {
    table.push_back({"the other way round",
                     fmt::format("{} on {}: {} {}, {} {}; simulated {} and {}", pair.faster->model,
                                 pair.faster->devices, pair.faster->policy, milliseconds(pair.faster->measured()),
                                 pair.slower->policy, milliseconds(pair.slower->measured()),
                                 milliseconds(pair.faster->simulated()), milliseconds(pair.slower->simulated()))});
  }
  return table;
}

void write_csv(const std::vector<FidelityRow>& rows, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  file << "model,devices,batch,policy,plan,measured_seconds,simulated_seconds,error_percent,spread_percent,"
          "work_error_percent\n";
  for (const FidelityRow& row : rows) {
    if (row.refused()) continue;
    file << fmt::format("{},{},{},{},{},{},{},{},{},{}\n", row.model, row.devices, row.batch, row.policy,
                        row.plan.policy, row.measured(), row.simulated(), row.error_percent(), row.spread_percent(),
                        median_of(row.work_errors));
  }
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write the table {}", path));
}

void write_report(const std::vector<FidelityRow>& rows, const FidelityVerdict& verdict, const std::string& path) {
  const TextTable table = table_of(rows);
  Report page{"Skua: the simulator against the executor", "measured, and simulated by measured operators"};
  for (const auto& line : table_of(verdict)) page.figures.emplace_back(line[0], line[1]);
  for (std::size_t i = 1; i < table.size(); ++i) {
    const auto& cells = table[i];
    page.figures.emplace_back(fmt::format("{}, {}, {}", cells[0], cells[1], cells[2]),
                              fmt::format("{}", fmt::join(cells.begin() + 3, cells.end(), ", ")));
  }
  for (const FidelityRow& row : rows) {
    if (row.refused()) continue;
    const std::string title = fmt::format("{} on {}", row.model, row.devices);
    if (page.curves.empty() || page.curves.back().title != title) {
      page.curves.push_back({title, "ms simulated", "ms measured", {{"policies", {}}, {"as simulated", {}}}});
    }
    auto& series = page.curves.back().series;
    series[0].second.emplace_back(row.simulated() * 1e3, row.measured() * 1e3);
    series[1].second.emplace_back(row.simulated() * 1e3, row.simulated() * 1e3);
  }
  for (ReportCurve& curve : page.curves) {
    for (auto& [name, points] : curve.series) std::ranges::sort(points);
  }
  skua::write_report(page, path);
}

}  // namespace skua::cli
