// What trained models make: words and pictures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skua/layers/model.h"
#include "skua/layers/text.h"

namespace skua {

struct TextOptions {
  std::int64_t words = 100;
  // Logits are divided by it before the softmax that words are drawn from: below 1 the likely ones become likelier; 0
  // takes the likeliest.
  double temperature = 0.8;
  std::uint64_t seed = 0;
};
// Goes on from `prompt` word by word with a language model: token ids int32 (length) to logits (vocabulary) of the next
// word, or (length,vocabulary) of which the last step counts. Shorter prompts are padded in front; unknown words are
// never drawn. Returns the ids that were added. Throws std::invalid_argument where model, vocabulary and temperature do
// not fit.
[[nodiscard]] std::vector<std::int32_t> generate_text(Model& model, const Vocabulary& vocabulary,
                                                      std::vector<std::int32_t> prompt,
                                                      const TextOptions& options = {});
// Words with spaces between them, but not in front of marks.
[[nodiscard]] std::string joined(const Vocabulary& vocabulary, const std::vector<std::int32_t>& ids);

// Standard normal numbers (count, latent shape), for a generator.
[[nodiscard]] Tensor noise(std::int64_t count, const Shape& latent, std::uint64_t seed = 0);

// Writes what a generator of images makes of 64 fixed pieces of noise, after each epoch: "<directory>/epoch-003.png".
class SampleGrid final : public Callback {
 public:
  explicit SampleGrid(std::string directory, Shape latent = {100})
      : directory_(std::move(directory)), latent_(latent) {}
  void on_epoch_end(Model& model, const EpochLogs& logs) override;

 private:
  std::string directory_;
  Shape latent_;
};

}  // namespace skua
