#include "skua/layers/gan.h"

#include <fmt/format.h>

#include <stdexcept>

#include "blueprint.h"
#include "skua/graph/autodiff.h"

namespace skua {
namespace {

constexpr const char* kGenerator = "generator.";
constexpr const char* kDiscriminator = "discriminator.";

// Sum over a judgement's samples of the cross-entropy with `target`, times `scale`.
ValueId judged(Graph& graph, ValueId judgement, double target, double scale, const std::string& name) {
  const Op fill{"fill", {{"shape", graph.value(judgement).type.shape.extents()}, {"value", target}}};
  const ValueId targets = graph.add_node(fill, {}, name + ".targets").at(0);
  return graph.add_node({"binary_cross_entropy", {{"scale", scale}}}, {judgement, targets}, name).at(0);
}

class GanBlueprint final : public Blueprint {
 public:
  GanBlueprint(Network generator, Network discriminator, GanOptions options)
      : generator_(std::move(generator)), discriminator_(std::move(discriminator)), options_(std::move(options)) {
    const ModelGraph model = description();
    const ValueType judgement = model.graph.value(model.prediction).type;
    if (judgement != ValueType{{1, 1}}) {
      throw std::invalid_argument(
          fmt::format("[Gan] expected a discriminator that gives (N,1), got {}", judgement.shape.to_string()));
    }
  }

  [[nodiscard]] ValueType sample_type() const override { return discriminator_.sample_type(); }

  [[nodiscard]] ModelGraph description() const override {
    GraphUnderConstruction under;
    ModelGraph model;
    model.features = under.graph.add_input("features", batch_of(1, generator_.sample_type()));
    const ValueId made = build_generator(under, model.features, &model.layers);
    model.prediction = discriminator_.build(under, made, kDiscriminator, "", &model.layers).back();
    return finished(std::move(model), under);
  }

  [[nodiscard]] ModelGraph prediction_graph(std::int64_t samples) const override {
    GraphUnderConstruction under;
    ModelGraph model;
    model.features = under.graph.add_input("features", batch_of(samples, generator_.sample_type()));
    model.prediction = build_generator(under, model.features, &model.layers);
    return finished(std::move(model), under);
  }

  [[nodiscard]] ModelGraph evaluation_graph(std::int64_t samples, const CompileOptions& options) const override {
    GraphUnderConstruction under;
    ModelGraph model = finished(build(under, samples, 1).model, under);
    run_passes(model, options);
    finish_passes(model, options);
    return model;
  }

  [[nodiscard]] ModelGraph training_graph(std::int64_t batch_size, int micro_batches,
                                          const CompileOptions& options) const override {
    check_batch(batch_size, micro_batches);
    GraphUnderConstruction under{.training = true};
    Game game = build(under, batch_size / micro_batches, 1 / static_cast<double>(batch_size));
    Optimizer discriminator_optimizer = options_.discriminator_optimizer;
    discriminator_optimizer.update.attributes.set(
        "rate_factor", discriminator_optimizer.learning_rate / options.optimizer.learning_rate);
    ModelGraph model = finished(std::move(game.model), under);
    run_passes(model, options, &under.averages, {&game.discriminator_loss});
    Graph& graph = model.graph;
    const std::vector<ValueId> judges = parameters(graph, kDiscriminator);
    const std::vector<ValueId> makers = parameters(graph, kGenerator);
    const auto discriminator_gradients = append_gradients(graph, game.discriminator_loss, judges);
    const auto generator_gradients = append_gradients(graph, model.loss, makers);
    append_optimizer(graph, discriminator_gradients, discriminator_optimizer);
    append_optimizer(graph, generator_gradients, options.optimizer);
    append_averages(graph, under.averages, micro_batches);
    finish_passes(model, options);
    return model;
  }

 private:
  struct Game {
    ModelGraph model;
    ValueId discriminator_loss;
  };

  ValueId build_generator(GraphUnderConstruction& under, ValueId noise, std::vector<LayerInfo>* infos) const {
    const ValueId made = generator_.build(under, noise, kGenerator, "", infos).back();
    const ValueType sample = sample_of(under.graph.value(made).type);
    if (sample != discriminator_.sample_type()) {
      throw std::invalid_argument(fmt::format("[Gan] expected a generator of {}, got one of {}",
                                              discriminator_.sample_type().to_string(), sample.to_string()));
    }
    return made;
  }

  // Both losses, each summed over the samples times `scale`.
  Game build(GraphUnderConstruction& under, std::int64_t samples, double scale) const {
    Game game;
    ModelGraph& model = game.model;
    Graph& graph = under.graph;
    const std::int64_t stream = under.streams++;
    model.features = graph.add_input("features", batch_of(samples, sample_type()));
    const Shape noise_shape = batch_of(samples, generator_.sample_type()).shape;
    const ValueId noise =
        graph.add_node({"random_normal", {{"shape", noise_shape.extents()}, {"stream", stream}}}, {}, "noise").at(0);
    const ValueId made = build_generator(under, noise, &model.layers);
    const ValueId on_real = discriminator_.build(under, model.features, kDiscriminator, ".real", &model.layers).back();
    const ValueId on_made = discriminator_.build(under, made, kDiscriminator, ".made").back();
    model.prediction = on_real;
    model.loss = judged(graph, on_made, 1, scale, "generator_loss");
    game.discriminator_loss = graph
                                  .add_node({"add", {}},
                                            {judged(graph, on_real, options_.real_target, scale, "loss_on_real"),
                                             judged(graph, on_made, 0, scale, "loss_on_made")},
                                            "discriminator_loss")
                                  .at(0);
    graph.mark_output(model.loss);
    graph.mark_output(game.discriminator_loss);
    const Metric metric{
        "discriminator_loss", {}, [scale](const MetricSums& sums) { return sums.values[0] / (scale * sums.labels); }};
    model.metrics.push_back({metric, game.discriminator_loss});
    return game;
  }

  static ModelGraph finished(ModelGraph model, GraphUnderConstruction& under) {
    model.graph = std::move(under.graph);
    model.parameters = std::move(under.parameters);
    return model;
  }

  static std::vector<ValueId> parameters(const Graph& graph, const std::string& prefix) {
    std::vector<ValueId> found = graph.values_of(ValueKind::kParameter);
    std::erase_if(found, [&](ValueId id) { return !graph.value(id).name.starts_with(prefix); });
    return found;
  }

  Network generator_;
  Network discriminator_;
  GanOptions options_;
};

}  // namespace

Gan::Gan(const Sequential& generator, const Sequential& discriminator, GanOptions options)
    : Model(std::make_shared<GanBlueprint>(*generator.network_, *discriminator.network_, std::move(options))) {}

}  // namespace skua
