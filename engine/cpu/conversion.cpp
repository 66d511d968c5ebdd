#include "conversion.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace skua::cpu {

std::size_t aligned(std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

Conversion::Conversion(const Layout& from, const Layout& to) : bytes_(from.bytes()) {
  if (from.is_plain() && to.is_plain()) return;
  if (from.is_plain()) {
    steps_.push_back(reorder(row_major(to.desc()), to.desc()));
  } else if (to.is_plain()) {
    steps_.push_back(reorder(from.desc(), row_major(from.desc())));
  } else if (from.desc().dims() == to.desc().dims()) {
    steps_.push_back(reorder(from.desc(), to.desc()));
  } else {
    middle_bytes_ = row_major(from.desc()).get_size();
    steps_.push_back(reorder(from.desc(), row_major(from.desc())));
    steps_.push_back(reorder(row_major(to.desc()), to.desc()));
  }
}

std::size_t Conversion::scratch_bytes() const {
  std::size_t most = 0;
  for (const Execution& step : steps_) most = std::max(most, step.scratch_bytes());
  return aligned(middle_bytes_) + aligned(most);
}

void Conversion::run(const void* from, void* to, void* scratch) {
  if (steps_.empty()) {
    if (to != from) std::memcpy(to, from, bytes_);
    return;
  }
  void* source = const_cast<void*>(from);  // oneDNN's memories are not const; a reorder only reads its source
  void* const step_scratch = static_cast<std::byte*>(scratch) + aligned(middle_bytes_);
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    void* const target = i + 1 == steps_.size() ? to : scratch;
    steps_[i].run(std::array{source, target}, step_scratch);
    source = target;
  }
}

}  // namespace skua::cpu
