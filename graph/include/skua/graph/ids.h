// Strong integer ids. An id of one kind never converts to another or to a plain integer by accident.
// Value types; safe from any thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace skua {

template <class Tag>
struct Id {
  std::int32_t value = -1;

  Id() = default;
  constexpr explicit Id(std::int64_t v) : value(static_cast<std::int32_t>(v)) {}

  [[nodiscard]] constexpr bool valid() const { return value >= 0; }
  [[nodiscard]] constexpr std::size_t index() const { return static_cast<std::size_t>(value); }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using NodeId = Id<struct NodeTag>;
using ValueId = Id<struct ValueTag>;

}  // namespace skua

template <class Tag>
struct std::hash<skua::Id<Tag>> {
  std::size_t operator()(skua::Id<Tag> id) const noexcept { return std::hash<std::int32_t>{}(id.value); }
};
