// Element-wise arithmetic as functors, shared by every device's kernels: plain float32, no state but constants, nothing
// that depends on neighbours or on order.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "skua/graph/op.h"

#ifdef __CUDACC__
#define SKUA_HOST_DEVICE __host__ __device__
#else
#define SKUA_HOST_DEVICE
#endif

namespace skua::elementwise {

// As in PyTorch, a NaN passes.
struct Relu {
  SKUA_HOST_DEVICE float operator()(float x) const { return x <= 0 ? 0.0F : x; }
};
struct ReluBackward {
  SKUA_HOST_DEVICE float operator()(float y, float dy) const { return y <= 0 ? 0.0F : dy; }
};

// 2^n; REQUIRES -126 <= n <= 127.
SKUA_HOST_DEVICE inline float power_of_two(std::int32_t n) {
  const std::uint32_t bits = (static_cast<std::uint32_t>(n) + 127U) << 23U;
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return power;
}

// e^x within two units in the last place, without branches or calls, so that loops over it vectorise; overflows to
// infinity, underflows to 0 and passes NaN. Reduction by ln 2 in two parts and polynomial: S. Moshier, Cephes
// Mathematical Library, expf.
SKUA_HOST_DEVICE inline float exponential(float x) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
  x = x > 89.0F ? 89.0F : x;
  x = x < -104.0F ? -104.0F : x;
  const float shifted = x * 1.44269504F + kRounder;
  const float n = shifted - kRounder;
  const float r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
  float series = 1.9875691500e-4F;
  series = series * r + 1.3981999507e-3F;
  series = series * r + 8.3334519073e-3F;
  series = series * r + 4.1665795894e-2F;
  series = series * r + 1.6666665459e-1F;
  series = series * r + 5.0000001201e-1F;
  series = series * (r * r) + r + 1.0F;
  std::int32_t exponent;
  std::memcpy(&exponent, &shifted, sizeof(exponent));
  exponent = (exponent & 0x7fffff) - 0x400000;
  const std::int32_t half = exponent >> 1;  // 2^n in two factors, as it may lie outside the normal range
  return series * power_of_two(half) * power_of_two(exponent - half);
}

struct Sigmoid {
  SKUA_HOST_DEVICE float operator()(float x) const { return 1.0F / (1.0F + exponential(-x)); }
};
struct SigmoidBackward {
  SKUA_HOST_DEVICE float operator()(float y, float dy) const { return dy * (y * (1.0F - y)); }
};

// An odd polynomial near 0, elsewhere by the exponential function: S. Moshier, Cephes Mathematical Library, tanhf.
struct Tanh {
  SKUA_HOST_DEVICE float operator()(float x) const {
    const float size = fabsf(x);
    const float square = x * x;
    float series = -5.70498872745e-3F;
    series = series * square + 2.06390887954e-2F;
    series = series * square - 5.37397155531e-2F;
    series = series * square + 1.33314422036e-1F;
    series = series * square - 3.33332819422e-1F;
    const float near = series * square * x + x;
    const float far = copysignf(1.0F - 2.0F / (exponential(size + size) + 1.0F), x);
    return size < 0.625F ? near : far;
  }
};
struct TanhBackward {
  SKUA_HOST_DEVICE float operator()(float y, float dy) const { return dy * (1.0F - y * y); }
};

struct Add {
  SKUA_HOST_DEVICE float operator()(float a, float b) const { return a + b; }
};

// v <- momentum v + g; p <- p - learning_rate v; without momentum the gradient is the velocity.
struct Sgd {
  float learning_rate;
  float momentum;

  SKUA_HOST_DEVICE void operator()(float& p, float g) const { p -= learning_rate * g; }
  SKUA_HOST_DEVICE void operator()(float& p, float g, float& v) const {
    v = momentum * v + g;
    p -= learning_rate * v;
  }
};

// Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, in PyTorch's form. An element whose gradients
// were all 0 stays, also where epsilon is 0.
struct Adam {
  float beta1;
  float beta2;
  float one_minus_beta1;
  float one_minus_beta2;
  float epsilon;
  float step_size;                // learning rate / (1 - beta1^t)
  float inverse_root_correction;  // 1 / sqrt(1 - beta2^t)

  // `step` counts from 0.
  static Adam at(const Attributes& attributes, std::int64_t step, float learning_rate) {
    const double beta1 = attributes.real("beta1");
    const double beta2 = attributes.real("beta2");
    const auto t = static_cast<double>(step + 1);
    return {static_cast<float>(beta1),
            static_cast<float>(beta2),
            static_cast<float>(1 - beta1),
            static_cast<float>(1 - beta2),
            static_cast<float>(attributes.real("epsilon")),
            static_cast<float>(static_cast<double>(learning_rate) / (1 - std::pow(beta1, t))),
            static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, t)))};
  }

  SKUA_HOST_DEVICE void operator()(float& p, float g, float& m, float& v) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * (g * g);
    const float denominator = sqrtf(v) * inverse_root_correction + epsilon;
    p -= denominator == 0 ? 0.0F : step_size * (m / denominator);
  }
};

}  // namespace skua::elementwise
