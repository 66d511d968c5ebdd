// The four models as the PyTorch peer trains them: no dropout but the GAN's, no masks, no batch norm, and Adam with
// eps 1e-7 for all parameters.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "skua/skua.h"

namespace skua::cli {

struct PeerModel {
  std::string name;  // the peer's: cnn, rnn, lstm, gan
  std::function<Model()> make;
  CompileOptions compile;
  std::function<std::shared_ptr<const Dataset>()> data;
  std::vector<std::int64_t> batches;
};

[[nodiscard]] const std::vector<PeerModel>& peer_models();

}  // namespace skua::cli
