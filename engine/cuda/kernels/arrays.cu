// Moving elements between arrays; all elements have four bytes.
#include <limits>

#include "axes.h"
#include "kernels.h"
#include "launch.h"

namespace skua::cuda {

namespace {

using Element = std::uint32_t;  // of a float or an int
static_assert(sizeof(Element) == sizeof(float) && sizeof(Element) == sizeof(std::int32_t));

// One array that lies in pieces along an axis in several others.
class Pieces {
 public:
  Pieces(const Shape& whole, std::size_t axis, const std::vector<std::int64_t>& extents) {
    std::int64_t inner = 1;
    for (std::size_t i = axis + 1; i < whole.rank(); ++i) inner *= whole[i];
    for (std::size_t i = 0; i < axis; ++i) outer_ *= whole[i];
    row_ = whole[axis] * inner;
    for (const std::int64_t extent : extents) widths_.push_back(extent * inner);
  }

  void split(GpuStream& stream, const Element* whole, std::span<void* const> parts) const {
    const std::int64_t row = row_;
    std::int64_t offset = 0;
    for (std::size_t k = 0; k < widths_.size(); ++k) {
      const std::int64_t width = widths_[k];
      auto* const part = static_cast<Element*>(parts[k]);
      for_each(stream, outer_ * width,
               [=] SKUA_DEVICE(std::int64_t i) { part[i] = whole[i / width * row + offset + i % width]; });
      offset += width;
    }
  }

  void concatenate(GpuStream& stream, std::span<void* const> parts, Element* whole) const {
    const std::int64_t row = row_;
    std::int64_t offset = 0;
    for (std::size_t k = 0; k < widths_.size(); ++k) {
      const std::int64_t width = widths_[k];
      const auto* const part = static_cast<const Element*>(parts[k]);
      for_each(stream, outer_ * width,
               [=] SKUA_DEVICE(std::int64_t i) { whole[i / width * row + offset + i % width] = part[i]; });
      offset += width;
    }
  }

 private:
  std::int64_t outer_ = 1;
  std::int64_t row_ = 1;
  std::vector<std::int64_t> widths_;
};

class Split final : public Kernel {
 public:
  explicit Split(Pieces pieces) : pieces_(std::move(pieces)) {}
  void submit(const Arguments& arguments) override {
    pieces_.split(arguments.stream, static_cast<const Element*>(arguments.inputs[0]), arguments.outputs);
  }

 private:
  Pieces pieces_;
};

class Concatenate final : public Kernel {
 public:
  explicit Concatenate(Pieces pieces) : pieces_(std::move(pieces)) {}
  void submit(const Arguments& arguments) override {
    pieces_.concatenate(arguments.stream, arguments.inputs, static_cast<Element*>(arguments.outputs[0]));
  }

 private:
  Pieces pieces_;
};

// y[i] = x[the place that the axes say].
class Transpose final : public Kernel {
 public:
  Transpose(const Axes& axes, std::int64_t count) : axes_(axes), count_(count) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const Axes axes = axes_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = x[axes.offset(i)]; });
  }

 private:
  Axes axes_;  // of y, with the strides of x
  std::int64_t count_;
};

class Broadcast final : public Kernel {
 public:
  Broadcast(const Axes& axes, float scale, std::int64_t count) : axes_(axes), scale_(scale), count_(count) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const Axes axes = axes_;
    const float scale = scale_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = scale * x[axes.offset(i)]; });
  }

 private:
  Axes axes_;  // of y, with the strides of x
  float scale_;
  std::int64_t count_;
};

class Reshape final : public Kernel {
 public:
  explicit Reshape(std::size_t bytes) : bytes_(bytes) {}
  void submit(const Arguments& arguments) override {
    arguments.stream.copy(arguments.outputs[0], arguments.inputs[0], bytes_);
  }

 private:
  std::size_t bytes_;
};

class Fill final : public Kernel {
 public:
  Fill(float value, std::int64_t count) : value_(value), count_(count) {}
  void submit(const Arguments& arguments) override {
    float* const y = arguments.out(0);
    const float value = value_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = value; });
  }

 private:
  float value_;
  std::int64_t count_;
};

class NotEqual final : public Kernel {
 public:
  NotEqual(std::int64_t value, std::int64_t count) : value_(value), count_(count) {}
  void submit(const Arguments& arguments) override {
    const std::int32_t* const ids = arguments.in_ints(0);
    float* const y = arguments.out(0);
    const std::int64_t value = value_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = ids[i] != value ? 1.0F : 0.0F; });
  }

 private:
  std::int64_t value_;
  std::int64_t count_;
};

class CausalMask final : public Kernel {
 public:
  explicit CausalMask(const Shape& x) : count_(x.elements()), steps_(x[1]) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const std::int64_t steps = steps_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) {
      constexpr float kLeast = std::numeric_limits<float>::lowest();
      y[i] = i % steps <= i / steps % steps ? x[i] : kLeast;
    });
  }

 private:
  std::int64_t count_;
  std::int64_t steps_;
};

}  // namespace

KernelPointer make_split(const NodeView& node) {
  return std::make_unique<Split>(Pieces(node.inputs[0].shape,
                                        static_cast<std::size_t>(node.op.attributes.integer("axis")),
                                        node.op.attributes.integers("sizes")));
}

KernelPointer make_concatenate(const NodeView& node) {
  const auto axis = static_cast<std::size_t>(node.op.attributes.integer("axis"));
  std::vector<std::int64_t> extents;
  for (const ValueType& type : node.inputs) extents.push_back(type.shape[axis]);
  return std::make_unique<Concatenate>(Pieces(node.outputs[0].shape, axis, extents));
}

KernelPointer make_transpose(const NodeView& node) {
  const Shape& x = node.inputs[0].shape;
  std::vector<std::int64_t> strides(x.rank(), 1);
  for (std::size_t i = x.rank(); i-- > 1;) strides[i - 1] = strides[i] * x[i];
  const auto& permutation = node.op.attributes.integers("permutation");
  Axes axes;
  for (std::size_t i = permutation.size(); i-- > 0;) {
    const auto axis = static_cast<std::size_t>(permutation[i]);
    axes.push_outer(x[axis], strides[axis]);
  }
  return std::make_unique<Transpose>(axes, x.elements());
}

KernelPointer make_broadcast(const NodeView& node) {
  const Shape& y = node.outputs[0].shape;
  const auto& repeated = node.op.attributes.integers("axes");
  Axes axes;
  std::int64_t stride = 1;
  for (std::size_t i = y.rank(); i-- > 0;) {
    const bool kept = !is_among(i, repeated);
    axes.push_outer(y[i], kept ? stride : 0);
    if (kept) stride *= y[i];
  }
  return std::make_unique<Broadcast>(axes, static_cast<float>(node.op.attributes.real("scale")), y.elements());
}

KernelPointer make_reshape(const NodeView& node) {
  return std::make_unique<Reshape>(node.inputs[0].bytes());
}

KernelPointer make_fill(const NodeView& node) {
  return std::make_unique<Fill>(static_cast<float>(node.op.attributes.real("value")), node.outputs[0].shape.elements());
}

KernelPointer make_not_equal(const NodeView& node) {
  return std::make_unique<NotEqual>(node.op.attributes.integer("value"), node.inputs[0].shape.elements());
}

KernelPointer make_causal_mask(const NodeView& node) {
  return std::make_unique<CausalMask>(node.inputs[0].shape);
}

}  // namespace skua::cuda
