// Convolutions by transforms: through a device where they pay, and their kernels alone on any shape.
#include "engine/cpu/kernels/transform_convolution.h"

#include "engine/cpu/kernels/fourier_basis.h"
#include "engine/cpu/parallel.h"
#include "engine/operators/problem.h"
#include "skua/engine/cpu/cpu_device.h"

namespace skua::test {
namespace {

using cpu::ConvolutionPart;
using cpu::ConvolutionTransform;
using cpu::transform_that_pays;

constexpr auto kFourier = ConvolutionTransform::kFourier;
constexpr auto kTiles = ConvolutionTransform::kTiles;

struct ConvolutionCase {
  Op op;
  Shape x;
  Shape weight;

  [[nodiscard]] Window2d window() const {
    const std::vector<ValueType> types{{x}, {weight}};
    return window_of(op, types);
  }
  [[nodiscard]] Shape y() const { return window().output_shape(); }
  [[nodiscard]] Op backward_data() const {
    Op other{"conv2d_backward_data", op.attributes};
    other.attributes.set("input_shape", x.extents());
    return other;
  }
  [[nodiscard]] Op backward_weight(std::int64_t bias) const {
    Op other{"conv2d_backward_weight", op.attributes};
    other.attributes.set("weight_shape", weight.extents());
    other.attributes.set("bias", bias);
    return other;
  }
};

// Few pixels, strides, padding that differs from side to side.
ConvolutionCase random_case(Random& r, const Integers& batches, const Integers& channels, const Integers& kernels) {
  const Integers kernel{one_of(r, kernels), one_of(r, kernels)};
  const Integers strides{one_of(r, {1, 1, 1, 2, 3}), one_of(r, {1, 1, 1, 2})};
  Integers padding;
  for (std::size_t i = 0; i < 4; ++i) padding.push_back(between(r, 0, std::min<std::int64_t>(3, kernel[i % 2] - 1)));
  const auto extent = [&](std::size_t axis) {
    return std::max(between(r, 4, 9), kernel[axis] - padding[axis] - padding[axis + 2]);
  };
  const std::int64_t in = one_of(r, channels);
  return {conv2d(strides, padding),
          {one_of(r, batches), in, extent(0), extent(1)},
          {one_of(r, channels), in, kernel[0], kernel[1]}};
}

// Runs the graph's last node by the kernel for `part`, with all values plain; the results in the node's order.
std::vector<Array> run_kernel(const Problem& p, const Window2d& window, ConvolutionPart part,
                              ConvolutionTransform transform) {
  const cpu::ThreadCount threads(p.threads);
  const Node& node = p.graph.nodes().back();
  cpu::Layouts layouts;
  for (std::size_t i = 0; i < p.graph.value_count(); ++i) {
    layouts.emplace_back(cpu::Layout(p.graph.value(ValueId(static_cast<std::int64_t>(i))).type));
  }
  cpu::NodeBuilder builder(p.graph, node, layouts);
  std::unique_ptr<cpu::Kernel> kernel = cpu::make_transform_convolution(builder, window, part, transform);
  cpu::CompiledNode compiled = builder.finish(std::move(kernel));
  const auto device = make_cpu_device({});
  const auto scratch = Runner::block(*device, compiled.scratch_bytes());
  std::vector<Tensor> tensors;
  for (const ValueId id : node.inputs) {
    tensors.push_back(reference::to_tensor(p.values.at(id), p.graph.value(id).type));
  }
  for (const ValueId id : node.outputs) tensors.emplace_back(p.graph.value(id).type);
  std::vector<void*> data;
  for (Tensor& tensor : tensors) data.push_back(tensor.data());
  const std::span<void* const> all(data);
  compiled.run({NodeId(0), all.first(node.inputs.size()), all.subspan(node.inputs.size()), scratch.get(), 0}, {});
  std::vector<Array> results;
  for (std::size_t i = node.inputs.size(); i < tensors.size(); ++i) results.push_back(reference::to_array(tensors[i]));
  return results;
}

// The largest norm of the parts of a value that belong to one index of `axis`.
double largest_norm(const Problem& p, ValueId value, std::size_t axis) {
  const Shape& shape = p.graph.value(value).type.shape;
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  Array squares(static_cast<std::size_t>(shape[axis]));
  const Array& numbers = p.values.at(value);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    squares[i / static_cast<std::size_t>(inner) % squares.size()] += numbers[i] * numbers[i];
  }
  return std::sqrt(*std::max_element(squares.begin(), squares.end()));
}

// By Parseval's and Cauchy-Schwarz's inequalities what the transforms and products round is small beside the product
// of the norms of what a result sums over: samples of each axis in three transforms, and `inner` terms in each of the
// three products of Gauss.
void expect_small_errors(const Problem& p, const Window2d& window, const Array& got, std::int64_t inner, double norms) {
  std::int64_t roundings = 3 * (inner + 4);
  for (const cpu::PhaseAxis& axis : cpu::phase_axes(window)) roundings += 3 * cpu::fourier_length(axis);
  const Array expected = p.reference_values().at(p.graph.nodes().back().outputs[0]);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(got[i] - expected[i]), static_cast<double>(roundings) * kUnitRoundoff * (norms + 1))
        << "element " << i << ": expected " << expected[i];
  }
}

