// skua bench fidelity: the simulated makespan of every policy's plan against the measured one, on this machine's CPU.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "command.h"
#include "skua/layers/devices.h"
#include "skua/scheduler/median.h"
#include "skua/scheduler/report.h"
#include "skua/scheduler/simulator.h"

namespace skua::cli {
namespace {

constexpr int kWarmUpSteps = 2;        // first touches of memory, kernels' first runs
constexpr double kAlikePercent = 0.1;  // simulated makespans closer than this are the same

struct FidelityOptions {
  std::vector<std::string> models = tutorial_models();
  std::vector<int> devices = {1, 2};
  std::vector<std::string> policies;  // none: all but replay
  std::optional<std::int64_t> batch;  // otherwise each model's
  int micro_batches = 4;
  int steps = 15;
  int repeats = 5;
  double plan_seconds = 1;
  std::string stealing = "none";
  std::string csv;
  std::string report;
  bool json = false;
};

// One model's training step on one set of devices: its task graph, a batch, first weights, and measured times.
class Workload {
 public:
  Workload(const models::Recipe& recipe, int devices, const FidelityOptions& options)
      : stealing_(options.stealing),
        compile_(recipe.compile),
        batch_(options.batch.value_or(recipe.batch_size)),
        devices_(open_devices(fmt::format("cpu:{}", devices))) {
    if (!recipe.data)
      throw std::invalid_argument(fmt::format("[bench] expected a model with data, got {}", recipe.name));
    Model model = recipe.make();
    tasks_ = std::make_unique<TaskGraph>(model.training_graph(batch_, options.micro_batches, compile_),
                                         options.micro_batches);
    model.compile(compile_);
    weights_ = model.weights();
    read_batch(*recipe.data("").pair.train);
  }

  [[nodiscard]] Plan plan(const std::string& policy, double plan_seconds) const {
    return plan_with(policy, *tasks_, devices_.cluster, costs_, {.plan_file = "", .plan_seconds = plan_seconds});
  }

  // Adds the operators' times in some steps of data parallelism, which keeps all devices busy, to the costs.
  void calibrate(int steps) {
    Session session(*tasks_, devices_, plan("data_parallel", 0), costs_, "none");
    run(session, steps, [&](const StepTrace& trace) { session.observe(trace, costs_); });
  }

  struct Times {
    StepTrace simulated;          // by the costs so far
    double measured_seconds = 0;  // median
  };
  [[nodiscard]] Times compare(const Plan& plan, int steps) {
    Session session(*tasks_, devices_, plan, costs_, stealing_);
    const auto rule = make_steal_rule(stealing_);
    Times times{simulate(session.schedule(), session.costs(), {.steal_rule = rule.get()})};
    std::vector<double> seconds;
    run(session, steps, [&](const StepTrace& trace) { seconds.push_back(trace.seconds); });
    times.measured_seconds = median_of(seconds);
    return times;
  }

  [[nodiscard]] std::int64_t batch() const { return batch_; }

 private:
  void read_batch(const Dataset& data) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(batch_));
    std::iota(rows.begin(), rows.end(), 0);
    for (std::int64_t& row : rows) row %= data.size();
    const auto batch_of = [&](const ValueType& row) {
      std::vector<std::int64_t> extents = row.shape.extents();
      extents.insert(extents.begin(), batch_);
      return ValueType{Shape(std::move(extents)), row.dtype};
    };
    features_ = Tensor(batch_of(data.feature_type()));
    labels_ = Tensor(batch_of(data.label_type()));
    data.read(rows, features_, labels_);
  }

  // Trains from the first weights on, after a few steps that do not count.
  template <class Action>
  void run(Session& session, int steps, Action action) const {
    const Graph& graph = tasks_->graph();
    for (const auto& [name, tensor] : weights_) session.set_value(graph.find_value(name), tensor);
    for (ValueId id : graph.values_of(ValueKind::kState)) session.set_value(id, Tensor(graph.value(id).type));
    std::map<ValueId, const Tensor*> inputs{{graph.find_value("features"), &features_}};
    if (const ValueId labels = graph.find_value("labels"); labels.valid()) inputs[labels] = &labels_;
    StepTrace trace;
    for (int step = 0; step < kWarmUpSteps + steps; ++step) {
      session.run(inputs, {step, static_cast<float>(compile_.optimizer.learning_rate), compile_.seed}, &trace);
      if (step >= kWarmUpSteps) action(trace);
    }
  }

