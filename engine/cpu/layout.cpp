#include "layout.h"

#include <algorithm>

namespace skua::cpu {

namespace {

using dnnl::memory;

static_assert(sizeof(float) == 4 && sizeof(std::int32_t) == 4, "stored_elements() counts elements of four bytes");

memory::data_type data_type(DType dtype) {
  return dtype == DType::kFloat32 ? memory::data_type::f32 : memory::data_type::s32;
}

std::int64_t elements(const MemoryDesc& desc) {
  std::int64_t product = 1;
  for (const std::int64_t extent : desc.dims()) product *= extent;
  return product;
}

bool is_row_major(const MemoryDesc& desc) {
  const dnnl_memory_desc_t& data = desc.data;
  if (data.format_kind != dnnl_blocked || data.format_desc.blocking.inner_nblks != 0 || data.offset0 != 0) return false;
  std::int64_t stride = 1;
  for (int i = data.ndims - 1; i >= 0; --i) {
    if (data.padded_dims[i] != data.dims[i]) return false;
    if (data.dims[i] != 1 && data.format_desc.blocking.strides[i] != stride) return false;
    stride *= data.dims[i];
  }
  return true;
}

MemoryDesc flat(std::int64_t elements, memory::data_type type) {
  return {{elements}, type, memory::format_tag::a};
}

}  // namespace

Layout::Layout(const ValueType& type) : desc_(flat(type.shape.elements(), data_type(type.dtype))), plain_(true) {}

Layout::Layout(const MemoryDesc& desc) : desc_(desc), plain_(is_row_major(desc)) {
  if (plain_) desc_ = flat(elements(desc), desc.data_type());
}

bool Layout::is_padded() const {
  return stored_elements() != elements(desc_);
}

MemoryDesc row_major(const MemoryDesc& desc) {
  memory::dims strides = desc.dims();
  std::int64_t stride = 1;
  for (std::size_t i = strides.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= desc.dims()[i];
  }
  return {desc.dims(), desc.data_type(), strides};
}

Layout ImageBlocks::layout_of(const Shape& image, DType dtype) const {
  return Layout(MemoryDesc(image.extents(), data_type(dtype), tag));
}

void ImageBlocks::clear_padding(const Shape& image, float* data) const {
  const std::int64_t used = image[1] % inner;  // of a sample's last block
  if (used == 0) return;
  const std::int64_t pixels = image[2] * image[3];
  const std::int64_t blocks = outer / image[0];
  for (std::int64_t n = 1; n <= image[0]; ++n) {
    float* const last = data + (n * blocks - 1) * pixels * inner;
    for (std::int64_t i = 0; i < pixels; ++i) std::fill(last + i * inner + used, last + (i + 1) * inner, 0.0F);
  }
}

ImageBlocks image_blocks(const Layout& layout, const ValueType& image) {
  const std::int64_t channels = image.shape[1];
  for (const auto& [tag, inner] : {std::pair{memory::format_tag::nChw16c, std::int64_t{16}},
                                   std::pair{memory::format_tag::nChw8c, std::int64_t{8}}}) {
    const ImageBlocks blocks{tag, image.shape[0] * ((channels + inner - 1) / inner), inner};
    if (!layout.is_plain() && blocks.layout_of(image.shape, image.dtype) == layout) return blocks;
  }
  return {memory::format_tag::nchw, image.shape[0] * channels, 1};
}

}  // namespace skua::cpu
