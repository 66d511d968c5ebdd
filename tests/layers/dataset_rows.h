// Reading rows of a data set in tests, and the message of an error.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "skua/layers/dataset.h"

namespace skua::testing {

struct Rows {
  std::vector<float> features;  // row after row
  std::vector<std::int32_t> labels;
};

inline Rows read_rows(const Dataset& dataset, const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> extents = dataset.feature_type().shape.extents();
  const auto count = static_cast<std::int64_t>(rows.size());
  extents.insert(extents.begin(), count);
  Tensor features(ValueType{Shape(extents)});
  Tensor labels(ValueType{Shape{count}, DType::kInt32});
  dataset.read(rows, features, labels);
  return {{features.floats().begin(), features.floats().end()}, {labels.ints().begin(), labels.ints().end()}};
}

inline Rows read_all(const Dataset& dataset) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(dataset.size()));
  std::iota(rows.begin(), rows.end(), 0);
  return read_rows(dataset, rows);
}

// The message of the std::invalid_argument that `run` throws; empty, and a failure, where it throws none.
template <class Run>
std::string error_of(const Run& run) {
  try {
    run();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected std::invalid_argument";
  return "";
}

}  // namespace skua::testing
