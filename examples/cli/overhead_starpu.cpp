// StarPU's sides of `skua bench overhead`, one per scheduler. Its tasks run once: making them, telling what they wait
// for and submitting them is part of each run. Compiled with SKUA_BENCH_PEERS alone.
#include <fmt/format.h>
#include <starpu.h>

#include <memory>
#include <stdexcept>

#include "overhead.h"

namespace skua::cli {
namespace {

// StarPU calls plain functions. One instance at a time.
BenchTasks* running = nullptr;

void run_by_number(void**, void* number) {
  running->run_task(reinterpret_cast<std::uintptr_t>(number));
}

double estimated_microseconds(starpu_task*, unsigned) {
  return running->work_microseconds() + 0.1;
}

class StarPu {
 public:
  StarPu(BenchTasks& tasks, int workers, std::string scheduler)
      : tasks_(tasks), workers_(workers), scheduler_(std::move(scheduler)), handles_(tasks.count()) {
    model_.type = STARPU_COMMON;
    model_.cost_function = estimated_microseconds;
    model_.symbol = "skua_bench_overhead";
    codelet_.where = STARPU_CPU;
    codelet_.cpu_funcs[0] = run_by_number;
    codelet_.model = &model_;
  }

  void enter() {
    starpu_conf conf;
    starpu_conf_init(&conf);
    conf.ncpus = workers_;
    conf.ncuda = 0;
    conf.nopencl = 0;
    conf.sched_policy_name = scheduler_.c_str();
    running = &tasks_;
    expect(starpu_init(&conf) == 0, "start");
    expect(starpu_cpu_worker_get_count() == static_cast<unsigned>(workers_), "start all workers");
  }

  void leave() { starpu_shutdown(); }

  void run() {
    for (std::size_t task = 0; task < handles_.size(); ++task) {
      make(task);
      expect(starpu_task_submit(handles_[task]) == 0, "take a task");
    }
    starpu_task_wait_for_all();
  }

  void tidy() {
    for (starpu_task* task : handles_) starpu_task_destroy(task);
  }

 private:
  void expect(bool succeeded, const char* what) const {
    if (!succeeded) throw std::runtime_error(fmt::format("[StarPU {}] could not {}", scheduler_, what));
  }

  void make(std::size_t task) {
    starpu_task* handle = starpu_task_create();
    handle->cl = &codelet_;
    handle->cl_arg = reinterpret_cast<void*>(task);
    handle->destroy = 0;  // later tasks name it
    handle->priority = -static_cast<int>(task);
    handles_[task] = handle;
    before_.clear();
    for (const std::uint32_t before : tasks_.predecessors(task)) before_.push_back(handles_[before]);
    if (!before_.empty()) {
      starpu_task_declare_deps_array(handle, static_cast<unsigned>(before_.size()), before_.data());
    }
  }

  BenchTasks& tasks_;
  int workers_;
  std::string scheduler_;
  std::vector<starpu_task*> handles_;
  std::vector<starpu_task*> before_;
  starpu_perfmodel model_{};
  starpu_codelet codelet_{};
};

}  // namespace

std::vector<OverheadSide> starpu_sides(BenchTasks& tasks, int workers) {
  std::vector<OverheadSide> sides;
  for (const char* scheduler : {"eager", "lws", "dmdas"}) {
    const auto starpu = std::make_shared<StarPu>(tasks, workers, scheduler);
    OverheadSide side{fmt::format("StarPU {}", scheduler), 0, [starpu] { starpu->run(); }};
    side.tidy = [starpu] { starpu->tidy(); };
    side.enter = [starpu] { starpu->enter(); };
    side.leave = [starpu] { starpu->leave(); };
    sides.push_back(std::move(side));
  }
  return sides;
}

}  // namespace skua::cli
