// Data from arrays, CSV files and CIFAR-10's files.
#include <fmt/format.h>

#include "files.h"
#include "layers/dataset_rows.h"

namespace skua::test {
namespace {

using testing::error_of;
using testing::read_all;
using testing::read_rows;
using testing::Rows;

Tensor floats(const Shape& shape, const std::vector<float>& values) {
  Tensor tensor(ValueType{shape});
  std::copy(values.begin(), values.end(), tensor.floats().begin());
  return tensor;
}

Tensor ints(const std::vector<std::int32_t>& values) {
  Tensor tensor(ValueType{{std::ssize(values)}, DType::kInt32});
  std::copy(values.begin(), values.end(), tensor.ints().begin());
  return tensor;
}

// The float32 labels (N,1) of a data set.
std::vector<float> float_labels(const Dataset& data) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(data.size()));
  std::iota(rows.begin(), rows.end(), 0);
  Tensor features(ValueType{{data.size(), data.feature_type().shape[0]}});
  Tensor labels(ValueType{{data.size(), 1}});
  data.read(rows, features, labels);
  return {labels.floats().begin(), labels.floats().end()};
}

TEST(Arrays, ReadRowsInAnyOrder) {
  const auto data = datasets::arrays(floats({3, 2}, {1, 2, 3, 4, 5, 6}), ints({2, 0, 1}), 3, "mine");
  EXPECT_EQ(data->size(), 3);
  EXPECT_EQ(data->feature_type(), (ValueType{{2}}));
  EXPECT_EQ(data->label_type(), (ValueType{{}, DType::kInt32}));
  const Rows rows = read_rows(*data, {2, 0, 2});
  EXPECT_EQ(rows.features, (std::vector<float>{5, 6, 1, 2, 5, 6}));
  EXPECT_EQ(rows.labels, (std::vector<std::int32_t>{1, 2, 1}));
}

TEST(Arrays, RefuseWhatDoesNotFit) {
  const auto error = [](const Tensor& features, const Tensor& labels, int classes) {
    return error_of([&] { (void)datasets::arrays(features, labels, classes, "mine"); });
  };
  const Tensor features = floats({2, 1}, {1, 2});
  const Tensor labels = ints({0, 3});
  EXPECT_EQ(error(features, ints({0, 0, 0}), 2),
            "[mine] expected features (N,...) and labels (N,...), got float32(2,1) and int32(3)");
  EXPECT_EQ(error(features, labels, 3), "[mine] expected labels in 0..2, got 3");
  EXPECT_EQ(error(features, labels, 0), "[mine] expected classes with int32 labels alone, got 0 and int32(2)");
  EXPECT_EQ(error(features, features, 2), "[mine] expected classes with int32 labels alone, got 2 and float32(2,1)");
}

