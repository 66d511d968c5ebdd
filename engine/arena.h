// Storage of a session.
#pragma once

#include <cstddef>
#include <utility>

#include "skua/engine/device.h"

namespace skua {

// Memory of a device, or of the host as a device copies it best.
class Arena {
 public:
  Arena(Device& owner, bool on_host, std::size_t bytes)
      : owner_(owner), on_host_(on_host), data_(on_host ? owner.allocate_host(bytes) : owner.allocate(bytes)) {}
  Arena(Arena&& other) noexcept
      : owner_(other.owner_), on_host_(other.on_host_), data_(std::exchange(other.data_, nullptr)) {}
  Arena& operator=(Arena&&) = delete;
  ~Arena() {
    if (data_ == nullptr) return;
    on_host_ ? owner_.release_host(data_) : owner_.release(data_);
  }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  Device& owner_;
  bool on_host_;
  void* data_;
};

}  // namespace skua
