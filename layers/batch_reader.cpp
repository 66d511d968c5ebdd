#include "batch_reader.h"

#include <algorithm>
#include <span>

#include "blueprint.h"

namespace skua {

BatchReader::BatchReader(const Dataset& data, std::vector<std::int64_t> rows, std::int64_t batch_size,
                         std::int64_t epoch)
    : data_(data),
      rows_(std::move(rows)),
      batch_size_(static_cast<std::size_t>(batch_size)),
      epoch_(epoch),
      thread_([this](const std::stop_token& stop) { read_ahead(stop); }) {}

const Batch& BatchReader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ready_; });
  if (error_) std::rethrow_exception(error_);
  std::swap(current_, ahead_);
  ready_ = false;
  changed_.notify_one();
  return current_;
}

void BatchReader::read_ahead(const std::stop_token& stop) {
  for (std::size_t first = 0; first < rows_.size(); first += batch_size_) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return !ready_; })) return;
    try {
      read(first, ahead_);
    } catch (...) {
      error_ = std::current_exception();
    }
    ready_ = true;
    changed_.notify_one();
    if (error_) return;
  }
}

void BatchReader::read(std::size_t first, Batch& into) const {
  const auto rows = std::span(rows_).subspan(first, std::min(batch_size_, rows_.size() - first));
  if (into.samples != std::ssize(rows)) {
    into.samples = std::ssize(rows);
    into.features = Tensor(batch_of(into.samples, data_.feature_type()));
    into.labels = Tensor(batch_of(into.samples, data_.label_type()));
  }
  data_.read(rows, into.features, into.labels, epoch_);
}

}  // namespace skua
