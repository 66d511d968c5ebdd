// Every kind of model: the same bits whatever the plan, the devices and the stealing; learning; shapes; time chunks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/small_graphs.h"
#include "layers/small_models.h"

namespace skua::test {
namespace {

// A model, how it is trained, and on what.
struct Kind {
  std::string name;
  std::function<Model()> make;
  CompileOptions compile;
  std::shared_ptr<const Dataset> data;
};

std::vector<Kind> kinds() {
  const TextData reviews = datasets::synthetic_sentiment(300, {.length = 12});
  const TextData words = datasets::synthetic_text(1500, {.length = 8});
  const Optimizer clipped = Adam(0.01, {.clipping = {.value = 0.5, .norm = 0.3, .global_norm = 0.4}});
  return {
      {"rnn",
       [] {
         Sequential model({12}, DType::kInt32);
         model.add(Embedding(60, 6, {.mask_zero = true}))
             .add(Dropout(0.3))
             .add(SimpleRNN(5))
             .add(Dense(1, {.activation = "sigmoid"}));
         return model;
       },
       {.optimizer = clipped, .loss = BinaryCrossentropy()},
       reviews.data.train},
      {"lstm",
       [] {
         Sequential model({8}, DType::kInt32);
         model.add(Embedding(60, 6))
             .add(LSTM(6, {.layers = 2, .bidirectional = true, .dropout = 0.2, .time_chunks = 3}))
             .add(Dense(60));
         return model;
       },
       {.optimizer = RMSprop(0.01)},
       words.data.train},
      {"gru and norms",
       [] {
         Functional model({8}, DType::kInt32);
         Symbol x = model.add(Embedding(60, 6), model.input());
         x = model.add(Add(), {x, model.add(SelfAttention(2), model.add(LayerNorm(), x))});
         x = model.add(BatchNorm(), model.add(GRU(6), x));
         model.add(Dense(60), x);
         return model;
       },
       {.optimizer = AdamW(0.01)},
       words.data.train},
      {"gan",
       [] {
         Sequential generator({5});
         generator.add(Dense(4 * 16))
             .add(BatchNorm())
             .add(LeakyReLU(0.2))
             .add(Reshape({4, 4, 4}))
             .add(Conv2DTranspose(1, {3, 3}, {.activation = "tanh", .strides = {2, 2}, .padding = "same"}));
         Sequential discriminator({1, 8, 8});
         discriminator.add(Conv2D(4, {3, 3}, {.strides = {2, 2}, .padding = "same"}))
             .add(LeakyReLU(0.2))
             .add(Dropout(0.3))
             .add(Flatten())
             .add(Dense(1, {.activation = "sigmoid"}));
         return Gan(generator, discriminator);
       },
       {},
       corners(128)},
  };
}

class ModelKinds : public testing::TestWithParam<std::size_t> {
 protected:
  const Kind kind = kinds().at(GetParam());

