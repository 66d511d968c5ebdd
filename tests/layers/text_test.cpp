// Words, vocabularies, data sets of token ids, the bigram model.
#include "skua/layers/text.h"

#include <cmath>

#include "files.h"
#include "layers/dataset_rows.h"

namespace skua::test {
namespace {

using testing::error_of;
using Words = std::vector<std::string>;
using Ids = std::vector<std::int32_t>;

// Features and labels of all rows, as ids.
std::pair<Ids, Ids> ids_of(const Dataset& data) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(data.size()));
  std::iota(rows.begin(), rows.end(), 0);
  const std::int64_t labels_per_row = data.label_type().shape.elements();
  Tensor features(ValueType{{data.size(), data.feature_type().shape[0]}, DType::kInt32});
  Tensor labels(data.label_type().shape.rank() == 0
                    ? ValueType{{data.size()}, DType::kInt32}
                    : ValueType{{data.size(), labels_per_row}, data.label_type().dtype});
  data.read(rows, features, labels);
  Ids label_ids;
  if (data.label_type().dtype == DType::kInt32)
    label_ids = {labels.ints().begin(), labels.ints().end()};
  else
    for (const float label : labels.floats()) label_ids.push_back(static_cast<std::int32_t>(label));
  return {{features.ints().begin(), features.ints().end()}, label_ids};
}

TEST(Tokenize, WordsAndMarks) {
  EXPECT_EQ(tokenize("It's GOOD,\tisn't it?\nÜber 3.5--so"),
            (Words{"it's", "good", ",", "isn't", "it", "?", "Über", "3", ".", "5", "-", "-", "so"}));
  EXPECT_EQ(tokenize(" \r\n "), Words{});
}

TEST(Vocabulary, FrequentWordsFirstThenByAlphabet) {
  const Words tokens{"b", "c", "a", "a", "c", "d"};
  const Vocabulary all(tokens, 100);
  EXPECT_EQ(all.size(), 6);
  for (const auto& [word, id] : std::map<std::string, std::int32_t>{{"a", 2}, {"c", 3}, {"b", 4}, {"d", 5}, {"e", 1}}) {
    EXPECT_EQ(all.id(word), id) << word;
  }
  EXPECT_EQ(all.ids("C, a x"), (Ids{3, 1, 2, 1}));
  EXPECT_EQ(all.word(4), "b");
  EXPECT_THROW((void)all.word(6), std::out_of_range);
  EXPECT_EQ(Vocabulary(tokens, 4).size(), 4);
  EXPECT_EQ(Vocabulary(tokens, 4).id("b"), Vocabulary::kUnknown);
  EXPECT_EQ(Vocabulary(tokens, 100, 2).size(), 4);
  EXPECT_EQ(error_of([&] { Vocabulary(tokens, 1); }), "[vocabulary] expected a size of 2 or more, got 1");
}

TEST(Vocabulary, FilesGiveTheSameIds) {
  const Folder folder("vocabulary");
  const Vocabulary written(Words{"b", "a", "a"}, 10);
  written.save(folder / "words.txt");
  EXPECT_EQ(content_of(folder / "words.txt"), "a\nb\n");
  const Vocabulary read = Vocabulary::load(folder / "words.txt");
  EXPECT_EQ(read.size(), 4);
  EXPECT_EQ(read.ids("b a c"), written.ids("b a c"));
  folder.write("twice.txt", "a\nb\na\n");
  EXPECT_EQ(error_of([&] { (void)Vocabulary::load(folder / "twice.txt"); }),
            "[" + folder / "twice.txt" + "] expected each word once, got 'a' again");
  folder.write("twice.txt", "a\rb\na\rb\n");
  EXPECT_EQ(error_of([&] { (void)Vocabulary::load(folder / "twice.txt"); }),
            "[" + folder / "twice.txt" + "] expected each word once, got 'a b' again");
  EXPECT_NE(error_of([&] { (void)Vocabulary::load(folder / "none.txt"); }).find("none.txt"), std::string::npos);
  EXPECT_THROW(written.save(folder / "none/words.txt"), std::runtime_error);
}

TEST(TextClassification, PadsAndCutsInFront) {
  const Words texts{"a b", "a b a b a"};
  const std::vector<int> labels{1, 0};
  const Vocabulary vocabulary(Words{"a", "b"}, 10);
  const auto data = datasets::text_classification(texts, labels, vocabulary, 4, "texts");
  EXPECT_EQ(ids_of(*data), (std::pair<Ids, Ids>{{0, 0, 2, 3, 3, 2, 3, 2}, {1, 0}}));
  EXPECT_EQ(data->label_type(), (ValueType{{1}}));
  const auto error = [&](std::vector<int> given, std::int64_t length) {
    return error_of([&] { (void)datasets::text_classification(texts, given, vocabulary, length, "texts"); });
  };
  EXPECT_EQ(error({1}, 4), "[texts] expected one label for each text, got 1 labels and 2 texts");
  EXPECT_EQ(error({1, 2}, 4), "[texts] expected labels 0 and 1, got 2");
  EXPECT_EQ(error({1, 0}, 0), "[texts] expected a length of 1 or more, got 0");
}

