// The text models and the generator from the outside: training, generating.
#include "cli/command.h"

namespace skua::test {
namespace {

TEST(TextModels, TrainOnFilesAndSayWhatComesNext) {
  const Folder folder("text_models");
  std::string text;
  for (int i = 0; i < 100; ++i) text += "the cat sat on the mat . a dog, it's said, ran ! ";
  folder.write("words.txt", text);
  const std::string checkpoint = folder / "lm";
  const nlohmann::json trained = skua("train text_lstm --data " + folder / "words.txt" +
                                      " --steps 3 --batch 16 --checkpoint " + checkpoint + " --json")
                                     .json();
  EXPECT_GT(trained.at("metrics").at("bigram perplexity"), 1);
  EXPECT_GT(trained.at("metrics").at("test_perplexity"), 1);
  EXPECT_EQ(content_of(folder / "lm/vocabulary.txt").substr(0, 6), ",\nthe\n");

  const std::string generate = "generate text_lstm --checkpoint " + checkpoint + " --words 12 --json ";
  const nlohmann::json first = skua(generate + "--prompt 'the cat' --seed 3").json();
  EXPECT_EQ(skua(generate + "--prompt 'the cat' --seed 3").json(), first);
  EXPECT_NE(skua(generate + "--prompt 'the cat' --seed 4").json().at("text"), first.at("text"));
  const nlohmann::json likeliest = skua(generate + "--temperature 0 --seed 3").json();
  EXPECT_EQ(skua(generate + "--temperature 0 --seed 4").json().at("text"), likeliest.at("text"));
  EXPECT_EQ(skua("generate text_lstm --checkpoint " + checkpoint + " --words 12 --prompt 'the cat' --seed 3").out,
            first.at("text").get<std::string>() + "\n");

  expect_refused(generate + "--temperature -1", {"[temperature]", "-1"});
  expect_refused(generate + "--words 0", {"--words"});
  expect_refused("generate text_lstm --checkpoint " + folder / "none", {"none"});
  expect_refused("generate text_rnn --checkpoint " + checkpoint, {"[generate]", "text_rnn"});
  std::filesystem::remove(folder / "lm/vocabulary.txt");
  expect_refused(generate, {"vocabulary.txt"});
  expect_refused("train text_lstm --data " + folder / "none.txt", {"none.txt"});
  expect_refused("train text_rnn --data " + folder / "", {"rt-polarity.neg"});
}

TEST(TextModels, SentimentBitsDoNotDependOnDevices) {
  const std::string train = "train text_rnn --steps 6 --micro-batches 4 --json ";
  const nlohmann::json one = skua(train + "--devices cpu:1 --policy single --stealing none").json();
  EXPECT_EQ(one.at("batch"), 64);
  EXPECT_EQ(skua(train + "--devices cpu:3 --policy heft").json().at("weights_sha256"), one.at("weights_sha256"));
}

TEST(Generator, WritesSamplesThatAJudgeNames) {
  const Folder folder("generator");
  const nlohmann::json trained = skua("train mnist_gan --steps 2 --batch 16 --checkpoint " + folder / "gan" +
                                      " --samples " + folder / "pictures" + " --json")
                                     .json();
  EXPECT_GT(trained.at("metrics").at("test_discriminator_loss"), 0);
  EXPECT_EQ(content_of(folder / "pictures/epoch-001.png").substr(1, 3), "PNG");
  EXPECT_EQ(skua("train mnist_cnn --steps 2 --batch 16 --checkpoint " + folder / "cnn").status, 0);
  const std::string generate = "generate mnist_gan --samples 20 --checkpoint " + folder / "gan" + " ";
  const nlohmann::json result =
      skua(generate + "--judge " + folder / "cnn" + " --out " + folder / "a.png" + " --json").json();
  EXPECT_EQ(content_of(folder / "a.png").substr(1, 3), "PNG");
  int samples = 0;
  for (const int count : result.at("judgement").at("class_counts")) samples += count;
  EXPECT_EQ(samples, 20);
  EXPECT_GE(result.at("judgement").at("mean_confidence"), 0.1);
  EXPECT_LE(result.at("judgement").at("mean_confidence"), 1);
  expect_refused(generate + "--out " + folder / "none/a.png", {"--out", "none/a.png"});
  expect_refused(generate + "--judge " + folder / "gan" + " --out " + folder / "b.png", {"gan"});
  expect_refused("train mnist_cnn --steps 2 --samples " + folder / "pictures", {"[--samples]", "mnist_cnn"});
}

}  // namespace
}  // namespace skua::test