  std::string trained(CompileOptions options, std::int64_t steps = 12) const {
    options.optimizer = kind.compile.optimizer;
    options.loss = kind.compile.loss;
    options.seed = 5;
    Model model = kind.make();
    model.compile(options);
    model.fit(*kind.data, {.batch_size = 16, .steps = steps, .verbose = false});
    return model.weights_sha256();
  }
};

// Twelve steps contain planning anew by measured times.
TEST_P(ModelKinds, BitsDoNotDependOnDevicesPolicyOrStealing) {
  const std::string expected =
      trained({.devices = "cpu:1", .policy = "single", .stealing = "none", .micro_batches = 4});
  for (const char* devices : {"cpu:2", "cpu:3"}) {
    for (const PolicyInfo& policy : policies()) {
      if (policy.name == "replay") continue;
      for (const std::string& stealing : steal_rule_names()) {
        EXPECT_EQ(trained({.devices = devices,
                           .policy = policy.name,
                           .plan_seconds = 0.01,
                           .plan_in_background = false,
                           .stealing = stealing,
                           .micro_batches = 4}),
                  expected)
            << devices << " " << policy.name << " " << stealing;
      }
    }
  }
}

TEST_P(ModelKinds, CheckpointsGoOnWithTheSameBits) {
  const std::string directory = file_in_temp("kinds");
  CompileOptions options = kind.compile;
  options.devices = "cpu:2";
  options.micro_batches = 2;
  Model whole = kind.make();
  whole.compile(options);
  whole.fit(*kind.data, {.batch_size = 16, .steps = 7, .verbose = false});
  Model first = kind.make();
  first.compile(options);
  first.fit(*kind.data, {.batch_size = 16, .steps = 3, .verbose = false});
  first.save_checkpoint(directory);
  Model rest = kind.make();
  rest.compile(options);
  rest.load_checkpoint(directory);
  rest.fit(*kind.data, {.batch_size = 16, .steps = 4, .verbose = false});
  EXPECT_EQ(rest.weights_sha256(), whole.weights_sha256());
  std::filesystem::remove_all(directory);
}

TEST_P(ModelKinds, SummariesSayWhereEachLayerWasPlaced) {
  Model model = kind.make();
  CompileOptions options = kind.compile;
  options.devices = "cpu:2";
  options.policy = "data_parallel";
  options.micro_batches = 2;
  model.compile(options);
  EXPECT_EQ(model.summary().find("cpu:0"), std::string::npos);
  model.fit(*kind.data, {.batch_size = 16, .steps = 1, .verbose = false});
  EXPECT_NE(model.summary().find("cpu:0, cpu:1"), std::string::npos) << model.summary();
}

INSTANTIATE_TEST_SUITE_P(All, ModelKinds, testing::Range<std::size_t>(0, 4));

// Weights, then the step of a graph without dropout, in double precision by the reference.
double reference_loss(const Model& model, const CompileOptions& options, const Dataset& data, std::int64_t batch) {
  const Graph graph = model.training_graph(batch, 1, options);
  Values values;
  for (const ValueId id : graph.values_of(ValueKind::kParameter)) {
    values[id] = reference::to_array(model.weights().at(graph.value(id).name));
  }
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < batch; ++i) rows.push_back(i);
  const ValueId features_id = graph.find_value("features");
  const ValueId labels_id = graph.find_value("labels");
  Tensor features(graph.value(features_id).type);
  Tensor labels(graph.value(labels_id).type);
  data.read(rows, features, labels);
  values[features_id] = reference::to_array(features);
  values[labels_id] = reference::to_array(labels);
  reference::run(graph, values);
  return values.at(graph.find_value("loss"))[0];
}

Sequential chunked_lstm(int chunks, bool bidirectional) {
  Sequential model({8}, DType::kInt32);
  model.add(Embedding(60, 6))
      .add(LSTM(6, {.return_sequences = true, .layers = 2, .bidirectional = bidirectional, .time_chunks = chunks}))
      .add(TimeDistributed(Dense(60)));
  return model;
}

// Cutting time into chunks changes nothing but the order of sums.
TEST(Recurrent, TimeChunksGiveTheSameModel) {
  const TextData words = datasets::synthetic_text(1500, {.length = 8, .every_step = true});
  for (const bool bidirectional : {false, true}) {
    Sequential whole = chunked_lstm(1, bidirectional);
    const CompileOptions options{.optimizer = SGD(0.5), .devices = "cpu:2", .micro_batches = 1, .seed = 4};
    whole.compile(options);
    const double first = reference_loss(whole, options, *words.data.train, 8);
    const History history =
        whole.fit(*words.data.train, {.batch_size = 8, .steps = 5, .shuffle = false, .verbose = false});
    for (const int chunks : {2, 3, 8}) {
      Sequential cut = chunked_lstm(chunks, bidirectional);
      cut.compile(options);
      EXPECT_NEAR(reference_loss(cut, options, *words.data.train, 8), first, 1e-12);
      const History other =
          cut.fit(*words.data.train, {.batch_size = 8, .steps = 5, .shuffle = false, .verbose = false});
      EXPECT_NEAR(other[0].loss, history[0].loss, 1e-5);
    }
  }
}

// With chunks, layer 1 may work on the first chunk while layer 0 works on the second.
TEST(Recurrent, ChunksOfLayersDependOnWhatTheyNeedAlone) {
  Sequential model = chunked_lstm(2, false);
  const Graph graph = model.training_graph(4, 1, {});
  const TaskGraph tasks(graph, 1);
  std::map<std::string, TaskId> by_name;
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    by_name[graph.node(tasks.task(id).node).name] = id;
  }
  const auto reaches = [&](const std::string& from, const std::string& to) {
    std::vector<TaskId> open{by_name.at(from)};
    std::set<TaskId> seen;
    while (!open.empty()) {
      const TaskId id = open.back();
      open.pop_back();
      if (id == by_name.at(to)) return true;
      if (!seen.insert(id).second) continue;
      for (const TaskId next : tasks.successors(id)) open.push_back(next);
    }
    return false;
  };
  EXPECT_TRUE(reaches("lstm1.l0.chunk0", "lstm1.l1.chunk0"));
  EXPECT_TRUE(reaches("lstm1.l0.chunk0", "lstm1.l0.chunk1"));
  EXPECT_FALSE(reaches("lstm1.l0.chunk1", "lstm1.l1.chunk0"));
  EXPECT_FALSE(reaches("lstm1.l1.chunk0", "lstm1.l0.chunk1"));
}

