#include "skua/layers/optimizers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace skua {
namespace {

Op adam_update(const AdamOptions& options, double weight_decay, bool decoupled) {
  return {"adam_update",
          {{"beta1", options.beta1},
           {"beta2", options.beta2},
           {"epsilon", options.epsilon},
           {"weight_decay", weight_decay},
           {"decoupled", std::int64_t{decoupled}},
           {"rate_factor", 1.0}}};
}

}  // namespace

Adam::Adam(double rate, const AdamOptions& options)
    : Optimizer{adam_update(options, options.weight_decay, false), rate, options.clipping} {}

AdamW::AdamW(double rate, double weight_decay, const AdamOptions& options)
    : Optimizer{adam_update(options, weight_decay, true), rate, options.clipping} {}

SGD::SGD(double rate, const SGDOptions& options)
    : Optimizer{{"sgd_update",
                 {{"momentum", options.momentum},
                  {"nesterov", std::int64_t{options.nesterov}},
                  {"weight_decay", options.weight_decay},
                  {"rate_factor", 1.0}}},
                rate,
                options.clipping} {}

RMSprop::RMSprop(double rate, const RMSpropOptions& options)
    : Optimizer{{"rmsprop_update",
                 {{"alpha", options.alpha},
                  {"epsilon", options.epsilon},
                  {"momentum", options.momentum},
                  {"weight_decay", options.weight_decay},
                  {"rate_factor", 1.0}}},
                rate,
                options.clipping} {}

Adagrad::Adagrad(double rate, const AdagradOptions& options)
    : Optimizer{{"adagrad_update",
                 {{"epsilon", options.epsilon}, {"weight_decay", options.weight_decay}, {"rate_factor", 1.0}}},
                rate,
                options.clipping} {}

namespace schedules {
namespace {

void expect_steps(const char* schedule, std::int64_t steps) {
  if (steps >= 1) return;
  throw std::invalid_argument(fmt::format("[{}] expected 1 step or more, got {}", schedule, steps));
}

void expect_factor(const char* schedule, double factor) {
  if (factor >= 0 && std::isfinite(factor)) return;
  throw std::invalid_argument(fmt::format("[{}] expected a finite factor of 0 or more, got {}", schedule, factor));
}

// Half a cosine from `from` to `to` as `share` goes from 0 to 1.
double cosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

}  // namespace

LearningRateSchedule constant() {
  return [](std::int64_t) { return 1.0; };
}

LearningRateSchedule step_decay(std::int64_t every, double factor) {
  expect_steps("step_decay", every);
  expect_factor("step_decay", factor);
  return [=](std::int64_t step) { return std::pow(factor, static_cast<double>(step / every)); };
}

LearningRateSchedule exponential_decay(std::int64_t steps, double factor) {
  expect_steps("exponential_decay", steps);
  expect_factor("exponential_decay", factor);
  return [=](std::int64_t step) { return std::pow(factor, static_cast<double>(step) / static_cast<double>(steps)); };
}

LearningRateSchedule cosine_decay(std::int64_t steps, double final_factor) {
  expect_steps("cosine_decay", steps);
  expect_factor("cosine_decay", final_factor);
  return [=](std::int64_t step) {
    return cosine(1, final_factor, std::min(1.0, static_cast<double>(step) / static_cast<double>(steps)));
  };
}

LearningRateSchedule warm_up(std::int64_t steps, LearningRateSchedule then) {
  expect_steps("warm_up", steps);
  return [=](std::int64_t step) {
    return step < steps ? static_cast<double>(step + 1) / static_cast<double>(steps) : then(step - steps);
  };
}

LearningRateSchedule one_cycle(std::int64_t steps) {
  expect_steps("one_cycle", steps);
  constexpr double kFirst = 1.0 / 25;
  constexpr double kLast = kFirst / 1e4;
  return [=](std::int64_t step) {
    const double top = 0.3 * static_cast<double>(steps) - 1;
    const double end = static_cast<double>(steps) - 1;
    const double at = std::min(static_cast<double>(step), end);
    return at < top ? cosine(kFirst, 1, at / top) : cosine(1, kLast, (at - top) / (end - top));
  };
}

}  // namespace schedules
}  // namespace skua
