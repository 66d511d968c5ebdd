// Element-wise arithmetic as functors, shared by every device's kernels: plain float32, no state but constants, nothing
// that depends on neighbours or on order.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>

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

struct Multiply {
  SKUA_HOST_DEVICE float operator()(float a, float b) const { return a * b; }
};

// Activations by their result y, but GELU, by x.
struct LeakyRelu {
  float alpha;
  SKUA_HOST_DEVICE float operator()(float x) const { return x <= 0 ? alpha * x : x; }
};
struct LeakyReluBackward {
  float alpha;
  SKUA_HOST_DEVICE float operator()(float y, float dy) const { return y <= 0 ? alpha * dy : dy; }
};

struct Elu {
  float alpha;
  SKUA_HOST_DEVICE float operator()(float x) const { return x <= 0 ? alpha * expm1f(x) : x; }
};
struct EluBackward {
  float alpha;
  SKUA_HOST_DEVICE float operator()(float y, float dy) const { return y <= 0 ? dy * (y + alpha) : dy; }
};

struct Softplus {
  SKUA_HOST_DEVICE float operator()(float x) const { return (x > 0 ? x : 0.0F) + log1pf(exponential(-fabsf(x))); }
};
struct SoftplusBackward {
  SKUA_HOST_DEVICE float operator()(float y, float dy) const { return -dy * expm1f(-y); }
};

// visit(the function, its backward) of an activation by its result.
template <class Visit>
auto visit_activation(const Op& op, Visit visit) {
  const float alpha = op.attributes.has("alpha") ? static_cast<float>(op.attributes.real("alpha")) : 0.0F;
  if (op.type == "relu") return visit(Relu(), ReluBackward());
  if (op.type == "sigmoid") return visit(Sigmoid(), SigmoidBackward());
  if (op.type == "tanh") return visit(Tanh(), TanhBackward());
  if (op.type == "leaky_relu") return visit(LeakyRelu{alpha}, LeakyReluBackward{alpha});
  if (op.type == "elu") return visit(Elu{alpha}, EluBackward{alpha});
  if (op.type == "softplus") return visit(Softplus(), SoftplusBackward());
  throw std::invalid_argument("expected an activation that a kernel can carry, got '" + op.type + "'");
}

// Hendrycks and Gimpel, "Gaussian error linear units", 2016.
struct Gelu {
  SKUA_HOST_DEVICE float operator()(float x) const { return 0.5F * x * erfcf(-x * 0.70710678F); }
};
struct GeluBackward {
  SKUA_HOST_DEVICE float operator()(float x, float dy) const {
    const float density = 0.39894228F * exponential(-0.5F * x * x);
    return dy * (0.5F * erfcf(-x * 0.70710678F) + x * density);
  }
};

struct Clip {
  float limit;
  SKUA_HOST_DEVICE float operator()(float x) const {
    const float low = x < -limit ? -limit : x;
    return low > limit ? limit : low;
  }
};

// What is left of a row's softmax: log Σ e^(x - largest), and the largest element.
struct LogSum {
  double log_sum;
  double largest;
  [[nodiscard]] SKUA_HOST_DEVICE double minus_log_of(float x) const {
    return log_sum - (static_cast<double>(x) - largest);
  }
};

// Two standard normal numbers by Box and Muller's transform of two draws (docs/operators.md).
struct NormalPair {
  double cosine;
  double sine;

  SKUA_HOST_DEVICE static NormalPair of(std::uint32_t a, std::uint32_t b) {
    const double radius = sqrt(-2 * log((static_cast<double>(a) + 1) * 0x1p-32));
    const double angle = 2 * 3.14159265358979323846 * static_cast<double>(b) * 0x1p-32;
    return {radius * cos(angle), radius * sin(angle)};
  }
};

// Losses of a prediction p and a target t, in double, and their derivatives by p.
struct SquaredError {
  SKUA_HOST_DEVICE double loss(double p, double t) const { return (p - t) * (p - t); }
  SKUA_HOST_DEVICE float derivative(float p, float t) const { return 2 * (p - t); }
};
struct AbsoluteError {
  SKUA_HOST_DEVICE double loss(double p, double t) const { return fabs(p - t); }
  SKUA_HOST_DEVICE float derivative(float p, float t) const {
    const float above = p > t ? 1.0F : 0.0F;
    return p < t ? -1.0F : above;
  }
};
struct Huber {
  double delta;
  SKUA_HOST_DEVICE double loss(double p, double t) const {
    const double size = fabs(p - t);
    return size <= delta ? size * size / 2 : delta * (size - delta / 2);
  }
  SKUA_HOST_DEVICE float derivative(float p, float t) const {
    const auto limit = static_cast<float>(delta);
    const float low = p - t < -limit ? -limit : p - t;
    return low > limit ? limit : low;
  }
};
struct BinaryCrossEntropy {
  SKUA_HOST_DEVICE double loss(double p, double t) const {
    const double yes = log(p);
    const double no = log1p(-p);
    return -(t * (yes < -100 ? -100 : yes) + (1 - t) * (no < -100 ? -100 : no));
  }
  SKUA_HOST_DEVICE float derivative(float p, float t) const {
    const float spread = p * (1 - p);
    return (p - t) / (spread < 1e-12F ? 1e-12F : spread);
  }
};
struct BinaryCrossEntropyWithLogits {
  SKUA_HOST_DEVICE double loss(double x, double t) const { return (x > 0 ? x : 0) - x * t + log1p(exp(-fabs(x))); }
  SKUA_HOST_DEVICE float derivative(float x, float t) const { return Sigmoid()(x) - t; }
};

