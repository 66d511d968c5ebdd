// Optimizers and the course of their learning rates. Plain values.
#pragma once

#include <cstdint>
#include <functional>

#include "skua/graph/op.h"

namespace skua {

// Of gradients before the update, in this order; 0: not.
struct Clipping {
  double value = 0;        // each element to ±value
  double norm = 0;         // each parameter's gradient to this length
  double global_norm = 0;  // all gradients together to this length. Pascanu, Mikolov, Bengio, ICML 2013
};

struct Optimizer {
  Op update;
  double learning_rate = 0;
  Clipping clipping = {};
};

// All follow PyTorch's current formulas (docs/operators.md); `rate` is the learning rate.
struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;  // Keras: 1e-7
  double weight_decay = 0;
  Clipping clipping = {};
};
// Kingma and Ba, ICLR 2015; weight decay is added to the gradient.
struct Adam : Optimizer {
  explicit Adam(double rate = 1e-3, const AdamOptions& options = {});
};
// Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
struct AdamW : Optimizer {
  explicit AdamW(double rate = 1e-3, double weight_decay = 1e-2, const AdamOptions& options = {});
};

struct SGDOptions {
  double momentum = 0;
  bool nesterov = false;  // Sutskever et al., ICML 2013
  double weight_decay = 0;
  Clipping clipping = {};
};
struct SGD : Optimizer {
  explicit SGD(double rate = 1e-2, const SGDOptions& options = {});
};

struct RMSpropOptions {
  double alpha = 0.99;
  double epsilon = 1e-8;
  double momentum = 0;
  double weight_decay = 0;
  Clipping clipping = {};
};
struct RMSprop : Optimizer {
  explicit RMSprop(double rate = 1e-2, const RMSpropOptions& options = {});
};

struct AdagradOptions {
  double epsilon = 1e-10;
  double weight_decay = 0;
  Clipping clipping = {};
};
// Duchi, Hazan, Singer, JMLR 12 (2011).
struct Adagrad : Optimizer {
  explicit Adagrad(double rate = 1e-2, const AdagradOptions& options = {});
};

// What the learning rate is multiplied by in a step, which counts from 0.
using LearningRateSchedule = std::function<double(std::int64_t step)>;

// All throw std::invalid_argument where a count of steps is below 1 or a factor is not what they say.
namespace schedules {

[[nodiscard]] LearningRateSchedule constant();
[[nodiscard]] LearningRateSchedule step_decay(std::int64_t every, double factor);         // factor^floor(step / every)
[[nodiscard]] LearningRateSchedule exponential_decay(std::int64_t steps, double factor);  // factor^(step / steps)
[[nodiscard]] LearningRateSchedule cosine_decay(std::int64_t steps,
                                                double final_factor = 0);  // Loshchilov and Hutter, ICLR 2017
[[nodiscard]] LearningRateSchedule warm_up(std::int64_t steps,
                                           LearningRateSchedule then = constant());  // (step + 1) / steps, then `then`
// Up from 1/25 to 1 over the first 30 % of `steps` and down to 1/250,000, along cosines: PyTorch's OneCycleLR with its
// defaults, for the maximum rate. Smith and Topin, "Super-convergence", 2018.
[[nodiscard]] LearningRateSchedule one_cycle(std::int64_t steps);

}  // namespace schedules
}  // namespace skua
