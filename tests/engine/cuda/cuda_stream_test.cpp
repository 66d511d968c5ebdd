#include "engine/cuda/cuda_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "engine/allocations.h"
#include "gpu_work.h"

namespace skua::cuda {
namespace {

using fake::FakeRuntime;
using test::Gate;
using test::now_seconds;
using test::open_gpu;
using test::pause;
using test::push;
using test::Told;

struct OneGpu {
  explicit OneGpu(int streams_count = 1) : gpu(open_gpu(runtime)) {
    for (int i = 0; i < streams_count; ++i) streams.push_back(std::make_unique<CudaStream>(*gpu));
  }
  CudaStream& stream(int i = 0) { return *streams.at(i); }
  // One task of work.
  void submit(int on, CudaMark& mark, std::function<void()> work, Completion* completion) {
    stream(on).begin(mark);
    push(stream(on).gpu(), std::move(work));
    stream(on).end(mark, completion);
  }

  FakeRuntime runtime;
  const std::unique_ptr<Gpu> gpu;
  std::vector<std::unique_ptr<CudaStream>> streams;
};

TEST(CudaStream, TellsWhenWorkHasEnded) {
  OneGpu one;
  CudaMark mark(*one.gpu);
  Told told;
  Gate gate;
  one.submit(0, mark, gate.work(), &told);
  pause();
  EXPECT_EQ(told.calls(), 0);
  gate.open();
  told.wait();
}

// x, then y from x, then z from both, on three streams and the first again, with the same marks in each step.
struct Chain {
  explicit Chain(OneGpu& on) : one(on), marks{CudaMark(*one.gpu), CudaMark(*one.gpu), CudaMark(*one.gpu)} {}

  void submit(
      Completion* completion, const std::function<void()>& before_x = [] {}) {
    one.stream(0).wait(marks[2]);
    one.submit(
        0, marks[0],
        [this, before_x] {
          before_x();
          x = 3 * z + 1;
        },
        nullptr);
    one.stream(1).wait(marks[0]);
    one.submit(
        1, marks[1], [this] { y = x + 2; }, nullptr);
    one.stream(2).wait(marks[1]);
    one.submit(
        2, marks[2], [this] { z = (x * y + 5) % 1000003; }, completion);
  }
  static long long expected(int steps) {
    long long last = 0;
    for (int i = 0; i < steps; ++i) last = ((3 * last + 1) * (3 * last + 3) + 5) % 1000003;
    return last;
  }

  OneGpu& one;
  CudaMark marks[3];
  long long x = 0, y = 0, z = 0;
};

TEST(CudaStream, MarksOrderStreams) {
  OneGpu one(3);
  Chain chain(one);
  Told told;
  for (int i = 0; i < 200; ++i) chain.submit(i == 199 ? &told : nullptr);
  told.wait();
  EXPECT_EQ(chain.z, Chain::expected(200));
}

// The test above finds a wait that is missing: here x comes after y.
TEST(CudaStream, ADroppedWaitChangesTheResult) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "a race on purpose";
#endif
  OneGpu one(3);
  Chain chain(one);
  Told told;
  Gate gate;
  one.runtime.drop_waits(1, 1);  // stream 1's for x
  chain.submit(&told, gate.work());
  told.wait();
  EXPECT_EQ(chain.y, 2);
  EXPECT_NE(chain.z, Chain::expected(1));
  gate.open();
  one.stream(0).gpu().synchronize();
}

// Run in a process of its own, whose exit status ThreadSanitizer makes 66 where it saw a race.
[[noreturn]] void run_chain(long first_dropped, long dropped) {
  {
    OneGpu one(3);
    Chain chain(one);
    Told told;
    one.runtime.drop_waits(first_dropped, dropped);
    for (int i = 0; i < 20; ++i) chain.submit(i == 19 ? &told : nullptr);
    told.wait();
  }
  std::exit(0);
}

TEST(CudaStreamDeathTest, ThreadSanitizerSeesDroppedWaits) {
#ifndef __SANITIZE_THREAD__
  GTEST_SKIP() << "needs ThreadSanitizer";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run_chain(0, 0), testing::ExitedWithCode(0), "");
  for (const long first : {31, 32, 33}) {  // y's for x, z's for y, x's for z
    EXPECT_EXIT(run_chain(first, 1), testing::ExitedWithCode(66), "data race");
  }
}

