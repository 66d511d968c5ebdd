// Ctrl-C (SIGINT) and SIGTERM as a request to stop; a second one ends the process as ever. One at a time.
#pragma once

#include <stop_token>
#include <thread>

namespace skua::cli {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::thread waiter_;
};

}  // namespace skua::cli
