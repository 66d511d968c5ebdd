// skua generate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "command.h"

namespace skua::cli {
namespace {

struct Options {
  std::string model;
  std::string checkpoint;
  std::string prompt;
  TextOptions text;
  std::int64_t samples = 64;
  std::string out = "samples.png";
  std::string judge;
  bool json = false;
};

Model trained(const models::Recipe& recipe, const std::string& checkpoint) {
  Model model = recipe.make();
  CompileOptions options = recipe.compile;
  options.policy = "single";
  model.compile(options);
  model.load_checkpoint(checkpoint);
  return model;
}

void generate_words(const Options& options, const models::Recipe& recipe) {
  const Vocabulary vocabulary =
      Vocabulary::load((std::filesystem::path(options.checkpoint) / "vocabulary.txt").string());
  Model model = trained(recipe, options.checkpoint);
  std::vector<std::int32_t> prompt = vocabulary.ids(options.prompt);
  const std::string text = joined(vocabulary, generate_text(model, vocabulary, std::move(prompt), options.text));
  if (!options.json) return fmt::print("{}\n", text);
  print_json({{"model", options.model},
              {"prompt", options.prompt},
              {"text", text},
              {"words", options.text.words},
              {"temperature", options.text.temperature},
              {"seed", options.text.seed}});
}

// What a trained mnist_cnn says of images in [-1,1].
nlohmann::json judgement(const Tensor& images, const std::string& checkpoint) {
  Model judge = trained(models::recipe("mnist_cnn"), checkpoint);
  Tensor pixels = images;
  for (float& x : pixels.floats()) x = (x + 1) / 2;
  const Tensor logits = judge.predict(pixels);
  const auto classes = static_cast<std::size_t>(logits.shape()[1]);
  std::vector<int> counts(classes, 0);
  double confidence = 0;
  const auto samples = static_cast<std::size_t>(images.shape()[0]);
  for (std::size_t i = 0; i < samples; ++i) {
    const auto row = logits.floats().subspan(i * classes, classes);
    const auto best = std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit) - static_cast<double>(*best));
    confidence += 1 / sum / static_cast<double>(samples);
    ++counts[static_cast<std::size_t>(best - row.begin())];
  }
  return {{"mean_confidence", confidence}, {"class_counts", counts}};
}

void generate_images(const Options& options, const models::Recipe& recipe) {
  expect_writable("--out", options.out);
  Model model = trained(recipe, options.checkpoint);
  const Tensor images = model.predict(noise(options.samples, model.sample_type().shape, options.text.seed), 64);
  const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(options.samples))));
  write_png(image_grid(images, columns, -1, 1), options.out);
  nlohmann::json object = {{"model", options.model}, {"samples", options.samples}, {"out", options.out}};
  if (!options.judge.empty()) object["judgement"] = judgement(images, options.judge);
  if (options.json) return print_json(object);
  fmt::print("{} samples in {}\n", options.samples, options.out);
  if (options.judge.empty()) return;
  fmt::print("mean confidence {:.4f}, samples by class {}\n", object["judgement"]["mean_confidence"].get<double>(),
             object["judgement"]["class_counts"].dump());
}

void generate(const Options& options) {
  const models::Recipe& recipe = models::recipe(options.model);
  if (recipe.makes == models::Makes::kWords) return generate_words(options, recipe);
  if (recipe.makes == models::Makes::kImages) return generate_images(options, recipe);
  throw std::invalid_argument(
      fmt::format("[generate] expected a language model or a generator of images, got {}", options.model));
}

}  // namespace

void add_generate_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("generate", "Text from a language model, images from a generator");
  const auto options = std::make_shared<Options>();
  add_model_argument(command, options->model);
  command.add_option("--checkpoint", options->checkpoint, "Folder that `skua train --checkpoint` has written")
      ->required();
  command.add_option("--prompt", options->prompt, "Words to go on from");
  command.add_option("--words", options->text.words, "How many to add")->check(at_least(1))->capture_default_str();
  command.add_option("--temperature", options->text.temperature, "Below 1: likelier words; 0: the likeliest")
      ->capture_default_str();
  command.add_option("--samples", options->samples, "How many images")->check(at_least(1))->capture_default_str();
  command.add_option("--out", options->out, "Where the images go, as PNG")->capture_default_str();
  command.add_option("--judge", options->judge, "Checkpoint of an mnist_cnn that says what it sees in the images");
  command.add_option("--seed", options->text.seed, "Of words and noise")->check(at_least(0))->capture_default_str();
  add_json_option(command, options->json);
  command.callback([options] { generate(*options); });
}

}  // namespace skua::cli