TEST(CudaStream, TellsErrorsOfTheWorkThatFailed) {
  OneGpu one;
  CudaMark marks[] = {CudaMark(*one.gpu), CudaMark(*one.gpu), CudaMark(*one.gpu)};
  Told told[3];
  one.runtime.fail_at(0, 1);
  const auto submit = [&](int i) {
    one.submit(
        0, marks[i], [] {}, &told[i]);
  };
  submit(0);
  submit(1);
  EXPECT_EQ(told[0].error(), "");
  EXPECT_EQ(told[1].error(), "CUDA: a kernel failed: told to by the test");
  submit(2);
  EXPECT_EQ(told[2].error(), "");
}

TEST(CudaStream, TellsOfALostGpuOnce) {
  OneGpu one;
  CudaMark marks[] = {CudaMark(*one.gpu), CudaMark(*one.gpu)};
  Told told[2];
  Gate gate;
  for (int i = 0; i < 2; ++i) one.submit(0, marks[i], gate.work(), &told[i]);
  one.runtime.lose(0);
  EXPECT_THROW(one.stream().begin(marks[0]), DeviceLost);
  EXPECT_THROW(one.stream().end(marks[0], &told[0]), DeviceLost);
  EXPECT_THROW(one.stream().wait(marks[0]), DeviceLost);
  gate.open();
  for (Told& each : told) EXPECT_THROW(each.wait(), DeviceLost);
  one.streams.clear();
  EXPECT_EQ(told[0].calls(), 1);
}

class Finder final : public Kernel {
 public:
  [[nodiscard]] std::string describe(const Fault& fault) const override {
    return "expected a row below 10, got " + std::to_string(fault.value);
  }
  [[nodiscard]] bool finds_faults() const override { return true; }
  void submit(const Arguments&) override {}
};

TEST(CudaStream, TellsFaultsOfWhatIsExpected) {
  OneGpu one;
  CudaMark marks[] = {CudaMark(*one.gpu), CudaMark(*one.gpu), CudaMark(*one.gpu)};
  Told told[3];
  const Finder kernel;
  const std::string labels[] = {"embedding a", "embedding b"};
  Fault faults[2];
  const auto expect = [&](int i) { one.stream().expect({&faults[i], &kernel, &labels[i]}); };
  expect(0);
  one.submit(
      0, marks[0], [] {}, &told[0]);
  expect(0);
  one.stream().end(marks[1], nullptr);  // tells nobody
  expect(1);
  one.submit(
      0, marks[1],
      [&] {
        faults[1] = {2, 17, 5};
      },
      &told[1]);
  one.submit(
      0, marks[2], [] {}, &told[2]);
  EXPECT_EQ(told[0].error(), "");
  EXPECT_EQ(told[1].error(), "[embedding b] expected a row below 10, got 17");
  EXPECT_EQ(told[2].error(), "");
}

TEST(CudaStream, IsDestroyedWhenAllHasEnded) {
  OneGpu one;
  CudaMark mark(*one.gpu);
  Told told;
  bool unwatched = false;
  one.submit(
      0, mark, [] { pause(); }, &told);
  push(one.stream().gpu(), [&] {
    pause();
    unwatched = true;
  });
  one.streams.clear();
  EXPECT_EQ(told.calls(), 1);
  EXPECT_TRUE(unwatched);
}

TEST(CudaStream, SleepsWhereTooMuchIsUnderWay) {
  constexpr int kCount = 3 * Watcher::kMostUnderWay;
  OneGpu one;
  std::deque<CudaMark> marks;
  for (int i = 0; i < kCount; ++i) marks.emplace_back(*one.gpu);
  std::vector<Told> told(kCount);
  Gate gate;
  std::atomic<int> submitted{0};
  std::thread submitter([&] {
    for (int i = 0; i < kCount; ++i, ++submitted) one.submit(0, marks[i], gate.work(), &told[i]);
  });
  pause();
  EXPECT_LT(submitted, static_cast<int>(Watcher::kMostUnderWay));
  EXPECT_EQ(told[0].calls(), 0);
  gate.open();
  submitter.join();
  for (Told& each : told) each.wait();
}