  std::string stealing_;
  CompileOptions compile_;
  std::int64_t batch_;
  DeviceSet devices_;
  std::unique_ptr<TaskGraph> tasks_;
  std::map<std::string, Tensor> weights_;
  Tensor features_;
  Tensor labels_;
  CostModel costs_;
};

// One policy's plan of one workload.
struct Row {
  std::string model;
  std::string devices;
  std::int64_t batch = 0;
  std::string policy;
  std::string error = "";  // why the policy refused; nothing of what follows then
  Plan plan = {};
  StepTrace trace = {};                        // simulated, in the last repeat
  std::vector<double> simulated_seconds = {};  // by repeat
  std::vector<double> measured_seconds = {};   // by repeat

  [[nodiscard]] double simulated() const { return median_of(simulated_seconds); }
  [[nodiscard]] double measured() const { return median_of(measured_seconds); }
  [[nodiscard]] double least() const { return *std::ranges::min_element(measured_seconds); }
  [[nodiscard]] double most() const { return *std::ranges::max_element(measured_seconds); }
  [[nodiscard]] double error_percent() const { return (simulated() / measured() - 1) * 100; }
  // How far the repeats are apart.
  [[nodiscard]] double spread_percent() const { return (most() - least()) / measured() * 100; }
};

// In each repeat operators are measured first, then every plan in turn, so that a slower moment of the machine meets
// all of them. A plan is made once, by the times of the first repeat.
std::vector<Row> measure(const models::Recipe& recipe, int devices, const FidelityOptions& options) {
  Workload workload(recipe, devices, options);
  std::vector<Row> rows;
  for (const std::string& policy : options.policies) {
    rows.push_back({recipe.name, fmt::format("cpu:{}", devices), workload.batch(), policy});
  }
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    workload.calibrate(options.steps);
    for (Row& row : rows) {
      try {
        if (repeat == 0) row.plan = workload.plan(row.policy, options.plan_seconds);
      } catch (const std::invalid_argument& error) {
        row.error = error.what();
      }
      if (!row.error.empty()) continue;
      const Workload::Times times = workload.compare(row.plan, options.steps);
      row.trace = times.simulated;
      row.simulated_seconds.push_back(times.simulated.seconds);
      row.measured_seconds.push_back(times.measured_seconds);
    }
    fmt::print(stderr, "{} on cpu:{}: repeat {} of {}\n", recipe.name, devices, repeat + 1, options.repeats);
  }
  return rows;
}

// Whether two policies of one workload run the same tasks in the same order on the same devices.
bool same_schedule(const Row& a, const Row& b) {
  const auto same_place = [](const TaskRecord& x, const TaskRecord& y) {
    return x.lane == y.lane && x.start_seconds == y.start_seconds;
  };
  return std::ranges::equal(a.trace.records, b.trace.records, same_place);
}

// Two policies of one workload that differ by more than the noise: one was faster in each of its repeats than the other
// in any.
struct Pair {
  const Row* faster;
  const Row* slower;

  [[nodiscard]] double measured_percent() const { return (slower->measured() / faster->measured() - 1) * 100; }
  [[nodiscard]] double simulated_percent() const { return (slower->simulated() / faster->simulated() - 1) * 100; }
  [[nodiscard]] bool alike() const { return std::abs(simulated_percent()) < kAlikePercent; }
};

std::vector<Pair> pairs_beyond_noise(const std::vector<Row>& rows) {
  std::vector<Pair> pairs;
  for (const Row& a : rows) {
    for (const Row& b : rows) {
      if (!a.error.empty() || !b.error.empty() || a.model != b.model || a.devices != b.devices) continue;
      if (a.most() < b.least() && !same_schedule(a, b)) pairs.push_back({&a, &b});
    }
  }
  return pairs;
}

// Over all rows.
struct Verdict {
  double median_error_percent = 0;  // of the errors' absolute values
  double worst_error_percent = 0;
  std::size_t pairs = 0;       // that differ by more than the noise
  std::vector<Pair> reversed;  // of those, the ones that the simulator has the other way round
  std::vector<Pair> alike;     // and the ones between which it sees no difference

