// Waiting for one piece of work.
#pragma once

#include <semaphore>
#include <utility>

#include "skua/engine/device.h"

namespace skua {

class Waiter final : public Completion {
 public:
  void done(std::exception_ptr error) noexcept override {
    error_ = std::move(error);
    ended_.release();
  }
  // Rethrows the work's error.
  void wait() {
    ended_.acquire();
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  std::binary_semaphore ended_{0};
  std::exception_ptr error_;
};

}  // namespace skua
