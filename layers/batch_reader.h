// Batches of a data set, read ahead on a thread of their own while the last one is used.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "skua/layers/dataset.h"

namespace skua {

struct Batch {
  std::int64_t samples = 0;
  Tensor features;
  Tensor labels;
};

class BatchReader {
 public:
  // Reads `rows` in their order, `batch_size` at a time; the last batch may be smaller. `data` must outlive the reader.
  BatchReader(const Dataset& data, std::vector<std::int64_t> rows, std::int64_t batch_size, std::int64_t epoch);

  // The next batch, valid until the next call. Throws what Dataset::read has thrown for it. REQUIRES: one is left, and
  // no call has thrown.
  const Batch& next();

 private:
  void read_ahead(const std::stop_token& stop);
  void read(std::size_t first, Batch& into) const;

  const Dataset& data_;
  std::vector<std::int64_t> rows_;
  std::size_t batch_size_;
  std::int64_t epoch_;
  Batch current_;
  std::mutex mutex_;  // of the three members below
  std::condition_variable_any changed_;
  Batch ahead_;
  std::exception_ptr error_;
  bool ready_ = false;   // there is a batch, or an error, ahead
  std::jthread thread_;  // last: it uses the others
};

}  // namespace skua