// What the updates of a step share: its learning rate times the node's factor, and weight decay.
struct UpdateRate {
  float learning_rate;
  float weight_decay;  // added to the gradient

  static UpdateRate of(const Attributes& attributes, float learning_rate) {
    return {static_cast<float>(static_cast<double>(learning_rate) * attributes.real("rate_factor")),
            static_cast<float>(attributes.real("weight_decay"))};
  }
  SKUA_HOST_DEVICE float decayed(float p, float g) const { return weight_decay == 0 ? g : g + weight_decay * p; }
};

// v <- momentum v + g; p <- p - learning_rate v; without momentum the gradient is the velocity.
struct Sgd {
  UpdateRate rate;
  float momentum;
  bool nesterov;

  static Sgd at(const Attributes& attributes, float learning_rate) {
    return {UpdateRate::of(attributes, learning_rate), static_cast<float>(attributes.real("momentum")),
            attributes.integer("nesterov") == 1};
  }
  SKUA_HOST_DEVICE void operator()(float& p, float g) const { p -= rate.learning_rate * rate.decayed(p, g); }
  SKUA_HOST_DEVICE void operator()(float& p, float g, float& v) const {
    const float decayed = rate.decayed(p, g);
    v = momentum * v + decayed;
    p -= rate.learning_rate * (nesterov ? decayed + momentum * v : v);
  }
};

// Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, and Loshchilov and Hutter, "Decoupled weight
// decay regularization", ICLR 2019, in PyTorch's form. An element whose gradients were all 0 stays, but for its decay,
// also where epsilon is 0.
struct Adam {
  UpdateRate rate;
  float kept;  // of a parameter, before the step: decoupled weight decay
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
    const double scaled_rate = static_cast<double>(learning_rate) * attributes.real("rate_factor");
    UpdateRate rate = UpdateRate::of(attributes, learning_rate);
    float kept = 1;
    if (attributes.integer("decoupled") == 1) {
      kept = static_cast<float>(1 - scaled_rate * attributes.real("weight_decay"));
      rate.weight_decay = 0;
    }
    return {rate,
            kept,
            static_cast<float>(beta1),
            static_cast<float>(beta2),
            static_cast<float>(1 - beta1),
            static_cast<float>(1 - beta2),
            static_cast<float>(attributes.real("epsilon")),
            static_cast<float>(scaled_rate / (1 - std::pow(beta1, t))),
            static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, t)))};
  }

  SKUA_HOST_DEVICE void operator()(float& p, float gradient, float& m, float& v) const {
    const float g = rate.decayed(p, gradient);
    p *= kept;
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * (g * g);
    const float denominator = sqrtf(v) * inverse_root_correction + epsilon;
    p -= denominator == 0 ? 0.0F : step_size * (m / denominator);
  }
};

// Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012, in PyTorch's form.
struct RmsProp {
  UpdateRate rate;
  float alpha;
  float one_minus_alpha;
  float epsilon;
  float momentum;

  static RmsProp at(const Attributes& attributes, float learning_rate) {
    const double alpha = attributes.real("alpha");
    return {UpdateRate::of(attributes, learning_rate), static_cast<float>(alpha), static_cast<float>(1 - alpha),
            static_cast<float>(attributes.real("epsilon")), static_cast<float>(attributes.real("momentum"))};
  }
  SKUA_HOST_DEVICE float direction(float p, float gradient, float& v) const {
    const float g = rate.decayed(p, gradient);
    v = alpha * v + one_minus_alpha * (g * g);
    const float denominator = sqrtf(v) + epsilon;
    return denominator == 0 ? 0.0F : g / denominator;
  }
  SKUA_HOST_DEVICE void operator()(float& p, float g, float& v) const { p -= rate.learning_rate * direction(p, g, v); }
  SKUA_HOST_DEVICE void operator()(float& p, float g, float& v, float& buffer) const {
    buffer = momentum * buffer + direction(p, g, v);
    p -= rate.learning_rate * buffer;
  }
};

// Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 12 (2011), in PyTorch's form.
struct Adagrad {
  UpdateRate rate;
  float epsilon;

  static Adagrad at(const Attributes& attributes, float learning_rate) {
    return {UpdateRate::of(attributes, learning_rate), static_cast<float>(attributes.real("epsilon"))};
  }
  SKUA_HOST_DEVICE void operator()(float& p, float gradient, float& sum) const {
    const float g = rate.decayed(p, gradient);
    sum += g * g;
    const float denominator = sqrtf(sum) + epsilon;
    p -= denominator == 0 ? 0.0F : rate.learning_rate * (g / denominator);
  }
};

// p <- (1 - momentum) p + momentum value / count.
struct MovingAverage {
  float kept;
  float taken;

  static MovingAverage of(const Attributes& attributes) {
    const double momentum = attributes.real("momentum");
    return {static_cast<float>(1 - momentum),
            static_cast<float>(momentum / static_cast<double>(attributes.integer("count")))};
  }
  SKUA_HOST_DEVICE void operator()(float& p, float value) const { p = kept * p + taken * value; }
};

}  // namespace skua::elementwise
