#include "builtin.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "repair.h"
#include "scheduler/parallel.h"
#include "skua/scheduler/memory_plan.h"
#include "skua/scheduler/simulator.h"

namespace skua {

std::vector<PolicyInfo> builtin_policies() {
  return {
      {"single", "everything on the fastest device", make_single_policy},
      {"round_robin", "one task after another to the next device, whatever it costs", make_round_robin_policy},
      {"data_parallel", "micro-batches in blocks on all devices, sized by speed", make_data_parallel_policy},
      {"gpipe", "layers in stages, all forward passes before all backward ones (Huang et al. 2019)", make_gpipe_policy},
      {"1f1b", "layers in stages, forward and backward passes in turn (Narayanan et al. 2021)", make_1f1b_policy},
      {"greedy",
       "each task, in order, to the device with room in memory that ends it first, of equals the fullest (best fit)",
       make_greedy_policy},
      {"heft", "by upward rank to the device and the gap that end it first (Topcuoglu, Hariri, Wu 2002)",
       make_heft_policy},
      {"cpop", "the critical path on one device, the rest as HEFT (Topcuoglu, Hariri, Wu 2002)", make_cpop_policy},
      {"peft", "as HEFT, looking at what each device costs later tasks (Arabnejad, Barbosa 2014)", make_peft_policy},
      {"etf", "the ready task and device that can start first (Hwang, Chow, Anger, Lee 1989)", make_etf_policy},
      {"m_etf", "as ETF, passing over devices whose memory has no room (Baechi: Jeon et al. 2020)", make_m_etf_policy},
      {"m_sct", "as m_etf, devices waiting for a task's favourite successor (Baechi: Jeon et al. 2020)",
       make_m_sct_policy},
      {"linear", "a linear program of shares, loads and paths, rounded (Lenstra, Shmoys, Tardos 1990)",
       make_linear_policy},
      {"integer", "that program in integers, with a proved bound (Tarnawski et al. 2020)", make_integer_policy},
      {"convex", "squared loads and copies, a convex program solved to a certified gap, rounded (Azar, Epstein 2005)",
       make_convex_policy},
      {"annealing", "simulated annealing from the best of the policies above (Kirkpatrick, Gelatt, Vecchi 1983)",
       make_annealing_policy},
      {"genetic", "a genetic search from the plans of the policies above (Holland 1975)", make_genetic_policy},
      {"exact", "the best plan there is, proved by branch and bound; for small graphs (Land, Doig 1960)",
       make_exact_policy},
      {"replay", "a plan file", make_replay_policy},
      {"auto", "the shortest simulated plan of the policies above, of equal ones that on the fewest devices",
       make_auto_policy},
  };
}

Plan blank_plan(const CostTable& costs) {
  for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (std::isfinite(costs.fastest_seconds(id))) continue;
    const TaskDemand& demand = costs.graph().demand(id);
    const bool free = demand.pins.empty() && !demand.group.valid();
    throw std::invalid_argument(fmt::format("[{}] expected a device of {} that can run it{}, got none",
                                            costs.graph().name(id), costs.cluster().name(),
                                            free ? "" : " where its pins and colocations let it"));
  }
  Plan plan;
  plan.micro_batches = costs.graph().micro_batches();
  plan.graph_fingerprint = costs.graph().fingerprint();
  for (const DeviceSpec& device : costs.cluster().devices()) plan.device_names.push_back(device.name);
  plan.placements.assign(costs.graph().task_count(), {DeviceId(0), 0});
  return plan;
}

void prioritize_depth_first(Plan& plan, const TaskGraph& graph) {
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const bool compute = graph.task(TaskId(static_cast<std::int64_t>(i))).kind == TaskKind::kCompute;
    plan.placements[i].priority = compute ? -static_cast<double>(i) : 1;
  }
}

std::vector<DeviceId> fastest_devices(const CostTable& costs) {
  std::vector<std::pair<std::size_t, double>> step;  // by device: tasks that it may not run, seconds of the others
  std::vector<DeviceId> devices;
  for (std::size_t d = 0; d < costs.cluster().device_count(); ++d) {
    devices.push_back(DeviceId(static_cast<std::int64_t>(d)));
    auto& [missing, seconds] = step.emplace_back(0, 0);
    for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
      const double here = costs.seconds(TaskId(static_cast<std::int64_t>(i)), devices.back());
      if (std::isfinite(here)) {
        seconds += here;
      } else {
        ++missing;
      }
    }
  }
  std::stable_sort(devices.begin(), devices.end(),
                   [&](DeviceId a, DeviceId b) { return step[a.index()] < step[b.index()]; });
  return devices;
}

double seconds_here_or_elsewhere(const CostTable& costs, TaskId task, DeviceId device) {
  const double here = costs.seconds(task, device);
  return std::isfinite(here) ? here : costs.fastest_seconds(task);
}

DeviceId left_operand_device(const TaskGraph& graph, const Plan& plan, TaskId reduce) {
  return plan.placements[graph.datum(graph.inputs(reduce)[0]).producer.index()].device;
}

