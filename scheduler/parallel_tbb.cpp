#include "parallel_tbb.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace skua {

void run_on_tbb(std::size_t count, const std::function<void(std::size_t)>& action) {
  tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::size_t{0}, count, action, tbb::simple_partitioner()); });
}

}  // namespace skua
