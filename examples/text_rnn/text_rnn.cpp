// Trains a recurrent net to tell praise from blame in movie reviews (the argument is the folder with rt-polarity.pos and
// rt-polarity.neg), or in reviews that Skua writes.
#include <skua/skua.h>

#include <iostream>

using namespace skua;

int main(int argc, char** argv) {
  const TextData reviews = argc > 1 ? datasets::sentiment(argv[1]) : datasets::synthetic_sentiment();
  const auto& [train, test] = reviews.data;

  Sequential model({100}, DType::kInt32);  // token ids
  model.add(Embedding(10000, 128, {.mask_zero = true}))
      .add(Dropout(0.5))
      .add(SimpleRNN(64))
      .add(Dropout(0.5))
      .add(Dense(1, {.activation = "sigmoid"}));

  model.compile({.optimizer = AdamW(1e-3, 1e-1, {.clipping = {.global_norm = 1}}),
                 .loss = BinaryCrossentropy(),
                 .devices = "cpu:2"});
  model.fit(*train, {.batch_size = 64, .epochs = 3, .validation = test.get()});
  std::cout << "test accuracy " << model.evaluate(*test).metric("accuracy") << '\n';

  Tensor review(ValueType{{1, 100}, DType::kInt32});  // padded in front
  const std::vector<std::int32_t> words = reviews.vocabulary.ids("the story is dull and the ending is awful");
  std::copy(words.begin(), words.end(), review.ints().end() - std::ssize(words));
  std::cout << "a bad review is praise with probability " << model.predict(review).floats()[0] << '\n';
}
