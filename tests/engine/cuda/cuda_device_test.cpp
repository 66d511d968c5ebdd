#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <new>
#include <thread>
#include <vector>

#include "engine/allocations.h"
#include "engine/cuda/cuda_stream.h"
#include "engine/cuda/device.h"
#include "gpu_work.h"

namespace skua::cuda {
namespace {

using fake::FakeOptions;
using fake::FakeRuntime;
using test::Gate;
using test::pause;
using test::push;
using test::Told;

struct Machine {
  explicit Machine(const std::string& spec, FakeOptions options = {.gpus = 2})
      : runtime(std::move(options)), set(open_devices(runtime, spec, warning)) {}
  Device& device(int i = 0) { return *set.devices.at(i); }

  FakeRuntime runtime;
  std::string warning;
  DeviceSet set;
};

TEST(CudaDevice, CopiesBetweenMemories) {
  Machine machine("cuda");
  constexpr std::size_t kBytes = 1 << 16;
  // Several threads at a time, each there and back by way of the other GPU.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Device& near = machine.device(t % 2);
      Device& far = machine.device(1 - t % 2);
      const std::vector<char> from(kBytes, static_cast<char>('a' + t));
      std::vector<char> to(kBytes);
      void* const a = near.allocate(kBytes);
      void* const b = far.allocate(kBytes);
      Told told;
      near.copy(a, from.data(), kBytes, nullptr, told);
      told.wait();
      near.copy(b, a, kBytes, nullptr, told);
      told.wait();
      far.copy(to.data(), b, kBytes, nullptr, told);
      told.wait();
      EXPECT_EQ(from, to);
      near.release(a);
      far.release(b);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(machine.runtime.live_bytes(0) + machine.runtime.live_bytes(1), 0);
}

TEST(CudaDevice, CopiesOnStreamsAreToldWhenSubmitted) {
  Machine machine("cuda:0");
  const auto stream = machine.device().make_stream();
  const auto mark = machine.device().make_mark();
  int from = 5;
  int to = 0;
  Gate gate;
  Told submitted;
  Told ended;
  push(static_cast<CudaStream&>(*stream).gpu(), gate.work());
  push(static_cast<CudaStream&>(*stream).gpu(), [&] { from = 6; });
  stream->begin(*mark);
  machine.device().copy(&to, &from, sizeof to, stream.get(), submitted);
  stream->end(*mark, &ended);
  submitted.wait();
  EXPECT_EQ(ended.calls(), 0);
  gate.open();
  ended.wait();
  EXPECT_EQ(to, 6);
}

TEST(CudaDevice, CopiesThatFailAreTold) {
  Machine machine("cuda:0");
  const auto stream = machine.device().make_stream();
  int from = 5;
  int to = 0;
  Told told;
  machine.runtime.fail_at(0, 0);
  machine.device().copy(&to, &from, sizeof to, nullptr, told);
  EXPECT_EQ(told.error(), "CUDA: a kernel failed: told to by the test");
  machine.runtime.lose(0);
  for (Stream* const on : {stream.get(), static_cast<Stream*>(nullptr)}) {
    machine.device().copy(&to, &from, sizeof to, on, told);
    EXPECT_THROW(told.wait(), DeviceLost);
  }
  EXPECT_THROW((void)machine.device().allocate(1), DeviceLost);
  EXPECT_THROW((void)machine.device().make_mark(), DeviceLost);
}

TEST(CudaDevice, PartsTakeNoMoreThanTheirShareOfTheMemory) {
  Machine machine("cuda:0/4", {.memory_bytes = 4096});
  EXPECT_EQ(machine.device(3).memory_bytes(), 1024);
  void* const a = machine.device(3).allocate(1000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 64, 0);
  EXPECT_THROW((void)machine.device(3).allocate(25), std::bad_alloc);
  EXPECT_THROW((void)machine.device(3).allocate(SIZE_MAX), std::bad_alloc);
  void* const b = machine.device(3).allocate(24);
  void* const c = machine.device(2).allocate(1024);
  void* const nothing = machine.device(2).allocate(0);
  machine.device(3).release(a);
  void* const again = machine.device(3).allocate(1000);
  EXPECT_EQ(machine.runtime.live_bytes(0), 2048 + 1);
  for (void* data : {again, b}) machine.device(3).release(data);
  for (void* data : {c, nothing}) machine.device(2).release(data);
  EXPECT_EQ(machine.runtime.live_bytes(0), 0);

  void* const host = machine.device(1).allocate_host(5000);  // is not of its memory
  EXPECT_EQ(machine.runtime.live_host_bytes(), 5000);
  machine.device(1).release_host(host);
  EXPECT_EQ(machine.runtime.live_host_bytes(), 0);
}

class NoLibraries final : public Libraries {
 public:
  [[nodiscard]] std::unique_ptr<Prepared> product(const ProductSpec&) override { return nullptr; }
  [[nodiscard]] std::unique_ptr<Prepared> convolution(ConvolutionPass, const Window2d&) override { return nullptr; }
};

TEST(CudaDevice, CompilesForItsGpu) {
  Machine machine("cuda:1", {.gpus = 2, .make_libraries = [](Precision) { return std::make_unique<NoLibraries>(); }});
  const auto program = machine.device().compile(Graph());
  EXPECT_EQ(program->scratch_bytes(), 1);
  EXPECT_EQ(machine.device().window(), 16);
}

// A step on three streams of two devices: a, then b and c beside each other, then d. What it does to `values` depends
// on the order of all but b and c. Two more tasks, which nothing comes before and nothing comes after.
class Step {
 public:
  explicit Step(DeviceSet& set) {
    for (const int device : {0, 1, 1}) {
      streams_.push_back(set.devices.at(device)->make_stream());
      on_.push_back(device);
    }
    for (const int stream : kStreams) marks_.push_back(set.devices.at(on_[stream])->make_mark());
  }
  [[nodiscard]] std::vector<Stream*> streams() {
    std::vector<Stream*> all;
    for (const auto& stream : streams_) all.push_back(stream.get());
    return all;
  }
  void submit() {
    task(4, {}, [this] { values[4] = 3 * values[4] + 1; });
    task(0, {}, [this] { values[0] = 3 * values[3] + 1; });
    task(1, {0}, [this] { values[1] = values[0] ^ (values[0] >> 3); });
    task(2, {0}, [this] { values[2] = values[0] * values[2] + 7; });
    task(3, {1, 2}, [this] { values[3] = values[1] * 5 + values[2]; });
    task(5, {}, [this] { values[5] = 5 * values[5] + 2; });
  }
  void synchronize() {
    for (int i = 0; i < 3; ++i) gpu(i).synchronize();
  }
  [[nodiscard]] cuda::GpuStream& gpu(int stream) { return static_cast<CudaStream&>(*streams_[stream]).gpu(); }

