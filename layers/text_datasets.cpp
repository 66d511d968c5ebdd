#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "shuffle.h"
#include "skua/layers/text.h"
#include "text_files.h"

namespace skua::datasets {
namespace {

class Classification final : public Dataset {
 public:
  Classification(std::vector<std::int32_t> ids, std::vector<float> labels, std::int64_t length, std::string description)
      : ids_(std::move(ids)), labels_(std::move(labels)), length_(length), description_(std::move(description)) {}

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  [[nodiscard]] ValueType feature_type() const override { return {{length_}, DType::kInt32}; }
  [[nodiscard]] ValueType label_type() const override { return {{1}}; }
  [[nodiscard]] int classes() const override { return 0; }
  [[nodiscard]] std::string description() const override { return description_; }
  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
    auto to = features.ints().begin();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      assert(rows[i] >= 0 && rows[i] < size());
      to = std::copy_n(ids_.begin() + rows[i] * length_, length_, to);
      labels.floats()[i] = labels_[static_cast<std::size_t>(rows[i])];
    }
  }

 private:
  std::vector<std::int32_t> ids_;
  std::vector<float> labels_;
  std::int64_t length_;
  std::string description_;
};

class LanguageModel final : public Dataset {
 public:
  LanguageModel(std::vector<std::int32_t> ids, std::int64_t classes, std::int64_t length, std::int64_t stride,
                bool every_step, std::string description)
      : ids_(std::move(ids)),
        classes_(static_cast<int>(classes)),
        length_(length),
        stride_(stride),
        every_step_(every_step),
        description_(std::move(description)) {}

  [[nodiscard]] std::int64_t size() const override {
    return (static_cast<std::int64_t>(ids_.size()) - length_ - 1) / stride_ + 1;
  }
  [[nodiscard]] ValueType feature_type() const override { return {{length_}, DType::kInt32}; }
  [[nodiscard]] ValueType label_type() const override {
    return {every_step_ ? Shape{length_} : Shape{}, DType::kInt32};
  }
  [[nodiscard]] int classes() const override { return classes_; }
  [[nodiscard]] std::string description() const override { return description_; }
  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
    auto to = features.ints().begin();
    auto label = labels.ints().begin();
    for (const std::int64_t row : rows) {
      assert(row >= 0 && row < size());
      const auto first = ids_.begin() + row * stride_;
      to = std::copy_n(first, length_, to);
      label = every_step_ ? std::copy_n(first + 1, length_, label) : std::copy_n(first + length_, 1, label);
    }
  }

 private:
  std::vector<std::int32_t> ids_;
  int classes_;
  std::int64_t length_;
  std::int64_t stride_;
  bool every_step_;
  std::string description_;
};

struct Labelled {
  std::vector<std::string> texts;
  std::vector<int> labels;

  void add(const std::string& text, int label) {
    texts.push_back(text);
    labels.push_back(label);
  }
};

// Holds out the same share of each class.
TextData split_and_build(const Labelled& all, const SentimentOptions& options, const std::string& description) {
  if (!(options.held_out > 0 && options.held_out < 1)) {
    throw std::invalid_argument(fmt::format("[held out] expected a share in (0,1), got {}", options.held_out));
  }
  std::array<std::int64_t, 2> held{};  // by label
  for (const int label : {0, 1}) {
    const auto count = std::count(all.labels.begin(), all.labels.end(), label);
    held.at(static_cast<std::size_t>(label)) = std::llround(static_cast<double>(count) * options.held_out);
  }
  Labelled train;
  Labelled test;
  for (const std::int64_t row : shuffled(std::ssize(all.texts), Random(options.seed))) {
    const auto i = static_cast<std::size_t>(row);
    const bool is_held = held.at(static_cast<std::size_t>(all.labels[i]))-- > 0;
    (is_held ? test : train).add(all.texts[i], all.labels[i]);
  }
  std::vector<std::string> tokens;
  for (const std::string& text : train.texts) {
    for (std::string& token : tokenize(text)) tokens.push_back(std::move(token));
  }
  TextData result;
  result.vocabulary = Vocabulary(tokens, options.vocabulary_size);
  const auto data = [&](const Labelled& part, const char* name) {
    return text_classification(part.texts, part.labels, result.vocabulary, options.length,
                               fmt::format("{} ({})", description, name));
  };
  result.data = {data(train, "training"), data(test, "test")};
  return result;
}

TextData language_parts(const std::string& text, const LanguageOptions& options, const std::string& description) {
  if (!(options.held_out > 0 && options.held_out < 1)) {
    throw std::invalid_argument(fmt::format("[held out] expected a share in (0,1), got {}", options.held_out));
  }
  const std::vector<std::string> tokens = tokenize(text);
  const auto cut = static_cast<std::size_t>(static_cast<double>(tokens.size()) * (1 - options.held_out));
  TextData result;
  result.vocabulary = Vocabulary(std::span(tokens).first(cut), options.vocabulary_size);
  std::vector<std::int32_t> ids;
  for (const std::string& token : tokens) ids.push_back(result.vocabulary.id(token));
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(cut);
  const auto data = [&](std::vector<std::int32_t> part, const char* name) {
    return language_model(std::move(part), result.vocabulary, options.length, options.stride, options.every_step,
                          fmt::format("{} ({})", description, name));
  };
  result.data = {data({ids.begin(), middle}, "training"), data({middle, ids.end()}, "test")};
  return result;
}

