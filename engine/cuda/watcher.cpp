#include "watcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <stdexcept>

namespace skua::cuda {
namespace {

constexpr double kAnchorSeconds = 0.1;  // from one anchor to the next
constexpr double kDrift = 1e-4;         // of the GPU's clock against the host's, at most
constexpr std::size_t kUsualChecks = 4;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void check_faults(std::span<const Check> checks) {
  for (const Check& check : checks) {
    if (check.fault->count == 0) continue;
    throw std::invalid_argument(fmt::format("[{}] {}", *check.label, check.kernel->describe(*check.fault)));
  }
}

}  // namespace

Watcher::Watcher(Gpu& gpu, GpuStream& stream)
    : gpu_(gpu), stream_(stream), entries_(kMostUnderWay), anchored_seconds_(-std::numeric_limits<double>::infinity()) {
  for (Entry& entry : entries_) entry.checks.reserve(kUsualChecks);
  for (auto& anchor : anchors_) anchor = gpu_.make_event();
  sem_init(&posted_, 0, 0);  // whoever posts learns nothing of who waits, other than with a mutex
  thread_ = std::thread([this] { serve(); });
}

Watcher::~Watcher() {
  entries_[pushed_ % kMostUnderWay].mark = nullptr;
  sem_post(&posted_);
  thread_.join();
  sem_destroy(&posted_);
}

void Watcher::watch(const CudaMark& mark, Completion& completion, std::span<const Check> checks,
                    std::span<const Check> lasting) {
  // One place stays free, for what the destructor writes.
  while (pushed_ - known_told_ == kMostUnderWay - 1) {
    told_.wait(known_told_, std::memory_order_acquire);
    known_told_ = told_.load(std::memory_order_acquire);
  }
  Entry& entry = entries_[pushed_ % kMostUnderWay];
  entry.mark = &mark;
  entry.completion = &completion;
  entry.checks.assign(checks.begin(), checks.end());
  entry.lasting = lasting;
  entry.anchor = nullptr;
  const double now = now_seconds();
  if (now - anchored_seconds_ >= kAnchorSeconds && followed_.load(std::memory_order_acquire) == anchored_) {
    Event& anchor = *anchors_[anchored_ % anchors_.size()];
    stream_.record(anchor);
    entry.anchor = &anchor;
    anchored_seconds_ = now;
    ++anchored_;
  }
  ++pushed_;
  sem_post(&posted_);
}

void Watcher::serve() {
  for (std::uint64_t next = 0;; ++next) {
    while (sem_wait(&posted_) != 0 && errno == EINTR) {
    }
    const Entry& entry = entries_[next % kMostUnderWay];
    if (entry.mark == nullptr) return;
    tell(entry);
    told_.store(next + 1, std::memory_order_release);
    told_.notify_one();
  }
}

void Watcher::tell(const Entry& entry) {
  std::exception_ptr error;
  const bool anchors = entry.anchor != nullptr;
  try {
    gpu_.synchronize(*entry.mark->ended);
    const double ended = ended_seconds(*entry.mark, now_seconds());
    const double ran_seconds = gpu_.seconds_between(*entry.mark->began, *entry.mark->ended);
    if (anchors) follow(*entry.anchor, *entry.mark, ended);
    const double ended_ago = now_seconds() - ended;
    entry.completion->measured(ended_ago + ran_seconds, ended_ago);
    check_faults(entry.checks);
    check_faults(entry.lasting);
  } catch (...) {
    error = std::current_exception();
    if (anchors) anchor_ = nullptr;
  }
  if (anchors) followed_.fetch_add(1, std::memory_order_release);
  entry.completion->done(std::move(error));
}

// When it ended is known to be no later than now. The earliest that this ever said of the anchor holds, and loses a
// little with time, as the clocks drift.
double Watcher::ended_seconds(const CudaMark& mark, double now_seconds) {
  if (anchor_ == nullptr) return now_seconds;
  const double ended = anchor_seconds_ + gpu_.seconds_between(*anchor_, *mark.ended) * (1 + kDrift);
  anchor_seconds_ -= std::max(0.0, ended - now_seconds);
  return std::min(ended, now_seconds);
}

void Watcher::follow(const Event& anchor, const CudaMark& mark, double ended_seconds) {
  gpu_.synchronize(anchor);
  anchor_seconds_ = ended_seconds + gpu_.seconds_between(*mark.ended, anchor);
  anchor_ = &anchor;
}

}  // namespace skua::cuda
