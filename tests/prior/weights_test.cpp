#include "prior/files/weights.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::message_of;

class WeightsFolder : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::map<std::string, at::Tensor>& tensors) const {
    test::write_bytes(path() / name, test::safetensors_bytes(tensors));
  }
  void put_index(const nlohmann::json& map) const {
    test::write_bytes(path() / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  }
  Weights open() const { return {path(), "model"}; }
  std::string refused() const {
    return message_of<DataError>([&] { (void)open(); });
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  const at::Tensor one_ = at::ones({1});

 private:
  test::TemporaryFolder folder_;
};

TEST_F(WeightsFolder, TakesThePlainNameBeforeVariants) {
  put("model.fp16.safetensors", {{"variant", one_}});
  EXPECT_EQ(open().files().at(0).tensors().at(0).name, "variant");
  put("model.safetensors", {{"plain", one_}});
  EXPECT_EQ(open().files().at(0).tensors().at(0).name, "plain");
}

TEST_F(WeightsFolder, TakesHalfPrecisionAmongVariantsAndRefusesToGuess) {
  put("model.non_ema.safetensors", {{"x", one_}});
  EXPECT_EQ(open().files().size(), 1U);
  put("model.other.safetensors", {{"x", one_}});
  EXPECT_NE(refused().find("several variants"), std::string::npos);
  put("model.fp16.safetensors", {{"half", one_}});
  EXPECT_EQ(open().files().at(0).tensors().at(0).name, "half");
}

TEST_F(WeightsFolder, TakesShards) {
  put("model-00001-of-00002.safetensors", {{"a", one_}});
  put("model-00002-of-00002.safetensors", {{"b", one_}});
  put_index({{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00002-of-00002.safetensors"}});
  EXPECT_EQ(open().files().size(), 2U);
  std::filesystem::rename(path() / "model.safetensors.index.json",
                          path() / "model.safetensors.index.fp16.json");
  EXPECT_EQ(open().files().size(), 2U);
}

TEST_F(WeightsFolder, RefusesAnIndexThatLies) {
  put("model-00001-of-00002.safetensors", {{"a", one_}});
  put("model-00002-of-00002.safetensors", {{"a", one_}});
  put_index({{"a", "../model-00001-of-00002.safetensors"}});
  EXPECT_NE(refused().find("beside the index"), std::string::npos);
  put_index({{"a", "/etc/passwd"}});
  EXPECT_NE(refused().find("beside the index"), std::string::npos);
  put_index({{"a", 3}});
  EXPECT_NE(refused().find("beside the index"), std::string::npos);
  put_index(nlohmann::json::object());
  EXPECT_NE(refused().find("weight_map"), std::string::npos);
  test::write_bytes(path() / "model.safetensors.index.json", "{");
  EXPECT_NE(refused().find("not valid JSON"), std::string::npos);
  put_index({{"a", "model-00009-of-00002.safetensors"}});
  EXPECT_NE(message_of<NotFoundError>([&] { (void)open(); }).find("model-00009"), std::string::npos);
}

TEST_F(WeightsFolder, TakesAnIndexWhoseTensorsWereRenamedInTheirFiles) {
  put("model-00001-of-00002.safetensors", {{"a", one_}});
  put("model-00002-of-00002.safetensors", {{"b", one_}});
  put_index({{"old_a", "model-00001-of-00002.safetensors"}, {"old_b", "model-00002-of-00002.safetensors"}});
  EXPECT_EQ(open().files().size(), 2U);
}

TEST_F(WeightsFolder, RefusesANameInTwoShards) {
  put("model-1-of-2.safetensors", {{"a", one_}, {"b", one_}});
  put("model-2-of-2.safetensors", {{"a", one_}});
  put_index({{"b", "model-1-of-2.safetensors"}, {"a", "model-2-of-2.safetensors"}});
  EXPECT_NE(refused().find("two of the files"), std::string::npos);
}

TEST_F(WeightsFolder, SaysHowToConvertPickledWeights) {
  EXPECT_NE(message_of<NotFoundError>([&] { (void)open(); }).find("model.safetensors"), std::string::npos);
  test::write_bytes(path() / "model.bin", "PK");
  EXPECT_NE(refused().find("save_pretrained"), std::string::npos);
  EXPECT_THROW(Weights(path() / "nowhere", "model"), NotFoundError);
}

TEST_F(WeightsFolder, HashesAllBytesInOrder) {
  put("model.safetensors", {{"a", one_}});
  // The SHA-256 of "" and of "abc" are in FIPS 180-4's examples; files here are never empty, so "abc" it is.
  const Weights weights = open();
  FileHashes hashes;
  EXPECT_EQ(sha256({}, hashes), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256({&weights}, hashes).size(), 64U);
  EXPECT_NE(sha256({&weights}, hashes), sha256({&weights, &weights}, hashes));
}

struct Tiny : torch::nn::Module {
  Tiny() { weight = register_parameter("weight", at::empty({2, 3}), false); }
  at::Tensor weight;
};

TEST_F(WeightsFolder, LoadsStrictlyAndInTheParametersOwnType) {
  const at::Tensor values = at::arange(6, at::kHalf).view({2, 3});
  put("model.safetensors", {{"weight", values}, {"embeddings.position_ids", at::arange(7)}});
  Tiny tiny;
  FileHashes hashes;
  load_parameters(tiny, open(), same_name, hashes);
  EXPECT_TRUE(at::equal(tiny.weight, values.to(at::kFloat)));
  EXPECT_FALSE(tiny.weight.requires_grad());

  put("model.safetensors", {{"weight", values.view({2, 3, 1, 1})}});
  load_parameters(tiny, open(), same_name, hashes);
  for (const auto& wrong :
       {values.view({3, 2}), values.view({6}), values.view({2, 3, 1}), values.view({2, 1, 3, 1})}) {
    put("model.safetensors", {{"weight", wrong}});
    EXPECT_THROW(load_parameters(tiny, open(), same_name, hashes), DataError);
  }
  put("model.safetensors", {{"weight", values}, {"old.weight", values}});
  const auto both = [](const std::string&) { return std::optional<std::string>("weight"); };
  EXPECT_NE(message_of<DataError>([&] { load_parameters(tiny, open(), both, hashes); }).find("unexpected"),
            std::string::npos);
}

TEST_F(WeightsFolder, RefusesValuesThatAreNotFiniteAndNamesTheTensor) {
  Tiny tiny;
  FileHashes hashes;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    at::Tensor values = at::ones({2, 3});
    values[1][2] = bad;
    put("model.safetensors", {{"weight", values}});
    const std::string text = message_of<DataError>([&] { load_parameters(tiny, open(), same_name, hashes); });
    EXPECT_NE(text.find("'weight'"), std::string::npos) << text;
    EXPECT_NE(text.find("not finite"), std::string::npos) << text;
  }
  // Large ones whose sum overflows are weights all the same.
  put("model.safetensors", {{"weight", at::full({2, 3}, std::numeric_limits<float>::max())}});
  EXPECT_NO_THROW(load_parameters(tiny, open(), same_name, hashes));
}

}  // namespace
}  // namespace dwgf
