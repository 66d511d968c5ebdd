// SHA-256 (FIPS 180-4) of a sequence of bytes, for fingerprints of graphs and weights.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace skua {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  [[nodiscard]] std::string hex();  // ends the sequence; call once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skua
