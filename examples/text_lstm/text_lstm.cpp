// Trains an LSTM to say the next word of a text file (the argument), or of sentences that Skua writes; then writes some.
#include <skua/skua.h>

#include <iostream>

using namespace skua;

int main(int argc, char** argv) {
  const TextData text = argc > 1 ? datasets::text_file(argv[1]) : datasets::synthetic_text();
  const auto& [train, test] = text.data;

  Sequential model({100}, DType::kInt32);  // token ids
  model.add(Embedding(10000, 128)).add(LSTM(128)).add(Dropout(0.2)).add(Dense(10000));

  model.compile({.optimizer = Adam(2e-3, {.clipping = {.global_norm = 1}}),
                 .metrics = {metrics::perplexity(), metrics::accuracy()},
                 .devices = "cpu:2"});
  model.fit(*train, {.batch_size = 128, .epochs = 3, .validation = test.get()});
  std::cout << "perplexity " << model.evaluate(*test).metric("perplexity") << ", that of a bigram model "
            << bigram_perplexity(bigrams_of(*train), bigrams_of(*test), text.vocabulary.size()) << '\n';

  const std::string prompt = "the";
  const auto words = generate_text(model, text.vocabulary, text.vocabulary.ids(prompt), {.words = 60});
  std::cout << prompt << ' ' << joined(text.vocabulary, words) << '\n';
}
