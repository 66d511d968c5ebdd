// Where training stands: what a checkpoint holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "skua/graph/tensor.h"

namespace skua {

struct TrainingState {
  std::map<std::string, Tensor> weights;  // by parameter
  std::map<std::string, Tensor> states;   // the optimizer's, by name; empty before the first step
  std::int64_t step = 0;                  // steps done
  std::int64_t epoch = 0;                 // epochs done
  std::int64_t position = 0;              // batches done in the epoch under way
  std::int64_t batch_size = 0;            // of the last fit; 0: none yet
  int micro_batches = 0;                  // likewise
  std::uint64_t seed = 0;
  double learning_rate_factor = 1;
};

// `model` tells one architecture from another. Errors as Model::save_checkpoint and load_checkpoint say.
void save_state(const TrainingState& state, const std::string& model, const std::string& directory);
[[nodiscard]] TrainingState load_state(const std::string& model, const std::string& directory);

}  // namespace skua