// Of a result by tiles: the bound for direct sums with kTileRoundings more for each term, for the plane's largest sum.
void expect_near_planes(const Problem& p, const Array& got) {
  constexpr double kTileRoundings = 64;
  const ValueId result = p.graph.nodes().back().outputs[0];
  const Shape& shape = p.graph.value(result).type.shape;
  const Array expected = p.reference_values().at(result);
  const Array terms = p.reference_with([](double) { return 1; }).at(result);
  const Array magnitude = p.reference_with([](double x) { return std::abs(x); }).at(result);
  ASSERT_EQ(got.size(), expected.size());
  const auto plane = static_cast<std::size_t>(shape[2] * shape[3]);
  double tolerance = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (i % plane == 0) {
      tolerance = 0;
      for (std::size_t k = i; k < i + plane; ++k) {
        tolerance = std::max(tolerance, (terms[k] + kTileRoundings) * kUnitRoundoff * magnitude[k]);
      }
    }
    ASSERT_LE(std::abs(got[i] - expected[i]), tolerance) << "element " << i << " of " << shape.to_string();
  }
}

struct TransformCase {
  ConvolutionTransform transform;
  Integers kernels;
};
const TransformCase kAnyFourier{kFourier, {1, 3, 4, 5, 7}};
const TransformCase kAnyTiles{kTiles, {2, 3, 4, 5, 9}};

class TransformConvolution : public testing::TestWithParam<const TransformCase*> {
 protected:
  [[nodiscard]] ConvolutionCase any(Random& r) const {
    for (;;) {
      const ConvolutionCase c = random_case(r, {1, 2, 3, 5}, {1, 2, 3, 15, 16, 17, 33}, GetParam()->kernels);
      if (can_transform(c.window(), GetParam()->transform)) return c;
    }
  }
  // Of the graph's last node; `inner` terms for each product of norms.
  std::vector<Array> run_and_check(const Problem& p, const ConvolutionCase& c, ConvolutionPart part, std::int64_t inner,
                                   double norms) const {
    const std::vector<Array> results = run_kernel(p, c.window(), part, GetParam()->transform);
    if (GetParam()->transform == kFourier) {
      expect_small_errors(p, c.window(), results.at(0), inner, norms);
    } else {
      expect_near_planes(p, results.at(0));
    }
    return results;
  }
};
INSTANTIATE_TEST_SUITE_P(All, TransformConvolution, testing::Values(&kAnyFourier, &kAnyTiles),
                         [](const auto& test) { return test.param == &kAnyTiles ? "Tiles" : "Fourier"; });

TEST_P(TransformConvolution, ForwardOfAnyShape) {
  for_each_problem([this](Problem& p) {
    const ConvolutionCase c = any(p.random);
    std::vector<ValueId> inputs{p.input("x", c.x), p.parameter("weight", c.weight)};
    if (p.random.below(2) == 1) inputs.push_back(p.parameter("bias", {c.weight[0]}));
    p.node(c.op, inputs, "y");
    const double norms = largest_norm(p, inputs[0], 0) * largest_norm(p, inputs[1], 0);
    run_and_check(p, c, ConvolutionPart::kForward, c.x[1], norms);
  });
}

