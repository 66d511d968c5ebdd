// Data sets made from others. The originals are shared, immutable and safe from any thread, and so are these.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "skua/layers/dataset.h"

namespace skua {

// Of images (C,H,W), in this order.
struct Augmentation {
  bool horizontal_flip = false;       // with probability 1/2
  std::int64_t crop_padding = 0;      // shifts by up to so many pixels each way; what is behind the edge is 0
  std::vector<float> mean = {};       // subtracted, by channel; empty: none
  std::vector<float> deviation = {};  // divided by, likewise
};

namespace datasets {

// Flips and shifts are drawn anew for each row and epoch: pure functions of (seed, row, epoch). Throws
// std::invalid_argument where the data set has no images, or mean and deviation do not fit its channels.
[[nodiscard]] std::shared_ptr<const Dataset> augmented(std::shared_ptr<const Dataset> images,
                                                       const Augmentation& augmentation, std::uint64_t seed = 0);
// A validation part of `share` of the rows, drawn by the seed, and the rest. Throws std::invalid_argument where either
// would be empty.
[[nodiscard]] DatasetPair split(std::shared_ptr<const Dataset> data, double share, std::uint64_t seed = 0);

}  // namespace datasets
}  // namespace skua