TEST(LanguageModel, WindowsWithWhatComesNext) {
  const Vocabulary vocabulary(Words{"a", "b", "c"}, 10);
  const Ids text{2, 3, 4, 2, 2, 3};
  const auto next = [&](std::int64_t stride, bool every_step) {
    return ids_of(*datasets::language_model(text, vocabulary, 2, stride, every_step, "text"));
  };
  EXPECT_EQ(next(1, false), (std::pair<Ids, Ids>{{2, 3, 3, 4, 4, 2, 2, 2}, {4, 2, 2, 3}}));
  EXPECT_EQ(next(2, false), (std::pair<Ids, Ids>{{2, 3, 4, 2}, {4, 2}}));
  EXPECT_EQ(next(3, true), (std::pair<Ids, Ids>{{2, 3, 2, 2}, {3, 4, 2, 3}}));
  EXPECT_EQ(error_of([&] {
              (void)datasets::language_model({2, 3}, vocabulary, 2, 1, false, "text");
            }),
            "[text] expected more than 2 words, got 2");
}

TEST(Sentiment, HoldsOutAShareOfEachClass) {
  const Folder folder("sentiment");
  std::string good;
  std::string bad;
  for (int i = 0; i < 20; ++i) {
    good += "good film\n";
    if (i < 10) bad += "bad film\n";
  }
  folder.write("rt-polarity.pos", good);
  folder.write("rt-polarity.neg", bad);
  const TextData text = datasets::sentiment(folder / "", {.length = 3, .held_out = 0.2});
  const auto [features, labels] = ids_of(*text.data.test);
  EXPECT_EQ(labels.size(), 6U);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 1), 4);
  EXPECT_EQ(text.data.train->size(), 24);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    EXPECT_EQ(features[3 * i + 1], text.vocabulary.id(labels[i] == 1 ? "good" : "bad"));
  }
  std::filesystem::remove(folder / "rt-polarity.neg");
  EXPECT_NE(error_of([&] { (void)datasets::sentiment(folder / ""); }).find("rt-polarity.neg"), std::string::npos);
}

TEST(TextFile, TestsOnTheEndWithTheVocabularyOfTheRest) {
  const Folder folder("text_file");
  const TextData text =
      datasets::text_file(folder.write("a.txt", "a a a a b b b c\nd a"), {.length = 1, .held_out = 0.2});
  EXPECT_EQ(text.vocabulary.size(), 5);  // without d
  EXPECT_EQ(ids_of(*text.data.train), (std::pair<Ids, Ids>{{2, 2, 2, 2, 3, 3, 3}, {2, 2, 2, 3, 3, 3, 4}}));
  EXPECT_EQ(ids_of(*text.data.test), (std::pair<Ids, Ids>{{1}, {2}}));
}

// By hand: n1 = 2, n2 = 1, d = 1/2; words 2, 3 and 4 have q = (1 - d + d 3/6) / 3 = 1/4, the other three q = 1/12.
TEST(Bigrams, PerplexityByHand) {
  const std::vector<Bigram> seen{{2, 3}, {2, 3}, {2, 4}, {3, 2}};
  const auto probability = [&](const Bigram& bigram) { return 1 / bigram_perplexity(seen, std::span(&bigram, 1), 6); };
  EXPECT_NEAR(probability({2, 3}), 7.0 / 12, 1e-12);
  EXPECT_NEAR(probability({2, 4}), 1.0 / 4, 1e-12);
  EXPECT_NEAR(probability({2, 5}), 1.0 / 36, 1e-12);
  EXPECT_NEAR(probability({5, 4}), 1.0 / 4, 1e-12);
  for (const std::int32_t before : {2, 3, 5}) {
    double sum = 0;
    for (std::int32_t word = 0; word < 6; ++word) sum += probability({before, word});
    EXPECT_NEAR(sum, 1, 1e-12) << before;
  }
  const std::vector<Bigram> asked{{2, 3}, {2, 5}, {5, 4}};
  EXPECT_NEAR(bigram_perplexity(seen, asked, 6), std::cbrt(12.0 / 7 * 36 * 4), 1e-9);
  EXPECT_NE(error_of([&] { (void)bigram_perplexity({}, asked, 6); }).find("expected words to count"),
            std::string::npos);
}

TEST(Bigrams, OfADataSetAreItsQuestions) {
  const Vocabulary vocabulary(Words{"a", "b", "c"}, 10);
  const auto asked = [&](bool every_step) {
    std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
    for (const Bigram& b : bigrams_of(*datasets::language_model({2, 3, 4, 2}, vocabulary, 2, 1, every_step, "text"))) {
      pairs.emplace_back(b.before, b.word);
    }
    return pairs;
  };
  EXPECT_EQ(asked(false), (std::vector<std::pair<std::int32_t, std::int32_t>>{{3, 4}, {4, 2}}));
  EXPECT_EQ(asked(true), (std::vector<std::pair<std::int32_t, std::int32_t>>{{2, 3}, {3, 4}, {3, 4}, {4, 2}}));
}

}  // namespace
}  // namespace skua::test
