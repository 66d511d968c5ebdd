#include "skua/layers/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <stdexcept>

#include "graph/user_file.h"
#include "text_files.h"

namespace skua {
namespace {

bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'';
}

}  // namespace

std::vector<std::string> tokenize(std::string_view text) {
  std::vector<std::string> tokens;
  bool in_word = false;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool word = is_word_byte(c);
    const bool space = c == ' ' || static_cast<unsigned char>(c) < 0x20;
    if (!space) {
      if (word && in_word) {
        tokens.back() += c;
      } else {
        tokens.emplace_back(1, c);
      }
    }
    in_word = word;
  }
  return tokens;
}

Vocabulary::Vocabulary(std::span<const std::string> tokens, std::int64_t size, std::int64_t least_count) {
  if (size < 2) throw std::invalid_argument(fmt::format("[vocabulary] expected a size of 2 or more, got {}", size));
  std::map<std::string, std::int64_t> counts;
  for (const std::string& token : tokens) ++counts[token];
  std::vector<std::pair<std::string, std::int64_t>> words(counts.begin(), counts.end());
  std::stable_sort(words.begin(), words.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  words_ = {"<padding>", "<unknown>"};
  for (const auto& [word, count] : words) {
    if (this->size() == size || count < least_count) break;
    add(word);
  }
}

void Vocabulary::add(const std::string& word) {
  ids_.emplace(word, static_cast<std::int32_t>(words_.size()));
  words_.push_back(word);
}

std::int32_t Vocabulary::id(const std::string& word) const {
  const auto found = ids_.find(word);
  return found == ids_.end() ? kUnknown : found->second;
}

const std::string& Vocabulary::word(std::int32_t id) const {
  return words_.at(static_cast<std::size_t>(id));
}

std::vector<std::int32_t> Vocabulary::ids(std::string_view text) const {
  std::vector<std::int32_t> result;
  for (const std::string& token : tokenize(text)) result.push_back(id(token));
  return result;
}

void Vocabulary::save(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  for (std::size_t i = 2; i < words_.size(); ++i) file << words_[i] << '\n';
  file.close();
  if (!file) throw std::runtime_error(fmt::format("[vocabulary {}] the file cannot be written", path));
}

Vocabulary Vocabulary::load(const std::string& path) {
  Vocabulary vocabulary;
  for (const std::string& word : lines_of(path)) {
    if (vocabulary.ids_.count(word) != 0) {
      throw std::invalid_argument(
          fmt::format("[{}] expected each word once, got '{:.40}' again", path, one_line(word)));
    }
    vocabulary.add(word);
  }
  return vocabulary;
}

std::string text_of(const std::string& path) {
  return bytes_of(path, fmt::format("[{}] ", path));
}

std::vector<std::string> lines_of(const std::string& path) {
  const std::string text = text_of(path);
  std::vector<std::string> lines;
  for (std::size_t first = 0; first < text.size();) {
    const std::size_t end = std::min(text.find('\n', first), text.size());
    lines.push_back(text.substr(first, end - first));
    first = end + 1;
  }
  return lines;
}

namespace {

// Counts of a bigram model.
class KneserNey {
 public:
  KneserNey(std::span<const Bigram> seen, std::int64_t vocabulary_size)
      : uniform_(1 / static_cast<double>(vocabulary_size)) {
    for (const Bigram& bigram : seen) ++pairs_[{bigram.before, bigram.word}];
    double once = 0;
    double twice = 0;
    for (const auto& [pair, count] : pairs_) {
      Before& before = before_[pair.first];
      before.count += count;
      before.followers += 1;
      fronts_[pair.second] += 1;
      once += count == 1 ? 1 : 0;
      twice += count == 2 ? 1 : 0;
    }
    if (once + twice > 0) discount_ = once / (once + 2 * twice);
  }

  [[nodiscard]] double probability(const Bigram& bigram) const {
    const double kinds = std::max<double>(1, static_cast<double>(pairs_.size()));
    const auto front = fronts_.find(bigram.word);
    const double different = front == fronts_.end() ? 0 : front->second;
    // Discounted towards uniform by the same amount for each word that has been seen.
    const double lower =
        (std::max(different - discount_, 0.0) + discount_ * static_cast<double>(fronts_.size()) * uniform_) / kinds;
    const auto before = before_.find(bigram.before);
    if (before == before_.end()) return lower;
    const auto pair = pairs_.find({bigram.before, bigram.word});
    const double count = pair == pairs_.end() ? 0 : pair->second;
    return (std::max(count - discount_, 0.0) + discount_ * before->second.followers * lower) / before->second.count;
  }

 private:
  struct Before {
    double count = 0;
    double followers = 0;
  };
  double uniform_;
  double discount_ = 0.75;
  std::map<std::pair<std::int32_t, std::int32_t>, double> pairs_;
  std::map<std::int32_t, Before> before_;
  std::map<std::int32_t, double> fronts_;  // different words in front of a word
};

}  // namespace

double bigram_perplexity(std::span<const Bigram> seen, std::span<const Bigram> asked, std::int64_t vocabulary_size) {
  if (seen.empty() || asked.empty()) {
    throw std::invalid_argument("[bigram_perplexity] expected words to count and words to ask for, got none");
  }
  const KneserNey model(seen, vocabulary_size);
  double sum = 0;
  for (const Bigram& bigram : asked) sum -= std::log(model.probability(bigram));
  return std::exp(sum / static_cast<double>(asked.size()));
}

std::vector<Bigram> bigrams_of(const Dataset& data) {
  const std::int64_t length = data.feature_type().shape.elements();
  const std::int64_t labels = data.label_type().shape.elements();
  std::vector<Bigram> asked;
  for (std::int64_t row = 0; row < data.size(); ++row) {
    Tensor features(ValueType{{1, length}, DType::kInt32});
    Tensor label(labels == 1 ? ValueType{{1}, DType::kInt32} : ValueType{{1, labels}, DType::kInt32});
    data.read(std::span(&row, 1), features, label);
    for (std::int64_t i = 0; i < labels; ++i) {
      asked.push_back(
          {features.ints()[static_cast<std::size_t>(length - labels + i)], label.ints()[static_cast<std::size_t>(i)]});
    }
  }
  return asked;
}

}  // namespace skua
