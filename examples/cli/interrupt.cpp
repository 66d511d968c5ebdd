#include "interrupt.h"

#include <semaphore.h>
#include <signal.h>

#include <atomic>

namespace skua::cli {
namespace {

// What a handler may do is little: sem_post is allowed.
sem_t woken;
std::atomic<bool> interrupted;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_signal(int) {
  interrupted = true;
  sem_post(&woken);
}

constexpr int kSignals[] = {SIGINT, SIGTERM};

}  // namespace

Interrupt::Interrupt() {
  interrupted = false;
  sem_init(&woken, 0, 0);
  waiter_ = std::thread([this] {
    while (sem_wait(&woken) != 0) {
    }
    if (interrupted) source_.request_stop();
  });
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

Interrupt::~Interrupt() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
  sem_post(&woken);
  waiter_.join();
  sem_destroy(&woken);
}

}  // namespace skua::cli
