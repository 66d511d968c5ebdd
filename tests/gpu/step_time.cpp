// step_time MODEL DEVICES STEPS: trains a model that has a name and prints its step time as JSON; tests/gpu/peer.py
// does the same by PyTorch. Batches come from host memory in every step. The first tenth of the steps is not counted.
// On GPUs once more with recorded steps.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "models/models.h"
#include "skua/scheduler/median.h"

namespace {

using namespace skua;

// From the end of one step to the end of the next.
class StepTimer final : public Callback {
 public:
  void on_train_begin(Model&) override { last_ = Clock::now(); }
  void on_step_end(Model&, const StepLogs&) override {
    const auto now = Clock::now();
    seconds.push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  std::vector<double> seconds;

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
};

Tensor numbers(const Shape& shape, int classes) {
  Tensor tensor({shape, DType::kInt32});
  for (std::size_t i = 0; i < tensor.ints().size(); ++i) {
    tensor.ints()[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(classes));
  }
  return tensor;
}

// The zoo's models come without data; times do not depend on what is in it.
std::shared_ptr<const Dataset> made_up(const std::string& model, std::int64_t rows) {
  if (model == "lstm_lm") {
    constexpr int kWords = 10000;
    return datasets::arrays(numbers({rows, 64}, kWords), numbers({rows, 64}, kWords), kWords, "made up");
  }
  constexpr int kClasses = 1000;
  Tensor pixels({{rows, 3, 224, 224}, DType::kFloat32});
  for (std::size_t i = 0; i < pixels.floats().size(); ++i) {
    pixels.floats()[i] = static_cast<float>(i * 7919 % 255) / 255;
  }
  return datasets::arrays(std::move(pixels), numbers({rows}, kClasses), kClasses, "made up");
}

void measure(const std::string& name, const std::string& devices, std::int64_t steps, bool recorded) {
  const models::Recipe& recipe = models::recipe(name);
  const auto data = recipe.data ? recipe.data("").pair.train : made_up(name, 2 * recipe.batch_size);
  CompileOptions compile = recipe.compile;
  compile.devices = devices;
  compile.micro_batches = 1;
  compile.policy = "single";
  compile.stealing = "none";
  compile.record_steps = recorded;
  compile.plan_in_background = false;
  Model model = recipe.make();
  model.compile(compile);
  StepTimer timer;
  model.fit(*data, {.batch_size = recipe.batch_size, .steps = steps, .callbacks = {&timer}, .verbose = false});
  timer.seconds.erase(timer.seconds.begin(), timer.seconds.begin() + steps / 10);
  fmt::print(R"({{"model": "{}", "side": "{}", "devices": "{}", "batch": {}, "median_step_ms": {:.4f}}})"
             "\n",
             name, recorded ? "skua, recorded" : "skua", devices, recipe.batch_size, median_of(timer.seconds) * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "step_time: expected MODEL DEVICES STEPS\n");
    return 2;
  }
  try {
    measure(argv[1], argv[2], std::stoll(argv[3]), false);
    if (std::string(argv[2]).starts_with("cuda")) measure(argv[1], argv[2], std::stoll(argv[3]), true);
  } catch (const std::exception& error) {
    fmt::print(stderr, "step_time: {}\n", error.what());
    return 1;
  }
  return 0;
}
