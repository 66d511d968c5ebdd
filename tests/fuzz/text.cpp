// Text as a language model's data, as movie reviews, and as a vocabulary.
#include "skua/layers/text.h"

#include <filesystem>

#include "data_sets.h"

namespace skua::test {
namespace {

void check_ids(const TextData& text) {
  check_rows(text.data);
  for (std::int32_t id = 2; id < text.vocabulary.size(); ++id) {
    require(text.vocabulary.id(text.vocabulary.word(id)) == id, "a word's own id");
  }
}

void check_vocabulary(const std::string& path) {
  const auto vocabulary = accepted([&] { return Vocabulary::load(path); });
  if (!vocabulary) return;
  const std::string saved = fuzz_folder() / "saved";
  vocabulary->save(saved);
  const Vocabulary again = Vocabulary::load(saved);
  require(again.size() == vocabulary->size(), "a saved vocabulary to be the same when it is read");
  for (std::int32_t id = 0; id < again.size(); ++id) require(again.word(id) == vocabulary->word(id), "the same words");
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const std::string text = text_of(data, size);
  const std::string path = fuzz_folder().write("rt-polarity.pos", text);
  static const std::string negative = fuzz_folder().write("rt-polarity.neg", "dull\nnot funny\n");
  for (const bool every_step : {false, true}) {
    const datasets::LanguageOptions options{
        .length = 3, .vocabulary_size = 8, .every_step = every_step, .held_out = 0.4};
    if (const auto read = accepted([&] { return datasets::text_file(path, options); })) check_ids(*read);
  }
  const datasets::SentimentOptions options{.length = 4, .vocabulary_size = 8, .held_out = 0.4};
  const auto reviews = accepted([&] { return datasets::sentiment(fuzz_folder() / ".", options); });
  if (reviews) check_ids(*reviews);
  check_vocabulary(path);
  return 0;
}
