// The fake itself: that it orders what CUDA orders, and nothing more.
#include "fake/fake_runtime.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

#include "gpu_work.h"
#include "skua/engine/device.h"

namespace skua::fake {
namespace {

using cuda::Event;
using cuda::Gpu;
using cuda::GpuStream;
using test::open_gpu;
using test::pause;
using test::push;

TEST(FakeRuntime, RunsAStreamInOrderBesideTheHost) {
  FakeRuntime runtime;
  const auto gpu = open_gpu(runtime);
  const auto stream = gpu->make_stream();
  std::atomic<bool> go{false};
  std::string order;
  push(*stream, [&] {
    while (!go) pause();
  });  // would hang if push ran it
  for (const char c : std::string("abc")) push(*stream, [&order, c] { order += c; });
  go = true;
  stream->synchronize();
  EXPECT_EQ(order, "abc");
}

TEST(FakeRuntime, EventsOrderStreams) {
  FakeRuntime runtime({.gpus = 2});
  const auto gpu = open_gpu(runtime);
  const auto other = open_gpu(runtime, 1);
  const auto from = gpu->make_stream();
  const auto to = other->make_stream();
  const auto event = gpu->make_event();
  int value = 0;
  int seen = -1;
  push(*from, [&] { pause(), value = 1; });
  from->record(*event);
  to->wait(*event);
  push(*to, [&] { seen = value; });
  to->synchronize();
  EXPECT_EQ(seen, 1);
}

// A wait is for the recording before it, also where the event is recorded again before the wait has ended.
TEST(FakeRuntime, WaitsForTheLastRecordingBeforeIt) {
  FakeRuntime runtime;
  const auto gpu = open_gpu(runtime);
  const auto from = gpu->make_stream();
  const auto to = gpu->make_stream();
  const auto event = gpu->make_event();
  std::atomic<int> value{0};
  std::atomic<bool> go{false};
  from->record(*event);
  to->wait(*event);
  push(*from, [&] {
    while (!go) pause();
    value = 1;
  });
  from->record(*event);
  int seen = -1;
  push(*to, [&] { seen = value; });
  to->synchronize();  // would hang if it waited for the second
  EXPECT_EQ(seen, 0);
  go = true;
  gpu->synchronize(*event);  // the second
  EXPECT_EQ(value, 1);
  to->wait(*gpu->make_event());  // was never recorded
  to->synchronize();
}

TEST(FakeRuntime, MeasuresBetweenEvents) {
  FakeRuntime runtime;
  const auto gpu = open_gpu(runtime);
  const auto stream = gpu->make_stream();
  const auto begin = gpu->make_event();
  const auto end = gpu->make_event();
  runtime.delay(0, 0.02);
  std::int32_t from = 7;
  std::int32_t to = 0;
  stream->record(*begin);
  stream->copy(&to, &from, sizeof to);
  stream->record(*end);
  gpu->synchronize(*end);
  EXPECT_EQ(to, 7);
  EXPECT_GE(gpu->seconds_between(*begin, *end), 0.02);
  EXPECT_EQ(gpu->seconds_between(*begin, *end), -gpu->seconds_between(*end, *begin));
  EXPECT_THROW((void)gpu->seconds_between(*begin, *gpu->make_event()), std::runtime_error);
}

TEST(FakeRuntime, CountsMemoryAndEndsIt) {
  FakeRuntime runtime({.gpus = 2, .memory_bytes = 1000});
  std::string warning;
  const auto parts = runtime.open(0, 2, warning);
  EXPECT_EQ(warning, "");
  EXPECT_EQ(parts.at(1)->info().memory_bytes, 500);
  EXPECT_EQ(parts.at(1)->info().multiprocessors, 64);
  void* const a = parts[0]->allocate(600);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 256, 0);
  EXPECT_EQ(runtime.live_bytes(0), 600);
  EXPECT_THROW((void)parts[1]->allocate(401), std::bad_alloc);
  void* const b = parts[1]->allocate(400);
  void* const host = parts[1]->allocate_host(5000);
  EXPECT_EQ(runtime.live_bytes(0), 1000);
  EXPECT_EQ(runtime.live_bytes(1), 0);
  EXPECT_EQ(runtime.live_host_bytes(), 5000);
  parts[0]->release(a);
  parts[1]->release(b);
  parts[0]->release_host(host);
  EXPECT_EQ(runtime.live_bytes(0) + runtime.live_host_bytes(), 0);
}

TEST(FakeRuntime, LosesGpusAndFailsWork) {
  FakeRuntime runtime({.gpus = 2});
  const auto gpu = open_gpu(runtime);
  const auto stream = gpu->make_stream();
  const auto event = gpu->make_event();
  std::atomic<int> done{0};
  runtime.fail_at(0, 1);
  for (int i = 0; i < 3; ++i) push(*stream, [&] { ++done; });
  stream->record(*event);
  EXPECT_THROW(gpu->synchronize(*event), std::runtime_error);
  EXPECT_EQ(done, 2);
  stream->record(*event);
  gpu->synchronize(*event);  // told once
  runtime.lose_at(0, 1);
  try {  // as soon as the second is due
    for (int i = 0; i < 3; ++i) push(*stream, [&] { ++done; });
    stream->record(*event);
    gpu->synchronize(*event);
    FAIL();
  } catch (const DeviceLost&) {
  }
  EXPECT_EQ(done, 3);
  EXPECT_THROW(push(*stream, [] {}), DeviceLost);
  EXPECT_THROW((void)gpu->allocate(1), DeviceLost);
  EXPECT_NE(open_gpu(runtime, 1)->make_stream(), nullptr);
}

struct Captured {
  explicit Captured(FakeRuntime& runtime)
      : gpu(open_gpu(runtime)),
        first(gpu->make_stream()),
        second(gpu->make_stream()),
        fork(gpu->make_event()),
        join(gpu->make_event()) {}

