#include "skua/scheduler/task_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "cluster_file.h"
#include "constraints_file.h"
#include "graph/message_file.h"
#include "scheduler.pb.h"

namespace skua {
namespace {

double number_in(std::string_view text, const std::string& what) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  throw std::invalid_argument(fmt::format("expected a number as {}, got '{:.40}'", what, text));
}

std::size_t count_in(std::string_view text, const std::string& what) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  throw std::invalid_argument(fmt::format("expected a whole number as {}, got '{:.40}'", what, text));
}

// The standard task graph set's form: the number of tasks but the first and the last, which take no time; then for
// each its number, time, number of predecessors and the predecessors. Comments begin with #. Tobita, Kasahara, "A
// standard task graph set for fair evaluation of multiprocessor scheduling algorithms", J. Scheduling 5(5), 2002.
TimedGraph parse_stg(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream rest(line.substr(0, line.find('#')));
    for (std::string word; rest >> word;) words.push_back(word);
  }
  std::size_t next = 0;
  const auto take = [&](const std::string& what) -> const std::string& {
    if (next < words.size()) return words[next++];
    throw std::invalid_argument(fmt::format("expected {}, got the end of the file", what));
  };
  const std::size_t count = count_in(take("the number of tasks"), "the number of tasks");
  TimedGraph graph;
  while (next < words.size()) {
    const std::string number = take("a task's number");
    if (count_in(number, "a task's number") != graph.tasks.size()) {
      throw std::invalid_argument(fmt::format("expected task {}, got '{}'", graph.tasks.size(), number));
    }
    const double seconds = number_in(take("the time of task " + number), "the time of task " + number);
    const std::size_t predecessors =
        count_in(take("task " + number + "'s number of predecessors"), "task " + number + "'s number of predecessors");
    for (std::size_t i = 0; i < predecessors; ++i) {
      const std::string what = "a predecessor of task " + number;
      graph.edges.push_back({count_in(take(what), what), {graph.tasks.size()}, 0});
    }
    graph.tasks.push_back({number, {{kAnyDevice, seconds}}});
  }
  if (graph.tasks.size() != count && graph.tasks.size() != count + 2) {
    throw std::invalid_argument(
        fmt::format("expected {} tasks and the two that begin and end, got {} in all", count, graph.tasks.size()));
  }
  return graph;
}

// The part of the DOT language (graphviz.org/doc/info/lang.html) that a directed graph with weights needs: no
// subgraphs, no ports.
class DotParser {
 public:
  explicit DotParser(std::string_view text) : text_(text) {}

  TimedGraph parse() {
    accept("strict");
    expect("digraph");
    if (peek() != "{") take();  // its name
    expect("{");
    while (!accept("}")) {
      statement();
      accept(";");
    }
    for (const TimedTask& task : graph_.tasks) {
      if (task.seconds.empty()) {
        throw std::invalid_argument(fmt::format("expected a weight of node {}, got none", task.name));
      }
    }
    return std::move(graph_);
  }

 private:
  using Attributes = std::map<std::string, std::string>;

  void statement() {
    const std::string name = take();
    if (name == "subgraph" || name == "{") throw std::invalid_argument("expected nodes and edges, got a subgraph");
    if (name == "graph" || name == "node" || name == "edge") {
      Attributes& defaults = name == "node" ? node_defaults_ : name == "edge" ? edge_defaults_ : graph_attributes_;
      return attributes(defaults);
    }
    if (accept("=")) return static_cast<void>(take());
    std::vector<std::size_t> path{node(name)};
    while (accept("->")) path.push_back(node(take()));
    Attributes found = path.size() > 1 ? edge_defaults_ : Attributes();
    attributes(found);
    const auto weight = found.find("weight");
    if (path.size() == 1) {
      if (weight != found.end()) {
        graph_.tasks[path[0]].seconds = {{kAnyDevice, number_in(weight->second, "the weight of " + name)}};
      }
      return;
    }
    const double seconds = weight == found.end() ? 0 : number_in(weight->second, "the weight of an edge of " + name);
    for (std::size_t i = 1; i < path.size(); ++i) {
      graph_.edges.push_back({path[i - 1], {path[i]}, seconds * kTimedBytesPerSecond});
    }
  }

