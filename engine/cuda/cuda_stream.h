// A lane's stream on a GPU. One thread at a time; completions are told from the stream's watcher.
#pragma once

#include <memory>
#include <vector>

#include "kernel.h"
#include "watcher.h"

namespace skua::cuda {

class CudaStream final : public Stream {
 public:
  explicit CudaStream(Gpu& gpu);  // which must outlive it
  ~CudaStream() override;         // when all has ended, and is told
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  void begin(Mark& mark) override;
  // Throws what the GPU throws: then nobody is told. REQUIRES: with a completion, begin before it, outside of captures.
  void end(Mark& mark, Completion* completion) override;
  void wait(const Mark& mark) override;

  [[nodiscard]] GpuStream& gpu() { return *stream_; }
  [[nodiscard]] const Gpu& owner() const { return owner_; }
  [[nodiscard]] CudaMark& fork_mark() { return fork_mark_; }  // for who has other streams wait for this one now
  // Belongs to what the next end() with a completion ends.
  void expect(const Check& check) { checks_.push_back(check); }
  // What was expected since; nothing from now on.
  [[nodiscard]] std::vector<Check> take_checks();
  // As end(), for captured work with these checks, which must outlive it.
  void end_replay(Mark& mark, Completion& completion, std::span<const Check> checks);

 private:
  const Gpu& owner_;
  const std::unique_ptr<GpuStream> stream_;
  CudaMark fork_mark_;
  std::vector<Check> checks_;
  Watcher watcher_;
};

}  // namespace skua::cuda
