// Text as data: words, vocabularies, and data sets of token ids. Data sets are immutable and safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skua/layers/dataset.h"

namespace skua {

// Lower case (of ASCII); words with their apostrophes and digits, every other ASCII mark a token of its own. Bytes from
// 0x80 on count as letters, whatever the encoding.
[[nodiscard]] std::vector<std::string> tokenize(std::string_view text);

// The most frequent words, equally frequent ones in alphabetical order. Id 0 is padding, id 1 any other word.
class Vocabulary {
 public:
  static constexpr std::int32_t kPadding = 0;
  static constexpr std::int32_t kUnknown = 1;

  Vocabulary() : Vocabulary({}, 2) {}
  // At most `size` ids, of words that occur `least_count` times. Throws std::invalid_argument where `size` is below 2.
  Vocabulary(std::span<const std::string> tokens, std::int64_t size, std::int64_t least_count = 1);

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(words_.size()); }
  [[nodiscard]] std::int32_t id(const std::string& word) const;  // kUnknown where it is not known
  [[nodiscard]] const std::string& word(std::int32_t id) const;  // throws std::out_of_range
  [[nodiscard]] std::vector<std::int32_t> ids(std::string_view text) const;

  // A text file, one word a line in order of the ids from 2 on. load throws std::invalid_argument where it is missing
  // or has a word twice, save std::runtime_error where it cannot be written.
  void save(const std::string& path) const;
  [[nodiscard]] static Vocabulary load(const std::string& path);

 private:
  void add(const std::string& word);
  std::vector<std::string> words_;
  std::map<std::string, std::int32_t> ids_;
};

struct TextData {
  DatasetPair data;
  Vocabulary vocabulary;
};

namespace datasets {

// Token ids int32 (length) with the label 0 or 1, float32 (1). As in Keras, longer texts lose their front and shorter
// ones are padded there.
[[nodiscard]] std::shared_ptr<const Dataset> text_classification(std::span<const std::string> texts,
                                                                 std::span<const int> labels,
                                                                 const Vocabulary& vocabulary, std::int64_t length,
                                                                 std::string description);

// Windows of `length` ids that begin at every `stride`-th position, each with the id that comes next, int32 (); or,
// with `every_step`, with the id behind each of them, int32 (length). Throws std::invalid_argument where the text is
// too short.
[[nodiscard]] std::shared_ptr<const Dataset> language_model(std::vector<std::int32_t> ids, const Vocabulary& vocabulary,
                                                            std::int64_t length, std::int64_t stride, bool every_step,
                                                            std::string description);

struct SentimentOptions {
  std::int64_t length = 100;
  std::int64_t vocabulary_size = 10000;
  double held_out = 0.1;  // of each class, for testing
  std::uint64_t seed = 1;
};
// Movie reviews, one a line, in rt-polarity.pos and rt-polarity.neg of a folder. The vocabulary is that of the training
// part. Pang and Lee, "Seeing stars", ACL 2005.
[[nodiscard]] TextData sentiment(const std::string& directory, const SentimentOptions& options = {});
// Reviews by a small grammar with praise, blame and negation.
[[nodiscard]] TextData synthetic_sentiment(std::int64_t count = 4000, const SentimentOptions& options = {});

struct LanguageOptions {
  std::int64_t length = 100;
  std::int64_t vocabulary_size = 10000;
  std::int64_t stride = 1;
  bool every_step = false;
  double held_out = 0.1;  // the end of the text, for testing
};
// Any text file. The vocabulary is that of the training part.
[[nodiscard]] TextData text_file(const std::string& path, const LanguageOptions& options = {});
// Sentences by a small grammar.
[[nodiscard]] TextData synthetic_text(std::int64_t words = 20000, const LanguageOptions& options = {},
                                      std::uint64_t seed = 1);

}  // namespace datasets

// A word and the one before it.
struct Bigram {
  std::int32_t before;
  std::int32_t word;
};
// e to the mean negative logarithm of the probabilities that a bigram model gives to the `asked` words:
// p(w|v) = (max(n(v,w) - d, 0) + d k(v) q(w)) / n(v), where n counts what was `seen`, k(v) is the number of different
// words behind v, and q(w) the share of different words in front of w, discounted likewise towards uniform over the
// vocabulary. Interpolated Kneser-Ney: Chen and Goodman, "An empirical study of smoothing techniques for language
// modeling", 1999, with the discount d = n1 / (n1 + 2 n2) of their equation 26.
[[nodiscard]] double bigram_perplexity(std::span<const Bigram> seen, std::span<const Bigram> asked,
                                       std::int64_t vocabulary_size);
// The last id of each window, and each label: what a language model data set asks for.
[[nodiscard]] std::vector<Bigram> bigrams_of(const Dataset& data);

}  // namespace skua
