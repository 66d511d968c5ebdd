#include "skua/layers/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "skua/graph/random.h"
#include "skua/layers/png.h"

namespace skua {
namespace {

// Draws an index with the probabilities softmax(logits / temperature), padding and unknown words left out.
std::int32_t draw(std::span<const float> logits, double temperature, Random& random) {
  constexpr std::size_t kFirst = Vocabulary::kUnknown + 1;
  const auto words = logits.subspan(kFirst);
  const auto best = std::max_element(words.begin(), words.end());
  std::size_t index = static_cast<std::size_t>(best - words.begin());
  if (temperature > 0) {
    std::vector<double> weights;
    double total = 0;
    for (const float logit : words) {
      weights.push_back(std::exp((static_cast<double>(logit) - static_cast<double>(*best)) / temperature));
      total += weights.back();
    }
    double left = random.uniform() * total;
    for (index = 0; index + 1 < weights.size() && left >= weights[index]; ++index) left -= weights[index];
  }
  return static_cast<std::int32_t>(index + kFirst);
}

}  // namespace

std::vector<std::int32_t> generate_text(Model& model, const Vocabulary& vocabulary, std::vector<std::int32_t> prompt,
                                        const TextOptions& options) {
  if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
    throw std::invalid_argument(fmt::format("[temperature] expected 0 or more, got {}", options.temperature));
  }
  const ValueType sample = model.sample_type();
  if (sample.dtype != DType::kInt32 || sample.shape.rank() != 1) {
    throw std::invalid_argument(
        fmt::format("[generate_text] expected a model of token ids, got one of {}", sample.to_string()));
  }
  const auto length = static_cast<std::size_t>(sample.shape[0]);
  const auto size = static_cast<std::size_t>(vocabulary.size());
  Random random(options.seed, 3);
  std::vector<std::int32_t> added;
  Tensor window(ValueType{{1, sample.shape[0]}, DType::kInt32});
  for (std::int64_t i = 0; i < options.words; ++i) {
    const std::span<std::int32_t> ids = window.ints();
    std::fill(ids.begin(), ids.end(), Vocabulary::kPadding);
    const std::size_t known = std::min(length, prompt.size());
    std::copy(prompt.end() - static_cast<std::ptrdiff_t>(known), prompt.end(),
              ids.end() - static_cast<std::ptrdiff_t>(known));
    const Tensor prediction = model.predict(window, 1);
    const std::span<const float> logits = prediction.floats();
    const Shape& shape = prediction.shape();
    const auto classes = static_cast<std::size_t>(shape[shape.rank() - 1]);
    if (size < 3 || classes < size) {
      throw std::invalid_argument(fmt::format("[generate_text] expected logits of {} words, got {}", size, classes));
    }
    added.push_back(draw(logits.last(classes).first(size), options.temperature, random));
    prompt.push_back(added.back());
  }
  return added;
}

std::string joined(const Vocabulary& vocabulary, const std::vector<std::int32_t>& ids) {
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string& word = vocabulary.word(id);
    const bool mark = word.size() == 1 && std::string_view(".,;:!?)").find(word[0]) != std::string_view::npos;
    if (!text.empty() && !mark) text += ' ';
    text += word;
  }
  return text;
}

Tensor noise(std::int64_t count, const Shape& latent, std::uint64_t seed) {
  std::vector<std::int64_t> extents = latent.extents();
  extents.insert(extents.begin(), count);
  Tensor tensor(ValueType{Shape(std::move(extents))});
  Random random(seed, 4);
  for (float& x : tensor.floats()) x = static_cast<float>(random.normal());
  return tensor;
}

void SampleGrid::on_epoch_end(Model& model, const EpochLogs& logs) {
  std::filesystem::create_directories(directory_);
  const Tensor images = model.predict(noise(64, latent_), 64);
  const std::string name = fmt::format("epoch-{:03}.png", logs.epoch);
  write_png(image_grid(images, 8, -1, 1), (std::filesystem::path(directory_) / name).string());
}

}  // namespace skua