TEST(Csv, TakesQuotesNamesNumbersAndCarriageReturns) {
  const Folder folder("csv");
  const std::string path = folder.write("a.csv", "\"width, in\"\" \",kind,height\r\n1.5,2,-3e2\r\n\"4\",0, 6 \n");
  const auto data = datasets::csv(path, {.label = "kind", .classes = 3});
  const Rows rows = read_all(*data);
  EXPECT_EQ(rows.features, (std::vector<float>{1.5F, -300, 4, 6}));
  EXPECT_EQ(rows.labels, (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(data->classes(), 3);
  EXPECT_EQ(read_all(*datasets::csv(path, {.label = "2", .classes = 3})).labels, rows.labels);

  const std::string bare = folder.write("b.csv", "1;2;0.5\n3;4;0.25");
  const auto values = datasets::csv(bare, {.header = false, .delimiter = ';'});
  EXPECT_EQ(values->label_type(), (ValueType{{1}}));
  EXPECT_EQ(values->feature_type(), (ValueType{{2}}));
  EXPECT_EQ(float_labels(*values), (std::vector<float>{0.5F, 0.25F}));
}

TEST(Csv, ErrorsNameFileLineAndColumn) {
  const Folder folder("csv_errors");
  const auto error = [&](const std::string& content, const datasets::CsvOptions& options = {}) {
    const std::string path = folder.write("bad.csv", content);
    std::string message = error_of([&] { (void)datasets::csv(path, options); });
    EXPECT_EQ(message.find("[" + path + "] "), 0U) << message;
    return message.substr(std::min(message.size(), path.size() + 3));
  };
  EXPECT_EQ(error("a,b\n1,x\n"), "line 2, column 2: expected a number, got 'x'");
  EXPECT_EQ(error("a,b\n1,2\n1,\n"), "line 3, column 2: expected a number, got ''");
  EXPECT_EQ(error("a,b\n1,nan\n"), "line 2, column 2: expected a number, got 'nan'");
  EXPECT_EQ(error("a,b\n1,2,3\n"), "line 2: expected 2 fields, got 3");
  EXPECT_EQ(error("a,b\n"), "expected rows, got none");
  EXPECT_EQ(error("a\n1\n"), "expected two columns or more, got 1");
  EXPECT_EQ(error("a,b\n1,2\n", {.label = "c"}), "expected a label column of a, b, got 'c'");
  EXPECT_EQ(error("a,b\n1,2\n", {.label = "3"}), "expected a label column of a, b, got '3'");
  EXPECT_EQ(error("a,b\n1,2\n", {.classes = 2}), "line 2, column 2: expected a label in 0..1, got 2");
  EXPECT_EQ(error("a,b\n1,0.5\n", {.classes = 2}), "line 2, column 2: expected a label in 0..1, got 0.5");
  EXPECT_EQ(error("a,b\n1,\x1b[2J\n"), "line 2, column 2: expected a number, got ' [2J'");
  const std::string words = error(fmt::format("a,b\n1,{:x>1000}", ""));
  EXPECT_EQ(words, fmt::format("line 2, column 2: expected a number, got '{:x>40}'", ""));
  EXPECT_EQ(error("a\t,b\n1,2\n", {.label = "c"}), "expected a label column of a , b, got 'c'");
  EXPECT_NE(error_of([&] { (void)datasets::csv(folder / "none.csv"); }).find("none.csv"), std::string::npos);
  EXPECT_NE(
      error_of([&] { (void)datasets::csv(folder / "."); }).find("] expected a readable file, got: Is a directory"),
      std::string::npos);
}

// Record i of a file: label i, pixels 0, 1, 2, ... from 10 i on, modulo 256.
std::string cifar_records(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes += static_cast<char>(i);
    for (int pixel = 0; pixel < 3 * 32 * 32; ++pixel) bytes += static_cast<char>((10 * i + pixel) % 256);
  }
  return bytes;
}

TEST(Cifar10, ReadsFiveTrainingFilesAndOneOfTests) {
  const Folder folder("cifar");
  std::filesystem::create_directories(folder / "cifar-10-batches-bin");
  for (int i = 1; i <= 5; ++i) {
    folder.write("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin", cifar_records(i));
  }
  folder.write("cifar-10-batches-bin/test_batch.bin", cifar_records(2));
  const DatasetPair data = datasets::cifar10(folder / "");
  EXPECT_EQ(data.train->size(), 1 + 2 + 3 + 4 + 5);
  EXPECT_EQ(data.test->size(), 2);
  EXPECT_EQ(data.train->feature_type(), (ValueType{{3, 32, 32}}));
  const Rows row = read_rows(*data.train, {14});  // the fifth record of the fifth file
  EXPECT_EQ(row.labels, (std::vector<std::int32_t>{4}));
  for (std::size_t pixel = 0; pixel < row.features.size(); ++pixel) {
    EXPECT_EQ(row.features[pixel], static_cast<float>((40 + pixel) % 256) / 255) << pixel;
  }

  folder.write("cifar-10-batches-bin/test_batch.bin", cifar_records(2) + "x");
  EXPECT_NE(
      error_of([&] { (void)datasets::cifar10(folder / ""); }).find("expected records of 3073 bytes, got 6147 bytes"),
      std::string::npos);
  folder.write("cifar-10-batches-bin/test_batch.bin", cifar_records(11));
  EXPECT_NE(
      error_of([&] { (void)datasets::cifar10(folder / ""); }).find("byte 30730: expected a label in 0..9, got 10"),
      std::string::npos);
}

}  // namespace
}  // namespace skua::test
