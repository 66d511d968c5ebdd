#include "parallel.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <exception>
#include <vector>

namespace skua {

void parallel_for(std::size_t count, const std::function<void(std::size_t)>& action) {
  std::vector<std::exception_ptr> errors(count);
  const auto call = [&](std::size_t i) {
    try {
      action(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::size_t{0}, count, call, tbb::simple_partitioner()); });
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace skua