  std::array<std::uint64_t, 6> values{1, 2, 3, 4, 5, 6};

 private:
  static constexpr std::array<int, 6> kStreams{0, 1, 2, 0, 1, 2};  // by task

  void task(int id, const std::vector<int>& after, std::function<void()> work) {
    Stream& stream = *streams_[kStreams[id]];
    for (const int before : after) stream.wait(*marks_[before]);
    stream.begin(*marks_[id]);
    push(gpu(kStreams[id]), std::move(work));
    stream.end(*marks_[id], nullptr);
  }

  std::vector<int> on_;  // by stream, its device
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Mark>> marks_;  // by task
};

class CudaRecording : public testing::TestWithParam<const char*> {};

TEST_P(CudaRecording, ReplaysWhatWasSubmitted) {
  Machine machine(GetParam());
  Step direct(machine.set);
  Step recorded(machine.set);
  Told told;
  const auto recording = machine.device().record(recorded.streams(), [&] { recorded.submit(); });
  ASSERT_NE(recording, nullptr);
  EXPECT_EQ(recorded.values, (std::array<std::uint64_t, 6>{1, 2, 3, 4, 5, 6}));  // only recorded
  for (int i = 0; i < 20; ++i) {
    direct.submit();
    direct.synchronize();
    recording->replay(told);
    told.wait();
    EXPECT_EQ(direct.values, recorded.values) << i;
    EXPECT_GE(told.began_seconds_ago(), told.ended_seconds_ago());
  }
  // The streams can be submitted to as before.
  recording->replay(told);
  told.wait();
  recorded.submit();
  recorded.synchronize();
  for (int i = 0; i < 2; ++i) {
    direct.submit();
    direct.synchronize();
  }
  EXPECT_EQ(direct.values, recorded.values);
}

INSTANTIATE_TEST_SUITE_P(Devices, CudaRecording, testing::Values("cuda:0,1", "cuda:0/2"),
                         [](const auto& tested) { return tested.index == 0 ? "GPUs" : "Parts"; });

TEST(CudaRecordings, AReplayTakesNoMemory) {
  Machine machine("cuda:0,1");
  Step step(machine.set);
  Told told;
  const auto recording = machine.device().record(step.streams(), [&] { step.submit(); });
  const auto replay = [&] {
    recording->replay(told);
    told.wait();
  };
  replay();
  const test::AllocationCounter counter;
  for (int i = 0; i < 200; ++i) replay();
  EXPECT_EQ(counter.count(), 0);
}

TEST(CudaRecordings, AreNullWhereTheRuntimeRefuses) {
  Machine machine("cuda", {.gpus = 2, .refuse_capture = true});
  Step step(machine.set);
  EXPECT_EQ(machine.device().record(step.streams(), [] { FAIL(); }), nullptr);
  machine.runtime.lose(0);
  EXPECT_THROW((void)machine.device().record(step.streams(), [] { FAIL(); }), DeviceLost);
}

// What is wrong while recording is thrown, and leaves the streams as they were.
TEST(CudaRecordings, ThrowWhatSubmittingThrows) {
  Machine machine("cuda");
  Step step(machine.set);
  Step other(machine.set);
  const auto record = [&](const std::function<void()>& submit) {
    return machine.device().record(step.streams(), submit);
  };
  EXPECT_THROW((void)record([&] {
                 step.submit();
                 throw std::invalid_argument("[test] expected");
               }),
               std::invalid_argument);
  EXPECT_THROW((void)record([&] { (void)step.gpu(0).synchronize(); }), std::runtime_error);
  EXPECT_THROW((void)record([&] {
                 push(step.gpu(0), [] {});
                 (void)step.gpu(0).end_capture();  // behind the recording's back
               }),
               std::runtime_error);
  for (Step* const each : {&step, &other}) {
    each->submit();
    each->synchronize();
  }
  EXPECT_EQ(step.values, other.values);
}

class Finder final : public Kernel {
 public:
  [[nodiscard]] std::string describe(const Fault&) const override { return "expected less"; }
  void submit(const Arguments&) override {}
};

TEST(CudaRecordings, TellErrorsAndFaultsOfEachReplay) {
  Machine machine("cuda");
  Step step(machine.set);
  const Finder kernel;
  const std::string label = "embedding a";
  Fault fault;
  Told told;
  const auto recording = machine.device().record(step.streams(), [&] {
    static_cast<CudaStream&>(*step.streams()[2]).expect({&fault, &kernel, &label});
    step.submit();
  });
  recording->replay(told);
  EXPECT_EQ(told.error(), "");
  fault.count = 1;
  recording->replay(told);
  EXPECT_EQ(told.error(), "[embedding a] expected less");
  fault.count = 0;
  recording->replay(told);
  EXPECT_EQ(told.error(), "");

  machine.runtime.fail_at(1, 0);
  const auto fails = machine.device().record(step.streams(), [&] { step.submit(); });
  fails->replay(told);
  EXPECT_EQ(told.error(), "CUDA: a kernel failed: told to by the test");
  machine.runtime.lose(0);
  EXPECT_THROW(recording->replay(told), DeviceLost);
}

}  // namespace
}  // namespace skua::cuda