// Padding in front, whatever its length, leaves a masked net where it was.
TEST(Recurrent, MasksPassOverPadding) {
  const auto predicted = [](std::int64_t length, std::function<void(Sequential&)> add) {
    Sequential model({length}, DType::kInt32);
    model.add(Embedding(10, 4, {.mask_zero = true}));
    add(model);
    model.add(Dense(2));
    model.compile({.devices = "cpu:1", .seed = 3});
    Tensor ids(ValueType{{1, length}, DType::kInt32});
    const std::int32_t words[] = {3, 7, 2};
    std::copy(std::begin(words), std::end(words), ids.ints().end() - 3);
    return reference::to_array(model.predict(ids));
  };
  const std::function<void(Sequential&)> layers[] = {
      [](Sequential& m) { m.add(SimpleRNN(5)); }, [](Sequential& m) { m.add(LSTM(5, {.bidirectional = true})); },
      [](Sequential& m) { m.add(GRU(5, {.layers = 2, .time_chunks = 3})); }};
  for (const auto& add : layers) {
    const reference::Array expected = predicted(3, add);
    const reference::Array padded = predicted(9, add);
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(padded[i], expected[i], 1e-6);
  }
}

// The state of a first layer begins the second one's; as much as one layer over both halves.
TEST(Recurrent, InitialStatesAreTaken) {
  Functional model({4, 3});
  const Symbol state = model.add(Dense(10), model.add(Flatten(), model.input()));
  model.add(GRU(5, {.layers = 2}), {model.input(), state});
  EXPECT_EQ(model.shape({3}), Shape{5});
  Functional wrong({4, 3});
  const Symbol narrow = wrong.add(Dense(9), wrong.add(Flatten(), wrong.input()));
  EXPECT_EQ(message_of([&] {
              wrong.add(GRU(5, {.layers = 2}), {wrong.input(), narrow});
            }),
            "[GRU gru1] expected an initial state (1,10), got (1,9)");
  EXPECT_EQ(message_of([&] {
              wrong.add(LSTM(5), {wrong.input(), narrow});
            }),
            "[LSTM lstm1] expected 1 or 3 inputs, got 2");
}

