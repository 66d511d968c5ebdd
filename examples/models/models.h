// Models by name, for the command, the benchmarks and comparisons: what each is, how it is trained, and on what.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "skua/skua.h"

namespace skua::models {

enum class Makes { kPredictions, kWords, kImages };

struct Data {
  DatasetPair pair;
  std::optional<Vocabulary> vocabulary = std::nullopt;  // of token ids
};

struct Recipe {
  std::string name;
  std::string description;
  std::function<Model()> make;
  CompileOptions compile = {};  // loss, metrics and optimizer
  std::int64_t batch_size = 128;
  int epochs = 3;
  // Training and test data: from a folder, or made by the library where the name is empty.
  std::function<Data(const std::string& directory)> data = {};
  std::string folder = "";  // what is expected in the folder
  Makes makes = Makes::kPredictions;
  // What simpler models reach on the same data, by the name of the figure; slow.
  std::function<std::vector<std::pair<std::string, double>>(const DatasetPair& data)> baselines = {};
};

// The four models of the tutorial that Skua follows, then the zoo.
[[nodiscard]] const std::vector<Recipe>& recipes();
[[nodiscard]] std::vector<std::string> names();
// Throws std::invalid_argument listing the names where `name` is none of them.
[[nodiscard]] const Recipe& recipe(const std::string& name);

[[nodiscard]] Sequential mnist_cnn();

// Tokens int32 (N,length) to the probability (N,1) that the review is positive.
[[nodiscard]] Sequential text_rnn(std::int64_t vocabulary = 10000, std::int64_t length = 100);
// Tokens int32 (N,length) to logits (N,vocabulary) of the word that comes next.
[[nodiscard]] Sequential text_lstm(std::int64_t vocabulary = 10000, std::int64_t length = 100);
[[nodiscard]] Gan mnist_gan();
[[nodiscard]] Sequential mnist_discriminator();  // of mnist_gan: images (N,1,28,28) to probabilities (N,1)

// The zoo. Images (3,size,size); any class count.
// He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016; depth 18 or 50. Images below 64 get
// the stem of its CIFAR variant.
[[nodiscard]] Functional resnet(int depth, std::int64_t size = 224, std::int64_t classes = 1000);
// Simonyan and Zisserman, ICLR 2015, configuration D. `size` is a multiple of 32.
[[nodiscard]] Sequential vgg16(std::int64_t size = 224, std::int64_t classes = 1000);
// A stem and three inception modules with branches as in Szegedy et al., CVPR 2016, the first two with a grid reduction
// behind them.
[[nodiscard]] Functional inception(std::int64_t size = 96, std::int64_t classes = 1000);
// Layers of LSTM over embedded words, a prediction at every step. Zaremba, Sutskever, Vinyals, 2014.
[[nodiscard]] Sequential lstm_language_model(int layers = 4, std::int64_t units = 512, std::int64_t vocabulary = 10000,
                                             std::int64_t length = 64, int time_chunks = 1);
// Radford, Metz, Chintala, ICLR 2016, on images (3,64,64).
[[nodiscard]] Gan dcgan(std::int64_t filters = 64);
[[nodiscard]] Sequential mlp(std::int64_t units = 1024, std::int64_t classes = 10);  // on images (1,28,28)
// A decoder as GPT-2's: Radford et al., "Language models are unsupervised multitask learners", 2019.
[[nodiscard]] Functional transformer(int layers = 6, std::int64_t width = 384, std::int64_t heads = 6,
                                     std::int64_t vocabulary = 10000, std::int64_t length = 128);

}  // namespace skua::models
