#include "cuda_stream.h"

#include <utility>

namespace skua::cuda {

CudaStream::CudaStream(Gpu& gpu) : owner_(gpu), stream_(gpu.make_stream()), fork_mark_(gpu), watcher_(gpu, *stream_) {}

CudaStream::~CudaStream() {
  try {
    stream_->synchronize();
  } catch (...) {  // has been told to whom it concerned
  }
}

void CudaStream::begin(Mark& mark) {
  stream_->record(*static_cast<CudaMark&>(mark).began);
}

void CudaStream::end(Mark& mark, Completion* completion) {
  auto& ended = static_cast<CudaMark&>(mark);
  stream_->record(*ended.ended);
  if (completion == nullptr) return;
  watcher_.watch(ended, *completion, checks_, {});
  checks_.clear();
}

void CudaStream::end_replay(Mark& mark, Completion& completion, std::span<const Check> checks) {
  auto& ended = static_cast<CudaMark&>(mark);
  stream_->record(*ended.ended);
  watcher_.watch(ended, completion, {}, checks);
}

void CudaStream::wait(const Mark& mark) {
  stream_->wait(*static_cast<const CudaMark&>(mark).ended);
}

std::vector<Check> CudaStream::take_checks() {
  return std::exchange(checks_, {});
}

}  // namespace skua::cuda
