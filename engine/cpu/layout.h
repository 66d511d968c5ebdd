// How an instance of a value lies in a CPU device's memory: plain (row-major), or in blocks that suit the kernels,
// whose padding then holds zeros. Plain values; safe from any thread.
#pragma once

#include <optional>

#include "onednn.h"
#include "skua/graph/shape.h"

namespace skua::cpu {

class Layout {
 public:
  explicit Layout(const ValueType& type);   // plain
  explicit Layout(const MemoryDesc& desc);  // its dimensions may split those of the value, as with grouped weights

  [[nodiscard]] bool is_plain() const { return plain_; }
  [[nodiscard]] std::size_t bytes() const { return desc_.get_size(); }
  [[nodiscard]] std::int64_t stored_elements() const { return static_cast<std::int64_t>(bytes() / 4); }
  [[nodiscard]] bool is_padded() const;
  // One-dimensional where the layout is plain.
  [[nodiscard]] const MemoryDesc& desc() const { return desc_; }

  friend bool operator==(const Layout& a, const Layout& b) { return a.desc_ == b.desc_; }

 private:
  MemoryDesc desc_;
  bool plain_;
};

// The same dimensions and type, row-major.
[[nodiscard]] MemoryDesc row_major(const MemoryDesc& desc);

// Layouts of an image (N,C,H,W) that are arrays [outer][H][W][inner]: plain (inner 1), and channels in blocks of 8 or
// 16.
struct ImageBlocks {
  dnnl::memory::format_tag tag = dnnl::memory::format_tag::nchw;
  std::int64_t outer = 0;
  std::int64_t inner = 1;  // 1, 8 or 16

  [[nodiscard]] Layout layout_of(const Shape& image, DType dtype) const;
  // Writes the zeros that `data` holds beside the image's channels.
  void clear_padding(const Shape& image, float* data) const;
};
// Plain where `layout` is no such array; a kernel then reads a plain copy.
[[nodiscard]] ImageBlocks image_blocks(const Layout& layout, const ValueType& image);

}  // namespace skua::cpu
