// Recurrences give the same bits when run again, and when time is cut into chunks that hand on their state.
#include "engine/operators/problem.h"

namespace skua::test {
namespace {

struct RecurrentCase {
  Op op;
  std::int64_t gates;  // widths of H in `gates`
  std::size_t states;  // h, and c
  std::int64_t batch, steps, units;
  std::vector<Array> inputs;  // gates, weight_hh, bias_hh, states, [mask]
};

RecurrentCase random_case(Problem& p, RecurrentCase c) {
  c.op.attributes.set("reverse", between(p.random, 0, 1));
  c.batch = one_of(p.random, {1, 3, 17, 32});
  c.steps = between(p.random, 2, 12);
  c.units = one_of(p.random, {1, 5, 16, 19, 64});
  const double size = 1 / std::sqrt(static_cast<double>(c.units));
  c.inputs = {p.numbers({c.batch, c.steps, c.gates * c.units}, -1, 1),
              p.numbers({c.gates * c.units, c.units}, -size, size), p.numbers({c.gates * c.units}, -1, 1)};
  for (std::size_t s = 0; s < c.states; ++s) c.inputs.push_back(p.numbers({c.batch, c.units}, -1, 1));
  if (p.random.below(2) == 1) {
    c.inputs.emplace_back();
    for (std::int64_t i = 0; i < c.batch * c.steps; ++i) {
      c.inputs.back().push_back(static_cast<double>(between(p.random, 0, 1)));
    }
  }
  return c;
}

std::vector<Array> run(const RecurrentCase& c, int threads) {
  std::vector<Shape> shapes{{c.batch, c.steps, c.gates * c.units}, {c.gates * c.units, c.units}, {c.gates * c.units}};
  shapes.resize(3 + c.states, Shape{c.batch, c.units});
  shapes.resize(c.inputs.size(), Shape{c.batch, c.steps});
  Graph graph;
  std::vector<ValueId> ids;
  for (std::size_t i = 0; i < shapes.size(); ++i) ids.push_back(graph.add_input(fmt::format("x{}", i), {shapes[i]}));
  const auto outputs = graph.add_node(c.op, ids, "rnn");
  const auto device = make_test_device(threads);
  Runner runner(*device, graph);
  for (std::size_t i = 0; i < ids.size(); ++i) runner.set(ids[i], reference::to_tensor(c.inputs[i], {shapes[i]}));
  runner.run();
  std::vector<Array> results;
  for (const ValueId output : outputs) results.push_back(reference::to_array(runner.get(output)));
  return results;
}

// Steps [begin, end) of a sequence (batch, steps, ...).
Array cut(const Array& sequence, const RecurrentCase& c, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = static_cast<std::int64_t>(sequence.size()) / (c.batch * c.steps);
  Array part;
  for (std::int64_t n = 0; n < c.batch; ++n) {
    const auto row = sequence.begin() + n * c.steps * width;
    part.insert(part.end(), row + begin * width, row + end * width);
  }
  return part;
}

// The case of steps [begin, end), which starts from the states that `before` ended with, or as `whole` where that is
// empty.
RecurrentCase chunk(const RecurrentCase& whole, std::int64_t begin, std::int64_t end,
                    const std::vector<Array>& before) {
  RecurrentCase part = whole;
  part.steps = end - begin;
  part.inputs[0] = cut(whole.inputs[0], whole, begin, end);
  if (whole.inputs.size() > 3 + whole.states) part.inputs.back() = cut(whole.inputs.back(), whole, begin, end);
  for (std::size_t s = 0; s < whole.states && !before.empty(); ++s) part.inputs[3 + s] = before[1 + s];
  return part;
}

void expect_same_in_chunks(const RecurrentCase& c, std::int64_t at, int threads) {
  const std::vector<Array> whole = run(c, threads);
  EXPECT_TRUE(run(c, threads) == whole) << "a second run";
  const bool reverse = c.op.attributes.integer("reverse") == 1;
  const auto first = reverse ? std::pair(at, c.steps) : std::pair(std::int64_t{0}, at);
  const auto second = reverse ? std::pair(std::int64_t{0}, at) : std::pair(at, c.steps);
  const std::vector<Array> begun = run(chunk(c, first.first, first.second, {}), threads);
  const std::vector<Array> ended = run(chunk(c, second.first, second.second, begun), threads);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (i >= 1 && i <= c.states) {
      EXPECT_TRUE(ended[i] == whole[i]) << "state " << i;
    } else {
      EXPECT_TRUE(begun[i] == cut(whole[i], c, first.first, first.second)) << "output " << i << ", first chunk";
      EXPECT_TRUE(ended[i] == cut(whole[i], c, second.first, second.second)) << "output " << i << ", second chunk";
    }
  }
}

TEST(Recurrences, ChunksOfTimeAndSecondRunsGiveTheSameBits) {
  const RecurrentCase kinds[] = {{{"simple_rnn", {{"activation", std::string("tanh")}}}, 1, 1, 0, 0, 0, {}},
                                 {{"lstm", {}}, 4, 2, 0, 0, 0, {}},
                                 {{"gru", {}}, 3, 1, 0, 0, 0, {}}};
  for (const RecurrentCase& kind : kinds) {
    SCOPED_TRACE(kind.op.type);
    for_each_problem([&](Problem& p) {
      const RecurrentCase c = random_case(p, kind);
      expect_same_in_chunks(c, between(p.random, 1, c.steps - 1), p.threads);
    });
  }
}

}  // namespace
}  // namespace skua::test