TEST_P(TransformConvolution, BackwardDataOfAnyShape) {
  for_each_problem([this](Problem& p) {
    const ConvolutionCase c = any(p.random);
    const ValueId dy = p.input("dy", c.y());
    const ValueId weight = p.parameter("weight", c.weight);
    p.node(c.backward_data(), {dy, weight}, "dx");
    const double norms = largest_norm(p, dy, 0) * largest_norm(p, weight, 1);
    run_and_check(p, c, ConvolutionPart::kBackwardData, c.weight[0], norms);
  });
}

TEST_P(TransformConvolution, BackwardWeightOfAnyShape) {
  for_each_problem([this](Problem& p) {
    const ConvolutionCase c = any(p.random);
    const ValueId x = p.input("x", c.x);
    const ValueId dy = p.input("dy", c.y());
    const std::int64_t bias = between(p.random, 0, 1);
    const auto gradients = p.graph.add_node(c.backward_weight(bias), {x, dy}, "dweight");
    const double norms = largest_norm(p, x, 1) * largest_norm(p, dy, 1);
    const std::vector<Array> results = run_and_check(p, c, ConvolutionPart::kBackwardWeight, c.x[0], norms);
    if (bias == 0) return;
    const Expected sums = p.sum_of_products(gradients.at(1));
    for (std::size_t i = 0; i < sums.values.size(); ++i) {
      ASSERT_LE(std::abs(results.at(1)[i] - sums.values[i]), sums.tolerance[i]) << "bias " << i;
    }
  });
}

// More images than are worked at together.
TEST(TileConvolution, ManyImages) {
  const ConvolutionCase c{conv2d({1, 1}, {1, 0, 1, 0}), {70, 16, 12, 10}, {48, 16, 3, 3}};
  for (const auto part :
       {ConvolutionPart::kForward, ConvolutionPart::kBackwardData, ConvolutionPart::kBackwardWeight}) {
    Problem p(static_cast<int>(part));
    if (part == ConvolutionPart::kForward) {
      p.node(c.op, {p.input("x", c.x), p.parameter("weight", c.weight)}, "y");
    } else if (part == ConvolutionPart::kBackwardData) {
      p.node(c.backward_data(), {p.input("dy", c.y()), p.parameter("weight", c.weight)}, "dx");
    } else {
      p.node(c.backward_weight(0), {p.input("x", c.x), p.input("dy", c.y())}, "dweight");
    }
    expect_near_planes(p, run_kernel(p, c.window(), part, kTiles).at(0));
  }
}

// In the root of the mean square: twice that of a direct sum in this order of 288 terms.
TEST(TileConvolution, ErrorsAreAboutThoseOfDirectSums) {
  Problem p(0);
  const ConvolutionCase c{conv2d({1, 1}, {0, 0, 0, 0}), {4, 32, 12, 12}, {64, 32, 3, 3}};
  const ValueId y = p.node(c.op, {p.input("x", c.x), p.parameter("weight", c.weight)}, "y");
  const Array got = run_kernel(p, c.window(), ConvolutionPart::kForward, kTiles).at(0);
  const Array expected = p.reference_values().at(y);
  double errors = 0;
  double squares = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    errors += (got[i] - expected[i]) * (got[i] - expected[i]);
    squares += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(errors / squares), 12 * kUnitRoundoff);
}

// A device's results where the transforms pay, each element within the bound for direct kernels.
void expect_bounds_of_direct_kernels(ConvolutionTransform transform, const Integers& batches, const Integers& channels,
                                     const Integers& kernels) {
  for (int seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Problem p(seed);
    std::optional<ConvolutionCase> c;
    while (!c || transform_that_pays(c->window()) != transform) c = random_case(p.random, batches, channels, kernels);
    const ValueId weight = p.parameter("weight", c->weight);
    std::vector<ValueId> results;
    if (seed % 3 == 0) {
      const ValueId x = p.any_layout(p.input("x", c->x));
      results = {p.node(c->op, {x, weight, p.parameter("bias", {c->weight[0]})}, "y")};
    } else if (seed % 3 == 1) {
      results = {p.node(c->backward_data(), {p.any_layout(p.input("dy", c->y())), weight}, "dx")};
    } else {
      const ValueId x = p.any_layout(p.input("x", c->x));
      results = p.graph.add_node(c->backward_weight(1), {x, p.any_layout(p.input("dy", c->y()))}, "dweight");
      p.graph.set_mirrors(results[0], weight);
    }
    std::vector<std::pair<ValueId, Expected>> expected;
    for (const ValueId id : results) expected.emplace_back(id, p.sum_of_products(id));
    p.expect(expected);
  }
}

