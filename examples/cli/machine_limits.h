// What the machine's CPU reaches at best: products of large matrices, and copies.
#pragma once

namespace skua::cli {

struct MachineLimits {
  double flops_per_second = 0;  // of matrix products, float32
  double bytes_per_second = 0;  // read and written by copies that no cache holds
};

// Of so many devices of one thread together, all at work; measured at the first call for a count.
[[nodiscard]] const MachineLimits& machine_limits(int devices);

}  // namespace skua::cli
