#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "models.h"

namespace skua::models {
namespace {

Data digits(const std::string& directory) {
  return {directory.empty() ? datasets::synthetic_digits() : datasets::mnist(directory)};
}

// Pixels in [-1,1].
Data signed_digits(const std::string& directory) {
  const DatasetPair pair = digits(directory).pair;
  const Augmentation range{.mean = {0.5F}, .deviation = {0.5F}};
  return {{datasets::augmented(pair.train, range), datasets::augmented(pair.test, range)}};
}

Data reviews(const std::string& directory) {
  const TextData text = directory.empty() ? datasets::synthetic_sentiment() : datasets::sentiment(directory);
  return {text.data, text.vocabulary};
}

Data words(const std::string& path) {
  const TextData text = path.empty() ? datasets::synthetic_text() : datasets::text_file(path);
  return {text.data, text.vocabulary};
}

std::vector<std::pair<std::string, double>> bigram_baseline(const DatasetPair& data) {
  const double perplexity = bigram_perplexity(bigrams_of(*data.train), bigrams_of(*data.test), data.train->classes());
  return {{"bigram perplexity", perplexity}};
}

constexpr const char* kMnistFolder = "the four files of MNIST";

std::vector<Recipe> tutorial() {
  return {{.name = "mnist_cnn",
           .description = "convolutions on handwritten digits",
           .make = [] { return mnist_cnn(); },
           .data = digits,
           .folder = kMnistFolder},
          {.name = "text_rnn",
           .description = "a recurrent net that tells praise from blame",
           .make = [] { return text_rnn(); },
           .compile = {.optimizer = AdamW(1e-3, 1e-1, {.clipping = {.global_norm = 1}}), .loss = BinaryCrossentropy()},
           .batch_size = 64,
           .epochs = 3,
           .data = reviews,
           .folder = "rt-polarity.pos and rt-polarity.neg"},
          {.name = "text_lstm",
           .description = "an LSTM that says the next word",
           .make = [] { return text_lstm(); },
           .compile = {.optimizer = Adam(2e-3, {.clipping = {.global_norm = 1}}),
                       .metrics = {metrics::perplexity(), metrics::accuracy()}},
           .batch_size = 128,
           .epochs = 3,
           .data = words,
           .folder = "a text file",
           .makes = Makes::kWords,
           .baselines = bigram_baseline},
          {.name = "mnist_gan",
           .description = "a generator of handwritten digits and its judge",
           .make = [] { return mnist_gan(); },
           .compile = {.optimizer = Adam(1e-4, {.beta1 = 0.5})},
           .batch_size = 64,
           .epochs = 5,
           .data = signed_digits,
           .folder = kMnistFolder,
           .makes = Makes::kImages}};
}

std::vector<Recipe> zoo() {
  return {{.name = "mlp",
           .description = "dense layers on handwritten digits",
           .make = [] { return mlp(); },
           .data = digits,
           .folder = kMnistFolder},
          {.name = "resnet18", .description = "ResNet-18 on 224x224", .make = [] { return resnet(18); }},
          {.name = "resnet50", .description = "ResNet-50 on 224x224", .make = [] { return resnet(50); }},
          {.name = "vgg16", .description = "VGG-16 on 224x224", .make = [] { return vgg16(); }},
          {.name = "inception", .description = "branches of convolutions on 96x96", .make = [] { return inception(); }},
          {.name = "lstm_lm",
           .description = "a language model of 4 LSTM layers, words at every step",
           .make = [] { return lstm_language_model(); }},
          {.name = "dcgan", .description = "DCGAN on 64x64", .make = [] { return dcgan(); }},
          {.name = "transformer", .description = "a small GPT-2-like decoder, words at every step", .make = [] {
             return transformer();
           }}};
}

}  // namespace

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all = [] {
    std::vector<Recipe> list = tutorial();
    for (Recipe& recipe : zoo()) list.push_back(std::move(recipe));
    return list;
  }();
  return all;
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const Recipe& recipe : recipes()) list.push_back(recipe.name);
  return list;
}

const Recipe& recipe(const std::string& name) {
  const auto found = std::find_if(recipes().begin(), recipes().end(), [&](const Recipe& r) { return r.name == name; });
  if (found != recipes().end()) return *found;
  throw std::invalid_argument(fmt::format("[model] expected one of {}, got '{}'", fmt::join(names(), ", "), name));
}

}  // namespace skua::models
