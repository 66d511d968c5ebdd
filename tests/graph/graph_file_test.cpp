// Saved graphs: round trips, and files that are damaged or tell lies.
#include "skua/graph/graph_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "graph/small_graphs.h"

namespace skua::test {
namespace {

class GraphFile : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "skua_graph_file_" + GetParam();
    std::filesystem::create_directories(directory_);
    path_ = directory_ + "/graph." + GetParam();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string read() const {
    std::ifstream in(path_, std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    return bytes.str();
  }
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  // A damaged file either describes a graph, which then survives a round trip, or is refused by name.
  // Returns whether it was refused.
  bool expect_graph_or_refusal(const std::string& bytes) {
    write(bytes);
    try {
      const Graph graph = load_graph(path_);
      save_graph(graph, path_);
      EXPECT_EQ(fingerprint(load_graph(path_)), fingerprint(graph));
      return false;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(path_), std::string::npos) << error.what();
      return true;
    }
  }

  std::string directory_;
  std::string path_;
};

TEST_P(GraphFile, RoundTrip) {
  for (const Op& optimizer : {adam(), sgd(0), sgd(0.9)}) {
    const Graph graph = training_graph(optimizer);
    save_graph(graph, path_);
    const Graph loaded = load_graph(path_);
    EXPECT_EQ(fingerprint(loaded), fingerprint(graph));
    EXPECT_EQ(to_dot(loaded), to_dot(graph));
    EXPECT_EQ(loaded.outputs(), graph.outputs());
  }
}

// A graph with every kind of value, phase and attribute.
Graph tiny_graph() {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 3}});
  const ValueId labels = graph.add_input("l", {{2}, DType::kInt32});
  const ValueId w = graph.add_parameter("w", {2, 3});
  const ValueId y = graph.add_node({"dense", {}}, {x, w}, "y").at(0);
  const ValueId loss = graph.add_node(cross_entropy(0.5), {y, labels}, "loss").at(0);
  graph.mark_output(loss);
  append_updates(graph, append_gradients(graph, loss), sgd(0.9));
  return graph;
}

TEST_P(GraphFile, Truncations) {
  save_graph(tiny_graph(), path_);
  const std::string bytes = read();
  ASSERT_GT(bytes.size(), 100U);
  std::size_t refused = 0;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    refused += expect_graph_or_refusal(bytes.substr(0, length)) ? 1 : 0;
  }
  EXPECT_GT(refused, bytes.size() / 2);
}

TEST_P(GraphFile, FlippedBytes) {
  save_graph(tiny_graph(), path_);
  const std::string bytes = read();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int mask : {0x01, 0x04, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      refused += expect_graph_or_refusal(damaged) ? 1 : 0;
    }
  }
  EXPECT_GT(refused, bytes.size());
}

TEST_P(GraphFile, MissingAndUnwritable) {
  EXPECT_THROW((void)load_graph(directory_ + "/none." + GetParam()), std::invalid_argument);
  EXPECT_EQ(message_of([&] { (void)load_graph(directory_); }),
            "[load_graph " + directory_ + "] expected a readable file, got: Is a directory");
  EXPECT_THROW(save_graph(tiny_graph(), directory_ + "/no/such/place." + GetParam()), std::runtime_error);
}

INSTANTIATE_TEST_SUITE_P(Formats, GraphFile, testing::Values("skua", "json"),
                         [](const auto& format) { return format.param; });

class Lies : public GraphFile {
 protected:
  // The message of loading the tiny graph after one replacement in its text.
  std::string error_after(const std::string& from, const std::string& to) {
    save_graph(tiny_graph(), path_);
    std::string text = read();
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write(text.replace(at, from.size(), to));
    return message_of([&] { (void)load_graph(path_); });
  }
};

TEST_P(Lies, AreRefusedByTheGraphsOwnChecks) {
  const std::string start = "[load_graph " + path_ + "] ";
  EXPECT_EQ(error_after("\"version\": 1", "\"version\": 2"), start + "expected format version 1, got 2");
  EXPECT_EQ(error_after("\"type\": \"dense\"", "\"type\": \"danse\""),
            start + "[danse y] expected a known operator type, got 'danse'");
  EXPECT_EQ(error_after("\"3\"", "\"4\""), start + "[dense y] expected weight (2,4), got (2,3)");
  EXPECT_EQ(error_after("\"name\": \"y\"", "\"name\": \"x\""),
            start + "[dense y] [value x] expected a new name, got that of another value");
  EXPECT_EQ(error_after("\"kind\": \"INPUT\"", "\"kind\": \"INTERMEDIATE\"").substr(0, start.size()), start);
  EXPECT_EQ(error_after("\"phase\": \"UPDATE\"", "\"phase\": \"FORWARD\""),
            start + "[sgd_update w.update] expected phase kUpdate, got another phase");
  EXPECT_EQ(error_after("\"mirrors\": 2", "\"mirrors\": 77").substr(0, start.size()), start);
  EXPECT_EQ(error_after("\"outputs\": [", "\"outputs\": [ 3,"),
            start + "[dense y] expected the ids of its outputs, got others");
  EXPECT_EQ(error_after("\"inputs\": [", "\"inputs\": [ 99,").substr(0, start.size()), start);
  EXPECT_EQ(error_after("\"type\": \"dense\"", "\"type\": \"two\\nlines\""),
            start + "[two lines y] expected a known operator type, got 'two lines'");
  const std::string broken = error_after("\"version\": 1", "\"version\" 1");  // protobuf says it in three lines
  EXPECT_EQ(broken.find(start + "expected a saved graph in JSON, got "), 0U) << broken;
  EXPECT_EQ(broken.find('\n'), std::string::npos) << broken;
}

INSTANTIATE_TEST_SUITE_P(Json, Lies, testing::Values("json"), [](const auto& format) { return format.param; });

}  // namespace
}  // namespace skua::test