const std::string& one_of(Random& random, const std::vector<std::string>& words) {
  return words[random.below(words.size())];
}

}  // namespace

std::shared_ptr<const Dataset> text_classification(std::span<const std::string> texts, std::span<const int> labels,
                                                   const Vocabulary& vocabulary, std::int64_t length,
                                                   std::string description) {
  if (length < 1)
    throw std::invalid_argument(fmt::format("[{}] expected a length of 1 or more, got {}", description, length));
  if (texts.size() != labels.size() || texts.empty()) {
    throw std::invalid_argument(fmt::format("[{}] expected one label for each text, got {} labels and {} texts",
                                            description, labels.size(), texts.size()));
  }
  std::vector<std::int32_t> ids;
  std::vector<float> targets;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (labels[i] != 0 && labels[i] != 1) {
      throw std::invalid_argument(fmt::format("[{}] expected labels 0 and 1, got {}", description, labels[i]));
    }
    std::vector<std::int32_t> words = vocabulary.ids(texts[i]);
    const auto size = static_cast<std::int64_t>(words.size());
    if (size > length) words.erase(words.begin(), words.begin() + (size - length));
    words.insert(words.begin(), static_cast<std::size_t>(std::max<std::int64_t>(length - size, 0)),
                 Vocabulary::kPadding);
    ids.insert(ids.end(), words.begin(), words.end());
    targets.push_back(static_cast<float>(labels[i]));
  }
  return std::make_shared<Classification>(std::move(ids), std::move(targets), length, std::move(description));
}

std::shared_ptr<const Dataset> language_model(std::vector<std::int32_t> ids, const Vocabulary& vocabulary,
                                              std::int64_t length, std::int64_t stride, bool every_step,
                                              std::string description) {
  if (length < 1 || stride < 1) {
    throw std::invalid_argument(
        fmt::format("[{}] expected a length and a stride of 1 or more, got {} and {}", description, length, stride));
  }
  if (static_cast<std::int64_t>(ids.size()) <= length) {
    throw std::invalid_argument(
        fmt::format("[{}] expected more than {} words, got {}", description, length, ids.size()));
  }
  return std::make_shared<LanguageModel>(std::move(ids), vocabulary.size(), length, stride, every_step,
                                         std::move(description));
}

TextData sentiment(const std::string& directory, const SentimentOptions& options) {
  Labelled all;
  for (const auto& [name, label] : {std::pair{"rt-polarity.neg", 0}, std::pair{"rt-polarity.pos", 1}}) {
    for (const std::string& line : lines_of((std::filesystem::path(directory) / name).string())) all.add(line, label);
  }
  return split_and_build(all, options, directory);
}

TextData synthetic_sentiment(std::int64_t count, const SentimentOptions& options) {
  const std::vector<std::string> praise{"wonderful", "moving", "brilliant", "charming", "funny", "gripping", "superb"};
  const std::vector<std::string> blame{"dull", "tedious", "clumsy", "shallow", "awful", "lifeless", "silly"};
  const std::vector<std::string> things{"film", "story", "script", "cast", "ending", "music", "direction"};
  const std::vector<std::string> links{"and", "while", "because", ","};
  Labelled all;
  Random random(options.seed, 1);
  for (std::int64_t i = 0; i < count; ++i) {
    const int label = static_cast<int>(random.below(2));
    std::string text;
    const std::uint64_t clauses = 1 + random.below(3);
    for (std::uint64_t c = 0; c < clauses; ++c) {
      const bool negated = random.below(3) == 0;
      const bool positive = (label == 1) != negated;
      text += fmt::format("{}the {} is {}{} ", c == 0 ? "" : one_of(random, links) + " ", one_of(random, things),
                          negated ? "not " : "", one_of(random, positive ? praise : blame));
    }
    all.add(text, label);
  }
  return split_and_build(all, options, "reviews by a small grammar");
}

TextData text_file(const std::string& path, const LanguageOptions& options) {
  return language_parts(text_of(path), options, path);
}

// The verb agrees with a noun that stands several words before it, which no bigram sees.
TextData synthetic_text(std::int64_t words, const LanguageOptions& options, std::uint64_t seed) {
  const std::vector<std::string> nouns{"dog", "bird", "child", "king", "ship"};
  const std::vector<std::string> verbs{"barks", "sings", "plays", "rules", "sails"};
  const std::vector<std::string> places{"house", "hill", "sea", "road"};
  const std::vector<std::string> kinds{"old", "small", "red", "quiet"};
  std::string text;
  Random random(seed, 2);
  for (std::int64_t count = 0; count < words; count += 9) {
    const auto who = static_cast<std::size_t>(random.below(nouns.size()));
    text += fmt::format("the {} {} near the {} {} .\n", one_of(random, kinds), nouns[who], one_of(random, places),
                        verbs[who]);
  }
  return language_parts(text, options, "sentences by a small grammar");
}

}  // namespace skua::datasets