TEST(Learning, RecurrentNetsLearnTheGrammars) {
  const TextData reviews = datasets::synthetic_sentiment(1200, {.length = 16});
  Sequential rnn({16}, DType::kInt32);
  rnn.add(Embedding(60, 16, {.mask_zero = true})).add(GRU(16)).add(Dense(1, {.activation = "sigmoid"}));
  rnn.compile({.optimizer = Adam(0.01), .loss = BinaryCrossentropy(), .devices = "cpu:2", .seed = 1});
  rnn.fit(*reviews.data.train, {.batch_size = 32, .epochs = 6, .verbose = false});
  EXPECT_GT(rnn.evaluate(*reviews.data.test).metric("accuracy"), 0.95);

  // The verb agrees with a noun four words before it: a bigram model cannot know it.
  const TextData words = datasets::synthetic_text(12000, {.length = 24, .every_step = true});
  Sequential lstm({24}, DType::kInt32);
  lstm.add(Embedding(60, 16)).add(LSTM(32, {.return_sequences = true})).add(Dense(60));
  lstm.compile({.optimizer = Adam(0.01), .metrics = {metrics::perplexity()}, .devices = "cpu:2", .seed = 1});
  lstm.fit(*words.data.train, {.batch_size = 64, .epochs = 10, .verbose = false});
  const double bigram = bigram_perplexity(bigrams_of(*words.data.train), bigrams_of(*words.data.test), 60);
  EXPECT_LT(lstm.evaluate(*words.data.test).metric("perplexity"), 0.8 * bigram);
  const auto text =
      generate_text(lstm, words.vocabulary,
                    words.vocabulary.ids("the red bird near the sea sings . the old king near the hill rules . "
                                         "the small ship near the road sails . the old dog near the"),
                    {.words = 2, .temperature = 0});
  EXPECT_EQ(words.vocabulary.word(text[1]), "barks");
}

TEST(Zoo, EveryModelBuildsAndPlans) {
  for (const models::Recipe& recipe : models::recipes()) {
    SCOPED_TRACE(recipe.name);
    const Model model = recipe.make();
    const TaskGraph tasks(model.training_graph(2, 2, recipe.compile), 2);
    const Plan plan = plan_with("data_parallel", tasks, make_cluster("cpu:2"), CostModel());
    EXPECT_EQ(plan.placements.size(), tasks.task_count());
  }
  // Counts of parameters that are published.
  EXPECT_EQ(models::resnet(50).parameter_count() - 2 * 26560, 25557032);  // but for the running averages
  EXPECT_EQ(models::resnet(18).parameter_count() - 2 * 4800, 11689512);
  EXPECT_EQ(models::vgg16().parameter_count(), 138357544);
}

// Small sizes of what is large, one step each.
TEST(Zoo, ModelsTrainAtSmallSizes) {
  const auto images = [](std::int64_t size, int classes) {
    std::vector<float> pixels(static_cast<std::size_t>(4 * 3 * size * size));
    Random random(1);
    Tensor features(ValueType{{4, 3, size, size}});
    for (float& x : features.floats()) x = static_cast<float>(random.uniform());
    Tensor labels(ValueType{{4}, DType::kInt32});
    labels.ints()[1] = classes - 1;
    return datasets::arrays(std::move(features), std::move(labels), classes, "noise");
  };
  const auto step = [](Model model, const Dataset& data, const CompileOptions& options) {
    CompileOptions compile = options;
    compile.devices = "cpu:2";
    compile.micro_batches = 2;
    model.compile(compile);
    const History history = model.fit(data, {.batch_size = 4, .steps = 2, .verbose = false});
    EXPECT_TRUE(std::isfinite(history.back().loss));
  };
  step(models::resnet(18, 16, 4), *images(16, 4), {});
  step(models::resnet(50, 16, 4), *images(16, 4), {});
  step(models::vgg16(32, 4), *images(32, 4), {});
  step(models::inception(32, 4), *images(32, 4), {});
  step(models::dcgan(4), *images(64, 4), {});
  step(models::mlp(16), *datasets::synthetic_digits(16, 16).train, {});
  const TextData words = datasets::synthetic_text(600, {.length = 8, .every_step = true});
  step(models::lstm_language_model(4, 8, 60, 8, 2), *words.data.train, {});
  step(models::transformer(2, 8, 2, 60, 8), *words.data.train, {});
}

}  // namespace
}  // namespace skua::test
