// What a fake GPU stream's native() points to: host work in order, on a thread of its own.
#pragma once

#include <functional>

namespace skua::fake {

class WorkQueue {
 public:
  virtual void push(std::function<void()> work) = 0;

 protected:
  ~WorkQueue() = default;
};

}  // namespace skua::fake