  std::size_t node(const std::string& name) {
    if (name.empty() || std::string_view("{}[];,=->").find(name) != std::string_view::npos) {
      throw std::invalid_argument(fmt::format("expected a node's name, got '{}'", name));
    }
    const auto [found, added] = nodes_.emplace(name, graph_.tasks.size());
    if (added) {
      graph_.tasks.push_back({name, {}});
      const auto weight = node_defaults_.find("weight");
      if (weight != node_defaults_.end()) {
        graph_.tasks.back().seconds = {{kAnyDevice, number_in(weight->second, "the weight of nodes")}};
      }
    }
    return found->second;
  }

  void attributes(Attributes& into) {
    while (accept("[")) {
      while (!accept("]")) {
        const std::string name = take();
        expect("=");
        into[name] = take();
        if (!accept(",")) accept(";");
      }
    }
  }

  std::string_view peek() {
    if (!ahead_) {
      token_ = next();
      ahead_ = true;
    }
    return token_;
  }
  std::string take() {
    if (peek().empty() && !quoted_) throw std::invalid_argument("expected a '}', got the end of the file");
    ahead_ = false;
    return token_;
  }
  bool accept(std::string_view word) {
    if (peek() != word || quoted_) return false;
    ahead_ = false;
    return true;
  }
  void expect(std::string_view word) {
    if (!accept(word)) throw std::invalid_argument(fmt::format("expected '{}', got '{:.40}'", word, peek()));
  }

  void skip_space_and_comments() {
    for (;;) {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
      const std::string_view rest = text_.substr(at_);
      const std::string_view end = rest.starts_with("/*") ? "*/" : "\n";
      if (!rest.starts_with("/*") && !rest.starts_with("//") && !rest.starts_with("#")) return;
      const std::size_t found = rest.find(end, rest.starts_with("/*") ? 2 : 0);
      at_ = found == std::string_view::npos ? text_.size() : at_ + found + end.size();
    }
  }

  // Empty and not quoted_ at the end.
  std::string next() {
    skip_space_and_comments();
    quoted_ = false;
    if (at_ == text_.size()) return "";
    if (text_[at_] == '"') return quoted();
    if (text_.substr(at_).starts_with("->")) {
      at_ += 2;
      return "->";
    }
    const std::size_t begin = at_;
    const auto is_word = [&] {
      const auto c = static_cast<unsigned char>(text_[at_]);
      const bool sign = c == '-' && at_ == begin;
      return std::isalnum(c) != 0 || c == '_' || c == '.' || c >= 128 || sign;
    };
    while (at_ < text_.size() && is_word()) ++at_;
    if (at_ == begin) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    quoted_ = true;
    std::string word;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == '"') ++at_;
      word += text_[at_];
    }
    if (at_ == text_.size()) throw std::invalid_argument("expected a closing quote, got the end of the file");
    ++at_;
    return word;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string token_;
  bool ahead_ = false;
  bool quoted_ = false;
  Attributes graph_attributes_;
  Attributes node_defaults_;
  Attributes edge_defaults_;
  std::map<std::string, std::size_t> nodes_;
  TimedGraph graph_;
};

TimedGraph from_message(const proto::TimedGraph& file) {
  TimedGraph graph;
  std::map<std::string, std::size_t> positions;
  for (const auto& task : file.tasks()) {
    positions.emplace(task.name(), graph.tasks.size());
    TimedTask& added = graph.tasks.emplace_back();
    added.name = task.name();
    added.seconds.insert(task.seconds_by_kind().begin(), task.seconds_by_kind().end());
    if (task.has_seconds()) added.seconds.emplace(kAnyDevice, task.seconds());
    added.resident_bytes = task.resident_bytes();
  }
  const auto position = [&](const std::string& name) {
    const auto found = positions.find(name);
    if (found != positions.end()) return found->second;
    throw std::invalid_argument(fmt::format("expected edges between tasks, got one of '{:.80}'", name));
  };
  for (const auto& edge : file.edges()) {
    TimedEdge& added = graph.edges.emplace_back();
    added.from = position(edge.from());
    added.bytes = edge.bytes();
    for (const std::string& to : edge.to()) added.to.push_back(position(to));
  }
  if (file.has_cluster()) graph.cluster = cluster_from(file.cluster());
  graph.constraints = constraints_from(file.constraints());
  return graph;
}

// Copies go through the host. What a node makes is copied in `cost`, once to each memory.
constexpr double kPartitioningBytesPerSecond = 1e6;  // costs to a millionth, and next to nothing of the memory