  // first: a, c; second, between: b.
  std::unique_ptr<cuda::GpuGraph> capture() {
    first->begin_capture();
    push(*first, [&] { pause(), order += 'a'; });
    first->record(*fork);
    second->wait(*fork);
    push(*second, [&] { pause(), order += 'b'; });
    second->record(*join);
    first->wait(*join);
    push(*first, [&] { order += 'c'; });
    return first->end_capture();
  }

  std::unique_ptr<Gpu> gpu;
  std::unique_ptr<GpuStream> first, second;
  std::unique_ptr<Event> fork, join;
  std::string order;
};

TEST(FakeRuntime, CapturesAndLaunches) {
  FakeRuntime runtime;
  Captured c(runtime);
  const auto graph = c.capture();
  c.first->synchronize();
  EXPECT_EQ(c.order, "");
  for (int i = 0; i < 3; ++i) graph->launch(*c.second);
  push(*c.second, [&] { c.order += 'd'; });
  c.second->synchronize();
  EXPECT_EQ(c.order, "abcabcabcd");
  EXPECT_THROW(c.gpu->synchronize(*c.join), std::runtime_error);  // was only captured
  EXPECT_THROW(c.second->wait(*c.join), std::runtime_error);
}

TEST(FakeRuntime, RefusesWrongCaptures) {
  FakeRuntime runtime;
  Captured c(runtime);
  c.first->record(*c.fork);
  c.first->begin_capture();
  EXPECT_THROW(c.first->wait(*c.fork), std::runtime_error);  // recorded before
  c.first->record(*c.fork);
  c.second->wait(*c.fork);
  push(*c.second, [] {});
  EXPECT_THROW((void)c.first->end_capture(), std::runtime_error);  // not joined
  EXPECT_NE(c.capture(), nullptr);
  FakeRuntime refuses({.refuse_capture = true});
  EXPECT_THROW(open_gpu(refuses)->make_stream()->begin_capture(), std::runtime_error);
}

TEST(FakeRuntime, CapturedWorkThatFailsIsToldBehindTheLaunch) {
  FakeRuntime runtime;
  Captured c(runtime);
  runtime.fail_at(0, 1);  // b
  const auto graph = c.capture();
  graph->launch(*c.first);
  EXPECT_THROW(c.first->synchronize(), std::runtime_error);
  EXPECT_EQ(c.order, "ac");
}

// b runs beside a, which is slow.
TEST(FakeRuntime, DroppedWaitsDoNotWait) {
  FakeRuntime runtime;
  Captured c(runtime);
  runtime.drop_waits(0, 1);
  std::atomic<bool> go{false};
  std::atomic<int> seen{-1};
  std::atomic<int> value{0};
  push(*c.first, [&] {
    while (!go) pause();
    value = 1;
  });
  c.first->record(*c.fork);
  c.second->wait(*c.fork);
  push(*c.second, [&] { seen = value.load(); });
  c.second->synchronize();
  EXPECT_EQ(seen, 0);
  go = true;
  c.first->synchronize();

  go = false;
  runtime.drop_waits(0, 1);
  c.first->begin_capture();
  push(*c.first, [&] {
    while (!go) pause();
  });
  c.first->record(*c.fork);
  c.second->wait(*c.fork);
  push(*c.second, [&] { go = true; });
  c.second->record(*c.join);
  c.first->wait(*c.join);
  c.first->end_capture()->launch(*c.first);  // would hang if the wait were not dropped
  c.first->synchronize();
}

TEST(FakeRuntime, PartsMayBeRefused) {
  FakeRuntime runtime({.refuse_parts = true});
  std::string warning;
  const auto parts = runtime.open(0, 4, warning);
  EXPECT_EQ(parts.size(), 4);
  EXPECT_NE(warning, "");
}

}  // namespace
}  // namespace skua::fake