double seconds_if_it_fits(const Plan& plan, const CostTable& costs) {
  const Schedule schedule(costs.graph(), costs.cluster(), plan);
  const StepTrace predicted = simulate(schedule, costs);
  const bool fits =
      fits_in_memory(schedule, predicted, plain_sizes(schedule)) && breach_of(plan, costs, predicted).empty();
  return fits ? predicted.seconds : std::numeric_limits<double>::infinity();
}

std::vector<ScoredPlan> make_plans(const CostTable& costs, const std::vector<Candidate>& candidates) {
  std::vector<ScoredPlan> plans(candidates.size());
  parallel_for(candidates.size(), [&](std::size_t i) {
    try {
      plans[i].plan = candidates[i].make();
    } catch (const std::invalid_argument&) {  // does not serve this graph
      return;
    }
    repair(plans[i].plan, costs);
    plans[i].seconds = seconds_if_it_fits(plans[i].plan, costs);
  });
  return plans;
}

std::vector<ScoredPlan> best_first(std::vector<ScoredPlan> plans) {
  std::erase_if(plans, [](const ScoredPlan& scored) { return std::isinf(scored.seconds); });
  std::stable_sort(plans.begin(), plans.end(),
                   [](const ScoredPlan& a, const ScoredPlan& b) { return a.seconds < b.seconds; });
  return plans;
}

void refuse_without_device(const CostTable& costs, TaskId task) {
  throw std::invalid_argument(fmt::format(
      "[{}] expected a device of {} that may run it beside what it has to do, got none: give the devices more "
      "time or memory, or try another policy",
      costs.graph().name(task), costs.cluster().name()));
}

std::vector<ScoredPlan> plans_that_fit(const CostTable& costs, const CostModel& model) {
  std::vector<Candidate> candidates;
  const auto add = [&](const char* name) {
    candidates.push_back(
        {name, [&, name] { return make_policy(name)->make_plan(costs.graph(), costs.cluster(), model); }});
  };
  add("single");
  add("data_parallel");
  for (const char* name : kQuickPolicies) add(name);
  return best_first(make_plans(costs, candidates));
}

Arrivals::Arrivals(const CostTable& costs, const Plan& plan)
    : costs_(costs),
      plan_(plan),
      memories_(costs.cluster().memory_count()),
      arrivals_(costs.graph().datum_count() * memories_, std::numeric_limits<double>::infinity()),
      homes_(costs.graph().datum_count()),
      finish_(costs.graph().task_count(), 0),
      group_devices_(costs.graph().groups().size()),
      busy_seconds_(costs.cluster().device_count(), 0) {
  const TaskGraph& graph = costs.graph();
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    const DatumId id(static_cast<std::int64_t>(i));
    if (graph.graph().value(graph.datum(id).value).kind != ValueKind::kInput) continue;
    homes_[i] = kHostMemory;
    arrival(id, kHostMemory) = 0;
  }
}

bool Arrivals::allows(TaskId task, DeviceId device) const {
  const double seconds = busy_seconds_[device.index()] + costs_.seconds(task, device);
  if (!std::isfinite(seconds) || seconds > costs_.cluster().device(device).most_busy_seconds) return false;
  const GroupId group = costs_.graph().demand(task).group;
  if (group.valid() && group_devices_[group.index()].valid() && group_devices_[group.index()] != device) return false;
  if (costs_.graph().task(task).kind != TaskKind::kReduce) return true;
  const DeviceId left = left_operand_device(costs_.graph(), plan_, task);
  return costs_.cluster().device(left).memory == costs_.cluster().device(device).memory;
}

double Arrivals::arrival_seconds(DatumId datum, MemoryId memory) const {
  const MemoryId home = homes_[datum.index()];
  if (!home.valid()) return 0;
  const double here = arrivals_[datum.index() * memories_ + memory.index()];
  return std::min(here, arrivals_[datum.index() * memories_ + home.index()] + costs_.copy_seconds(datum, home, memory));
}

double Arrivals::ready_seconds(TaskId task, DeviceId device) const {
  const MemoryId memory = costs_.cluster().device(device).memory;
  double ready = 0;
  for (TaskId before : costs_.graph().predecessors(task)) ready = std::max(ready, finish_[before.index()]);
  for (DatumId input : costs_.graph().inputs(task)) ready = std::max(ready, arrival_seconds(input, memory));
  return ready;
}

void Arrivals::place(TaskId task, DeviceId device, double finish_seconds) {
  const MemoryId memory = costs_.cluster().device(device).memory;
  finish_[task.index()] = finish_seconds;
  busy_seconds_[device.index()] += costs_.seconds(task, device);
  if (const GroupId group = costs_.graph().demand(task).group; group.valid()) group_devices_[group.index()] = device;
  for (DatumId input : costs_.graph().inputs(task)) {
    const double seconds = arrival_seconds(input, memory);
    if (!homes_[input.index()].valid()) homes_[input.index()] = memory;
    arrival(input, memory) = seconds;
  }
  for (DatumId output : costs_.graph().outputs(task)) {
    homes_[output.index()] = memory;
    arrival(output, memory) = finish_seconds;
  }
}

}  // namespace skua