TEST(FourierConvolution, WherePayingWithinTheBoundsOfDirectKernels) {
  expect_bounds_of_direct_kernels(kFourier, {8, 11}, {32, 35}, {5, 7});
}

TEST(TileConvolution, WherePayingWithinTheBoundsOfDirectKernels) {
  expect_bounds_of_direct_kernels(kTiles, {24}, {60, 64}, {3});
}

TEST(TransformChoice, TakesWhatPays) {
  const auto choice = [](const Shape& x, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
    return transform_that_pays(
        ConvolutionCase{conv2d({stride, stride}, {pad, pad, pad, pad}), x, {out, x[1], kernel, kernel}}.window());
  };
  // Large kernels over few pixels.
  EXPECT_EQ(choice({64, 128, 7, 7}, 256, 5, 1, 2), kFourier);
  EXPECT_EQ(choice({64, 64, 7, 7}, 64, 7, 1, 3), kFourier);
  EXPECT_EQ(choice({64, 32, 14, 14}, 64, 5, 1, 2), kFourier);
  // Three taps in a phase.
  EXPECT_EQ(choice({128, 32, 12, 12}, 64, 3, 1, 0), kTiles);
  EXPECT_EQ(choice({128, 64, 5, 5}, 64, 3, 1, 0), kTiles);
  EXPECT_EQ(choice({16, 64, 28, 28}, 64, 3, 1, 1), kTiles);
  EXPECT_EQ(choice({64, 64, 14, 14}, 128, 5, 2, 2), kTiles);
  // Weights that few pixels share, small products, few channels, longer than kMaxFourierLength.
  EXPECT_EQ(choice({1, 128, 7, 7}, 128, 5, 1, 2), std::nullopt);
  EXPECT_EQ(choice({1, 256, 14, 14}, 256, 3, 1, 1), std::nullopt);
  EXPECT_EQ(choice({64, 128, 14, 14}, 128, 3, 2, 1), std::nullopt);
  EXPECT_EQ(choice({64, 16, 28, 28}, 16, 3, 1, 1), std::nullopt);
  EXPECT_EQ(choice({64, 256, 7, 7}, 256, 1, 1, 0), std::nullopt);
  EXPECT_EQ(choice({64, 1, 28, 28}, 64, 5, 2, 2), std::nullopt);
  EXPECT_EQ(choice({16, 64, 40, 40}, 64, 9, 1, 4), std::nullopt);
  EXPECT_EQ(choice({64, 64, 16, 16}, 64, 33, 1, 16), std::nullopt);
}

// y, dx and dweight of a convolution by a device: twice as they are, and with a NaN in sample 3 of x and of dy, at
// `pixel` (row and column) of channel 0.
struct Runs {
  std::vector<Array> clean;
  std::vector<Array> spoilt;
};
Runs run_with_nans(const ConvolutionCase& c, std::int64_t pixel) {
  Problem p(0);
  const ValueId x = p.input("x", c.x);
  const ValueId weight = p.parameter("weight", c.weight);
  const ValueId dy = p.input("dy", c.y());
  const ValueId y = p.node(c.op, {x, weight}, "y");
  const ValueId dx = p.node(c.backward_data(), {dy, weight}, "dx");
  const ValueId dweight = p.node(c.backward_weight(0), {x, dy}, "dweight");
  const auto device = make_cpu_device({});
  Runner runner(*device, p.graph);
  const auto run = [&] {
    for (const auto& [id, array] : p.values) runner.set(id, reference::to_tensor(array, p.graph.value(id).type));
    runner.run();
    std::vector<Array> results;
    for (const ValueId id : {y, dx, dweight}) results.push_back(reference::to_array(runner.get(id)));
    return results;
  };
  const std::vector<Array> clean = run();
  EXPECT_EQ(run(), clean);
  for (const ValueId id : {x, dy}) {
    const Shape& shape = p.graph.value(id).type.shape;
    const std::int64_t first = 3 * shape[1] * shape[2] * shape[3];
    p.values[id][static_cast<std::size_t>(first + pixel * shape[3] + pixel)] = std::numeric_limits<double>::quiet_NaN();
  }
  return {clean, run()};
}