Cluster partitioning_cluster(int accelerators, int cpus, double accelerator_bytes) {
  if (accelerators < 0 || cpus < 0 || accelerators + cpus < 1 || accelerators > 1024 || cpus > 1024) {
    throw std::invalid_argument(
        fmt::format("expected 1 to 1024 devices, got {} accelerators and {} CPUs", accelerators, cpus));
  }
  std::vector<DeviceSpec> devices;
  std::vector<MemorySpec> memories{{"host", 1e18}};
  std::vector<LinkSpec> links;
  for (int a = 1; a <= accelerators; ++a) {
    const std::string name = fmt::format("accelerator:{}", a - 1);
    devices.push_back({name, "accelerator", MemoryId(a), 1, 1, 0, true});
    memories.push_back({name, accelerator_bytes});
    links.push_back({kHostMemory, MemoryId(a), kPartitioningBytesPerSecond, 0, true});
    links.push_back({MemoryId(a), kHostMemory, kPartitioningBytesPerSecond, 0, true});
  }
  for (int c = 0; c < cpus; ++c) {
    devices.push_back({fmt::format("cpu:{}", c), "cpu", kHostMemory, 1, 1, 0, true});
  }
  return Cluster("accelerators behind a host", std::move(devices), std::move(memories), std::move(links));
}

int whole(const nlohmann::json& value) {
  const double number = value.get<double>();
  if (number >= 0 && number <= 1e9 && std::floor(number) == number) return static_cast<int>(number);
  throw std::invalid_argument(fmt::format("expected a whole number from 0 to 1e9, got {:.40}", value.dump()));
}

bool flag(const nlohmann::json& value) {
  return value.is_boolean() ? value.get<bool>() : value.get<double>() != 0;
}

TimedGraph from_partitioning(const nlohmann::json& file) {
  TimedGraph graph;
  graph.cluster = partitioning_cluster(whole(file.at("maxFPGAs")), whole(file.at("maxCPUs")),
                                       file.at("maxSizePerFPGA").get<double>());
  std::map<int, std::size_t> positions;
  for (const auto& node : file.at("nodes")) {
    const int id = whole(node.at("id"));
    if (!positions.emplace(id, graph.tasks.size()).second) {
      throw std::invalid_argument(fmt::format("expected a new id, got {} again", id));
    }
    TimedTask& task = graph.tasks.emplace_back();
    task.name = fmt::format("{}", id);
    task.seconds.emplace("cpu", node.at("cpuLatency").get<double>());
    if (flag(node.at("supportedOnFpga"))) task.seconds.emplace("accelerator", node.at("fpgaLatency").get<double>());
    task.resident_bytes = node.at("size").get<double>();
    task.backward = flag(node.at("isBackwardNode"));
    if (node.contains("colorClass")) task.group = whole(node.at("colorClass"));
  }
  const auto position = [&](const nlohmann::json& id) {
    const auto found = positions.find(whole(id));
    if (found != positions.end()) return found->second;
    throw std::invalid_argument(fmt::format("expected edges between nodes, got one of node {}", id.dump()));
  };
  std::map<std::size_t, std::size_t> edges;  // by source
  for (const auto& edge : file.at("edges")) {
    const std::size_t from = position(edge.at("sourceId"));
    const double bytes = edge.at("cost").get<double>() * kPartitioningBytesPerSecond;
    const auto [known, added] = edges.emplace(from, graph.edges.size());
    if (added) graph.edges.push_back({from, {}, bytes});
    if (graph.edges[known->second].bytes != bytes) {
      throw std::invalid_argument(
          fmt::format("expected one cost on all edges from node {}, got two", graph.tasks[from].name));
    }
    graph.edges[known->second].to.push_back(position(edge.at("destId")));
  }
  return graph;
}

TimedGraph parse_json(const std::string& text) {
  const nlohmann::json file = nlohmann::json::parse(text, nullptr, false);
  if (file.is_object() && file.contains("maxFPGAs")) {
    try {
      return from_partitioning(file);
    } catch (const nlohmann::json::exception& error) {
      throw std::invalid_argument(fmt::format("expected a partitioning workload, got {}", error.what()));
    }
  }
  proto::TimedGraph message;
  parse_message(message, text, FileForm::kJson, "a task graph");
  return from_message(message);
}

}  // namespace

TimedGraph parse_timed_graph(const std::string& text, const std::string& form) {
  if (form == "stg") return parse_stg(text);
  if (form == "dot") return DotParser(text).parse();
  return parse_json(text);
}

TimedGraph load_timed_graph(const std::string& path) {
  try {
    const bool dot = path.ends_with(".dot") || path.ends_with(".gv");
    return parse_timed_graph(bytes_of(path), path.ends_with(".stg") ? "stg" : dot ? "dot" : "json");
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("[{}] {}", path, one_line(error.what())));
  }
}

}  // namespace skua
