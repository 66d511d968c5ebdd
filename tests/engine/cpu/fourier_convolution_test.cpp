// Convolutions by Fourier transforms: through a device where they pay, and their kernels alone on any shape.
#include "engine/cpu/kernels/fourier_convolution.h"

#include "engine/cpu/parallel.h"
#include "engine/operators/problem.h"
#include "skua/engine/cpu/cpu_device.h"

namespace skua::test {
namespace {

using cpu::ConvolutionPart;
using cpu::fourier_pays;

struct FourierCase {
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

// Large kernels over few pixels, strides, padding that differs from side to side.
FourierCase random_case(Random& r, const Integers& batches, const Integers& channels, const Integers& kernels) {
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
std::vector<Array> run_kernel(const Problem& p, const Window2d& window, ConvolutionPart part) {
  const cpu::ThreadCount threads(p.threads);
  const Node& node = p.graph.nodes().back();
  cpu::Layouts layouts;
  for (std::size_t i = 0; i < p.graph.value_count(); ++i) {
    layouts.emplace_back(cpu::Layout(p.graph.value(ValueId(static_cast<std::int64_t>(i))).type));
  }
  cpu::NodeBuilder builder(p.graph, node, layouts);
  std::unique_ptr<cpu::Kernel> kernel = cpu::make_fourier_convolution(builder, window, part);
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
  for (const cpu::FourierAxis& axis : cpu::fourier_axes(window)) roundings += 3 * axis.length();
  const Array expected = p.reference_values().at(p.graph.nodes().back().outputs[0]);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(got[i] - expected[i]), static_cast<double>(roundings) * kUnitRoundoff * (norms + 1))
        << "element " << i << ": expected " << expected[i];
  }
}

TEST(FourierConvolution, ForwardOfAnyShape) {
  for_each_problem([](Problem& p) {
    const FourierCase c = random_case(p.random, {1, 2, 3, 5}, {1, 2, 3, 15, 16, 17, 33}, {1, 3, 4, 5, 7});
    const Window2d window = c.window();
    std::vector<ValueId> inputs{p.input("x", c.x), p.parameter("weight", c.weight)};
    if (p.random.below(2) == 1) inputs.push_back(p.parameter("bias", {c.weight[0]}));
    p.node(c.op, inputs, "y");
    const double norms = largest_norm(p, inputs[0], 0) * largest_norm(p, inputs[1], 0);
    expect_small_errors(p, window, run_kernel(p, window, ConvolutionPart::kForward).at(0), c.x[1], norms);
  });
}

TEST(FourierConvolution, BackwardDataOfAnyShape) {
  for_each_problem([](Problem& p) {
    const FourierCase c = random_case(p.random, {1, 2, 3, 5}, {1, 2, 3, 15, 16, 17, 33}, {1, 3, 4, 5, 7});
    const Window2d window = c.window();
    const ValueId dy = p.input("dy", c.y());
    const ValueId weight = p.parameter("weight", c.weight);
    p.node(c.backward_data(), {dy, weight}, "dx");
    const double norms = largest_norm(p, dy, 0) * largest_norm(p, weight, 1);
    expect_small_errors(p, window, run_kernel(p, window, ConvolutionPart::kBackwardData).at(0), c.weight[0], norms);
  });
}

TEST(FourierConvolution, BackwardWeightOfAnyShape) {
  for_each_problem([](Problem& p) {
    const FourierCase c = random_case(p.random, {1, 2, 3, 5}, {1, 2, 3, 15, 16, 17, 33}, {1, 3, 4, 5, 7});
    const Window2d window = c.window();
    const ValueId x = p.input("x", c.x);
    const ValueId dy = p.input("dy", c.y());
    const std::int64_t bias = between(p.random, 0, 1);
    const auto gradients = p.graph.add_node(c.backward_weight(bias), {x, dy}, "dweight");
    const double norms = largest_norm(p, x, 1) * largest_norm(p, dy, 1);
    const std::vector<Array> results = run_kernel(p, window, ConvolutionPart::kBackwardWeight);
    expect_small_errors(p, window, results.at(0), c.x[0], norms);
    if (bias == 0) return;
    const Expected sums = p.sum_of_products(gradients.at(1));
    for (std::size_t i = 0; i < sums.values.size(); ++i) {
      ASSERT_LE(std::abs(results.at(1)[i] - sums.values[i]), sums.tolerance[i]) << "bias " << i;
    }
  });
}

// A device's results where the transforms pay, each element within the bound for direct kernels.
TEST(FourierConvolution, WherePayingWithinTheBoundsOfDirectKernels) {
  for (int seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Problem p(seed);
    std::optional<FourierCase> c;
    while (!c || !fourier_pays(c->window())) c = random_case(p.random, {8, 11}, {32, 35}, {5, 7});
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

TEST(FourierConvolution, PaysForLargeKernelsOverFewPixels) {
  const auto pays = [](const Shape& x, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
    return fourier_pays(
        FourierCase{conv2d({stride, stride}, {pad, pad, pad, pad}), x, {out, x[1], kernel, kernel}}.window());
  };
  EXPECT_TRUE(pays({64, 128, 7, 7}, 256, 5, 1, 2));
  EXPECT_TRUE(pays({64, 64, 7, 7}, 64, 7, 1, 3));
  EXPECT_TRUE(pays({64, 32, 14, 14}, 64, 5, 1, 2));
  EXPECT_FALSE(pays({1, 128, 7, 7}, 128, 5, 1, 2));
  EXPECT_FALSE(pays({128, 32, 13, 13}, 64, 3, 1, 0));
  EXPECT_FALSE(pays({16, 64, 28, 28}, 64, 3, 1, 1));
  EXPECT_FALSE(pays({64, 256, 7, 7}, 256, 1, 1, 0));
  EXPECT_FALSE(pays({64, 1, 28, 28}, 64, 5, 2, 2));
  EXPECT_FALSE(pays({16, 64, 40, 40}, 64, 9, 1, 4));  // longer than kMaxFourierLength
  EXPECT_FALSE(pays({64, 64, 16, 16}, 64, 33, 1, 16));
}

// Samples in which every element of `got` is a NaN; all others must equal `clean` bit by bit.
std::vector<std::int64_t> spoilt_samples(const Array& got, const Array& clean, std::int64_t batch) {
  std::vector<std::int64_t> spoilt;
  const std::size_t size = got.size() / static_cast<std::size_t>(batch);
  for (std::int64_t n = 0; n < batch; ++n) {
    const auto first = got.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(n) * size);
    const auto last = first + static_cast<std::ptrdiff_t>(size);
    if (std::all_of(first, last, [](double v) { return std::isnan(v); })) {
      spoilt.push_back(n);
    } else {
      EXPECT_TRUE(std::equal(first, last, clean.begin() + (first - got.begin()))) << "sample " << n;
    }
  }
  return spoilt;
}

// Other than in a direct convolution, a NaN is in all of its sample; that is how a test sees which of them ran.
TEST(FourierConvolution, ANaNStaysInItsSampleAndRunsGiveEqualBits) {
  Problem p(0);
  const FourierCase c{conv2d({1, 1}, {2, 2, 2, 2}), {16, 48, 7, 7}, {40, 48, 5, 5}};
  ASSERT_TRUE(fourier_pays(c.window()));
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
  p.values[x][3 * 48 * 49] = std::numeric_limits<double>::quiet_NaN();
  p.values[dy][5 * 40 * 49] = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Array> results = run();
  EXPECT_EQ(spoilt_samples(results[0], clean[0], 16), std::vector<std::int64_t>{3});
  EXPECT_EQ(spoilt_samples(results[1], clean[1], 16), std::vector<std::int64_t>{5});
}

}  // namespace
}  // namespace skua::test
