// Reads a few rows of what a file has given.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "fuzz.h"
#include "skua/layers/dataset.h"

namespace skua::test {

inline ValueType rows_of(std::int64_t count, const ValueType& row) {
  std::vector<std::int64_t> extents = row.shape.extents();
  extents.insert(extents.begin(), count);
  return {Shape(std::move(extents)), row.dtype};
}

inline void check_rows(const Dataset& data) {
  require(data.size() >= 1, "a row");
  for (const std::int64_t row : {std::int64_t{0}, data.size() / 2, data.size() - 1}) {
    Tensor features(rows_of(1, data.feature_type()));
    Tensor labels(rows_of(1, data.label_type()));
    data.read(std::span(&row, 1), features, labels);
    if (features.type().dtype == DType::kFloat32) {
      const auto numbers = features.floats();
      require(std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); }), "finite features");
    }
    if (labels.type().dtype == DType::kInt32) {
      const auto ids = labels.ints();
      require(std::all_of(ids.begin(), ids.end(), [&](int id) { return id >= 0 && id < data.classes(); }),
              "labels below the number of classes");
    }
  }
}

inline void check_rows(const DatasetPair& data) {
  check_rows(*data.train);
  check_rows(*data.test);
}

}  // namespace skua::test