TEST(CudaStream, TakesNoMemoryOnceWarm) {
  OneGpu one(2);
  CudaMark first(*one.gpu);
  CudaMark second(*one.gpu);
  Told told;
  const Finder kernel;
  const std::string label = "embedding a";
  Fault fault;
  int from = 1;
  int to = 0;
  const auto step = [&] {
    one.stream(0).begin(first);
    one.stream(0).gpu().copy(&to, &from, sizeof to);
    one.stream(0).end(first, nullptr);
    one.stream(1).wait(first);
    one.stream(1).begin(second);
    one.stream(1).expect({&fault, &kernel, &label});
    one.stream(1).end(second, &told);
    told.wait();
  };
  step();
  const test::AllocationCounter counter;
  for (int i = 0; i < 1000; ++i) step();
  EXPECT_EQ(counter.count(), 0);
}

// By the works' own clock: b and e of each work, and what was told of it.
struct Timed {
  double b = 0;
  double e = 0;
  Told told;
};

void submit_timed(OneGpu& one, std::deque<CudaMark>& marks, std::deque<Timed>& timed) {
  Timed& work = timed.emplace_back();
  const auto last = [&work] {
    work.b = now_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    work.e = now_seconds();
  };
  one.submit(0, marks.emplace_back(*one.gpu), last, &work.told);
}

constexpr double kRounding = 1e-6;  // of seconds since the machine's start in a double

// Long enough for several anchors.
TEST(CudaStream, MeasuresWorkByTheHostsClock) {
  OneGpu one;
  std::deque<CudaMark> marks;
  std::deque<Timed> timed;
  for (int i = 0; i < 80; ++i) {
    if (i % 20 == 0) pause();
    submit_timed(one, marks, timed);
  }
  for (Timed& work : timed) work.told.wait();
  for (std::size_t i = 1; i + 1 < timed.size(); ++i) {
    const Told& told = timed[i].told;
    const double seconds = told.began_seconds_ago() - told.ended_seconds_ago();
    EXPECT_GE(seconds, timed[i].e - timed[i].b - kRounding);
    EXPECT_LE(seconds, timed[i + 1].b - timed[i - 1].e + kRounding);
    EXPECT_GE(told.ended_seconds_ago(), 0);
    EXPECT_GE(told.measured_at() - told.ended_seconds_ago(), timed[i].e - kRounding);  // not before it ended
  }
}

// Holds up whoever tells it, until it is let go.
class Holding final : public Completion {
 public:
  void done(std::exception_ptr) noexcept override {
    gate_.work()();
    released_at = now_seconds();
  }
  void measured(double, double) noexcept override { measured_at = now_seconds(); }
  void release() { gate_.open(); }
  double measured_at = 0;
  double released_at = 0;

 private:
  Gate gate_;
};

// Works that had all ended when the watcher came to them did not end just then.
TEST(CudaStream, MeasuresWorkThatEndedLongAgo) {
  OneGpu one;
  Holding held;
  CudaMark first(*one.gpu);
  double first_e = 0;
  std::deque<CudaMark> marks;
  std::deque<Timed> timed;
  one.submit(
      0, first, [&] { first_e = now_seconds(); }, &held);
  for (int i = 0; i < 10; ++i) submit_timed(one, marks, timed);
  one.stream().gpu().synchronize();
  pause();
  held.release();
  for (Timed& work : timed) work.told.wait();
  for (std::size_t i = 0; i + 1 < timed.size(); ++i) {
    // The first ended at measured_at at the latest, and this one so much later, by both works' clock.
    const double at_the_latest = held.measured_at + 1.001 * (timed[i + 1].b - first_e);
    EXPECT_GE(timed[i].told.ended_seconds_ago(), held.released_at - at_the_latest - kRounding);
    EXPECT_GE(timed[i].told.measured_at() - timed[i].told.ended_seconds_ago(), timed[i].e - kRounding);
  }
}

}  // namespace
}  // namespace skua::cuda
