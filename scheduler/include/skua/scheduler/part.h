// A part of a task that treats the elements of its arrays one by one. A plain value.
#pragma once

#include <algorithm>
#include <cstddef>

namespace skua {

struct Part {
  int index = 0;
  int count = 1;  // 1: it is the whole

  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
    [[nodiscard]] std::size_t size() const { return end - begin; }
  };
  // Its bytes of an array: whole cache lines, but for the array's last one; the parts of a task join without gaps.
  [[nodiscard]] Range of(std::size_t bytes) const {
    constexpr std::size_t kLine = 64;
    const std::size_t lines = (bytes + kLine - 1) / kLine;
    const auto border = [&](int part) {
      return std::min(bytes, lines * static_cast<std::size_t>(part) / static_cast<std::size_t>(count) * kLine);
    };
    return {border(index), border(index + 1)};
  }
  friend bool operator==(const Part&, const Part&) = default;
};

}  // namespace skua