  [[nodiscard]] std::size_t agreeing() const { return pairs - reversed.size() - alike.size(); }
};

Verdict judge(const std::vector<Row>& rows) {
  Verdict verdict;
  std::vector<double> errors;
  for (const Row& row : rows) {
    if (row.error.empty()) errors.push_back(std::abs(row.error_percent()));
  }
  if (errors.empty()) throw std::invalid_argument("[bench] expected a policy that makes a plan, got none");
  verdict.median_error_percent = median_of(errors);
  verdict.worst_error_percent = *std::ranges::max_element(errors);
  for (const Pair& pair : pairs_beyond_noise(rows)) {
    ++verdict.pairs;
    if (pair.alike()) {
      verdict.alike.push_back(pair);
    } else if (pair.simulated_percent() < 0) {
      verdict.reversed.push_back(pair);
    }
  }
  return verdict;
}

std::vector<double> in_milliseconds(std::vector<double> seconds) {
  for (double& value : seconds) value *= 1e3;
  return seconds;
}

nlohmann::json to_json(const Row& row) {
  nlohmann::json object = {
      {"model", row.model}, {"devices", row.devices}, {"batch", row.batch}, {"policy", row.policy}};
  if (!row.error.empty()) {
    object["error"] = row.error;
    return object;
  }
  object["plan"] = row.plan.policy;
  object["measured_ms"] = row.measured() * 1e3;
  object["simulated_ms"] = row.simulated() * 1e3;
  object["error_percent"] = row.error_percent();
  object["spread_percent"] = row.spread_percent();
  object["measured_ms_by_repeat"] = in_milliseconds(row.measured_seconds);
  object["simulated_ms_by_repeat"] = in_milliseconds(row.simulated_seconds);
  return object;
}

nlohmann::json to_json(const std::vector<Pair>& pairs) {
  nlohmann::json list = nlohmann::json::array();
  for (const Pair& pair : pairs) {
    list.push_back({{"model", pair.faster->model},
                    {"devices", pair.faster->devices},
                    {"faster", pair.faster->policy},
                    {"slower", pair.slower->policy},
                    {"measured_percent", pair.measured_percent()},
                    {"simulated_percent", pair.simulated_percent()}});
  }
  return list;
}

nlohmann::json to_json(const FidelityOptions& options, const std::vector<Row>& rows, const Verdict& verdict) {
  nlohmann::json object = {{"bench", "fidelity"},
                           {"micro_batches", options.micro_batches},
                           {"stealing", options.stealing},
                           {"steps", options.steps},
                           {"repeats", options.repeats},
                           {"machine", machine_description()},
                           {"results", nlohmann::json::array()},
                           {"median_error_percent", verdict.median_error_percent},
                           {"worst_error_percent", verdict.worst_error_percent},
                           {"pairs", verdict.pairs},
                           {"pairs_agreeing", verdict.agreeing()},
                           {"pairs_alike", to_json(verdict.alike)},
                           {"pairs_reversed", to_json(verdict.reversed)}};
  for (const Row& row : rows) object["results"].push_back(to_json(row));
  return object;
}

void write_csv(const std::vector<Row>& rows, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  file << "model,devices,batch,policy,plan,measured_seconds,simulated_seconds,error_percent,spread_percent\n";
  for (const Row& row : rows) {
    if (!row.error.empty()) continue;
    file << fmt::format("{},{},{},{},{},{},{},{},{}\n", row.model, row.devices, row.batch, row.policy, row.plan.policy,
                        row.measured(), row.simulated(), row.error_percent(), row.spread_percent());
  }
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write the table {}", path));
}

