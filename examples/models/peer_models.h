// The four models as the PyTorch peer of `skua bench models` trains them: no dropout but the GAN's, no masks, no batch
// norm, and Adam with eps 1e-7 for all parameters.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "skua/skua.h"

namespace skua::models {

struct PeerModel {
  std::string name;  // the peer's: cnn, rnn, lstm, gan
  std::function<Model()> make;
  CompileOptions compile;
  // Eight batches of the peer's data, in memory: uniform pixels, words and labels.
  std::function<std::shared_ptr<const Dataset>(std::int64_t batch)> data;
  std::vector<std::int64_t> batches;
};

[[nodiscard]] const std::vector<PeerModel>& peer_models();
// Throws std::invalid_argument where `name` is none of theirs.
[[nodiscard]] const PeerModel& peer_model(const std::string& name);

}  // namespace skua::models