// In sample 3 NaNs for rows and columns of [first, end); all others must equal `clean` bit by bit.
void expect_spoilt(const Array& got, const Array& clean, const Shape& shape, std::int64_t first, std::int64_t end) {
  const std::int64_t plane = shape[2] * shape[3];
  const auto inside = [&](std::int64_t v) { return v >= first && v < end; };
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    const bool spoilt = i / plane / shape[1] == 3 && inside(i % plane / shape[3]) && inside(i % shape[3]);
    const auto at = static_cast<std::size_t>(i);
    ASSERT_TRUE(spoilt ? std::isnan(got[at]) : got[at] == clean[at]) << "element " << i << " of " << shape.to_string();
  }
}

// By device: forward, and both gradients.
std::vector<double> shares_of(const ConvolutionCase& c) {
  Graph graph;
  const ValueId x = graph.add_input("x", {c.x});
  const ValueId weight = graph.add_parameter("weight", c.weight);
  const ValueId y = graph.add_node(c.op, {x, weight}, "y").at(0);
  graph.add_node(c.backward_data(), {y, weight}, "dx");
  graph.add_node(c.backward_weight(0), {x, y}, "dweight");
  const std::unique_ptr<Device> device = make_cpu_device({});
  std::vector<double> shares;
  for (const Node& node : graph.nodes()) shares.push_back(device->flops_share(graph, node));
  return shares;
}

TEST(TransformConvolution, DevicesSayWhatShareOfTheFlopsTheyDo) {
  const auto all = [](double share) { return std::vector<double>(3, share); };
  EXPECT_EQ(shares_of({conv2d({1, 1}, {0, 0, 0, 0}), {2, 3, 5, 5}, {4, 3, 1, 1}}), all(1));
  EXPECT_EQ(shares_of({conv2d({1, 1}, {0, 0, 0, 0}, {1, 1}, 3), {2, 3, 5, 5}, {6, 1, 3, 3}}), all(1));
  EXPECT_EQ(shares_of({conv2d({1, 1}, {2, 2, 2, 2}, {2, 2}), {2, 3, 5, 5}, {4, 3, 3, 3}}), all(1));
  // 2 + 3 + 3 + 2 of 4 * 3 rows lie in the image, and as many columns.
  for (const double share : shares_of({conv2d({1, 1}, {1, 1, 1, 1}), {2, 3, 4, 4}, {4, 3, 3, 3}})) {
    EXPECT_DOUBLE_EQ(share, 100.0 / 144);
  }
  for (const double share : shares_of({conv2d({1, 1}, {0, 0, 0, 0}), {16, 32, 12, 12}, {64, 32, 3, 3}})) {
    EXPECT_LT(share, 1 / 1.25);  // tiles
    EXPECT_GT(share, 0.25);      // of which 36 products make 16 outputs of 9 taps
  }
}

// Other than in a direct convolution, a NaN is in all of its sample; that is how a test sees which of them ran.
TEST(FourierConvolution, ANaNStaysInItsSampleAndRunsGiveEqualBits) {
  const ConvolutionCase c{conv2d({1, 1}, {2, 2, 2, 2}), {16, 48, 7, 7}, {40, 48, 5, 5}};
  ASSERT_EQ(transform_that_pays(c.window()), kFourier);
  const Runs runs = run_with_nans(c, 0);
  expect_spoilt(runs.spoilt[0], runs.clean[0], c.y(), 0, 7);
  expect_spoilt(runs.spoilt[1], runs.clean[1], c.x, 0, 7);
}

// Pixel 2 is in reach of outputs 0 to 2 and in the tile of output 3; output 2 in reach of pixels 2 to 4 and, by the
// points that are not 0 or infinity, of 1.
TEST(TileConvolution, ANaNStaysInItsTileAndRunsGiveEqualBits) {
  const ConvolutionCase c{conv2d({1, 1}, {0, 0, 0, 0}), {16, 32, 12, 12}, {64, 32, 3, 3}};
  ASSERT_EQ(transform_that_pays(c.window()), kTiles);
  const Runs runs = run_with_nans(c, 2);
  expect_spoilt(runs.spoilt[0], runs.clean[0], c.y(), 0, 4);
  expect_spoilt(runs.spoilt[1], runs.clean[1], c.x, 1, 5);
}

}  // namespace
}  // namespace skua::test