void write_report(const std::vector<Row>& rows, const std::vector<std::vector<std::string>>& table,
                  const std::vector<std::vector<std::string>>& verdict, const std::string& path) {
  Report page{"Skua: the simulator against the executor", "measured, and simulated by measured operators", {}, {}};
  for (const auto& line : verdict) page.figures.emplace_back(line[0], line[1]);
  for (std::size_t i = 1; i < table.size(); ++i) {
    const auto& cells = table[i];
    page.figures.emplace_back(fmt::format("{}, {}, {}", cells[0], cells[1], cells[2]),
                              fmt::format("{}", fmt::join(cells.begin() + 3, cells.end(), ", ")));
  }
  for (const Row& row : rows) {
    if (!row.error.empty()) continue;
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
  skua::write_report(page, nullptr, nullptr, path);
}

std::vector<std::vector<std::string>> table_of(const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> table{
      {"model", "devices", "policy", "measured", "simulated", "error", "spread"}};
  for (const Row& row : rows) {
    table.push_back({row.model, row.devices, row.policy});
    if (!row.error.empty()) {
      table.back().push_back("refused: " + row.error);
      continue;
    }
    table.back().push_back(milliseconds(row.measured()));
    table.back().push_back(milliseconds(row.simulated()));
    table.back().push_back(fmt::format("{:+.1f} %", row.error_percent()));
    table.back().push_back(fmt::format("{:.1f} %", row.spread_percent()));
  }
  return table;
}

std::vector<std::vector<std::string>> table_of(const Verdict& verdict) {
  std::vector<std::vector<std::string>> table{
      {"median error", fmt::format("{:.1f} %", verdict.median_error_percent)},
      {"worst error", fmt::format("{:.1f} %", verdict.worst_error_percent)},
      {"order of policies", fmt::format("as simulated in {} of the {} pairs that differ by more than the noise",
                                        verdict.agreeing(), verdict.pairs)}};
  if (!verdict.alike.empty()) {
    const Pair& most = *std::ranges::max_element(verdict.alike, {}, &Pair::measured_percent);
    table.push_back({"simulated alike", fmt::format("{} of them, at most {:.1f} % apart: {} and {}, {} on {}",
                                                    verdict.alike.size(), most.measured_percent(), most.faster->policy,
                                                    most.slower->policy, most.faster->model, most.faster->devices)});
  }
  for (const Pair& pair : verdict.reversed) {
    table.push_back({"the other way round",
                     fmt::format("{} on {}: {} {}, {} {}; simulated {} and {}", pair.faster->model,
                                 pair.faster->devices, pair.faster->policy, milliseconds(pair.faster->measured()),
                                 pair.slower->policy, milliseconds(pair.slower->measured()),
                                 milliseconds(pair.faster->simulated()), milliseconds(pair.slower->simulated()))});
  }
  return table;
}

void fidelity(FidelityOptions options) {
  expect_writable("--csv", options.csv);
  expect_writable("--report", options.report);
  options.policies = policies_or_all(options.policies);
  std::vector<const models::Recipe*> recipes;
  for (const std::string& name : options.models) recipes.push_back(&models::recipe(name));
  std::vector<Row> rows;
  for (const models::Recipe* recipe : recipes) {
    for (const int devices : options.devices) {
      for (Row& row : measure(*recipe, devices, options)) rows.push_back(std::move(row));
    }
  }
  const Verdict verdict = judge(rows);
  const auto table = table_of(rows);
  if (!options.csv.empty()) write_csv(rows, options.csv);
  if (!options.report.empty()) write_report(rows, table, table_of(verdict), options.report);
  if (options.json) return print_json(to_json(options, rows, verdict));
  print_machine();
  print_table(table);
  fmt::print("\n");
  print_table(table_of(verdict));
}

}  // namespace

void add_bench_fidelity_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("fidelity", "Simulated steps of every policy against measured ones");
  const auto options = std::make_shared<FidelityOptions>();
  add_list_option(command, "--models", options->models, "Models, by name");
  add_device_counts_option(command, options->devices);
  add_list_option(command, "--policies", options->policies, "Policies (see `skua policies`); else all but replay");
  command.add_option("--batch", options->batch, "Samples of one step; otherwise as is usual for each model");
  command.add_option("--micro-batches", options->micro_batches, "Parts of a batch, for all policies alike")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--steps", options->steps, "Of each plan in each repeat")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--repeats", options->repeats, "Times that the plans take turns")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--plan-seconds", options->plan_seconds, "Planning budget of one plan")
      ->check(at_least(0))
      ->capture_default_str();
  add_stealing_option(command, options->stealing);
  command.add_option("--csv", options->csv, "Write the table as CSV");
  command.add_option("--report", options->report, "Write an HTML report");
  add_json_option(command, options->json);
  command.callback([options] { fidelity(*options); });
}

}  // namespace skua::cli
