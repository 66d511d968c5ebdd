// The steps of an `element_wise` operator: element-wise operators of one shape, run one after another element by
// element, so that what is between them never lies in memory. Its attributes hold them readably: of step i `i`, its
// type, `i.from`, what it reads, and `i.NAME`, its own. Pure functions of plain values; safe from any thread.
#pragma once

#include <vector>

#include "skua/graph/op.h"

namespace skua {

inline constexpr std::size_t kMostElementSteps = 16;

struct ElementStep {
  Op op;
  // One value or two: 0, 1, ... are the operator's inputs, and after these come the results of its steps, of which the
  // last is the operator's.
  std::vector<std::int64_t> from;
};

[[nodiscard]] Op element_wise(const std::vector<ElementStep>& steps);
// Of such an operator. Throws std::invalid_argument where attributes are no steps'.
[[nodiscard]] std::vector<ElementStep> element_steps(const Op& op);

// By step, the buffer for its result, from 0: a few in turn, as a buffer is free again where its last reader writes.
[[nodiscard]] std::vector<std::size_t> step_buffers(const std::vector<ElementStep>& steps, std::size_t inputs);

}  // namespace skua
