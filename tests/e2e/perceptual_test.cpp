// LPIPS and FID as `evaluate` gives them, with random weights from a file, and what is said of files that do
// not fit.
#include <cmath>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/random.hpp>

#include "finished_job.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

/// A safetensors file of the tensors that tests/data/metric/perceptual.json names, drawn as tests/metric
/// draws them.
fs::path write_weights(const fs::path& path, const char* network) {
  std::ifstream file(DWGF_TEST_DATA "/metric/perceptual.json");
  const nlohmann::json names = nlohmann::json::parse(file)[network]["names"];
  nlohmann::json header;
  std::string content;
  for (const auto& [name, shape] : names.items()) {
    std::size_t count = 1;
    for (const std::size_t size : shape) count *= size;
    std::vector<float> values(count);
    fill_normals({1, fnv1a(name), 0, 0, Purpose::init}, values);
    const bool convolution = shape.size() == 4 && !name.starts_with("lin");
    const double fan_in = convolution ? static_cast<double>(count) / shape[0].get<double>() : 1.0;
    for (float& value : values) {
      const bool positive =
          name.starts_with("lin") || name.ends_with("running_var") || name.ends_with("bn.weight");
      value = convolution ? static_cast<float>(value * std::sqrt(2.0 / fan_in))
              : positive  ? 1.0F + 0.1F * std::abs(value)
                          : 0.1F * value;
    }
    const std::size_t begin = content.size();
    content.append(reinterpret_cast<const char*>(values.data()), count * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, content.size()}}};
  }
  const std::string head = header.dump();
  const std::uint64_t length = head.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << head << content;
  return path;
}

class Perceptual : public FinishedJob {};

TEST_F(Perceptual, LpipsComesFromItsFileAndIsNotThereWithoutOne) {
  const fs::path alex = write_weights(folder / "alex.safetensors", "alex");
  const Arguments asked = {"evaluate", results(), "--json", "--lpips", alex};
  const Finished alone = run(0, asked), shared = run(3, asked),
                 without = run(0, {"evaluate", results(), "--json"});
  for (const Finished& finished : {alone, shared, without}) expect_code(finished, 0);
  EXPECT_EQ(alone.out, shared.out);
  const nlohmann::json found = nlohmann::json::parse(alone.out), none = nlohmann::json::parse(without.out);
  EXPECT_GT(found["summary"]["lpips"]["mean"].get<double>(), 0.0);
  EXPECT_GT(found["summary"]["lpips"]["particle"].get<double>(), 0.0);
  EXPECT_TRUE(found["summary"]["lpips"]["measurement"].is_null()) << "of another shape";
  for (const char* metric : {"lpips", "fid"})
    EXPECT_TRUE(none["summary"][metric]["mean"].is_null()) << metric;
  EXPECT_GT(found["images"][2]["lpips"]["mean"].get<double>(), 0.0);
}

// That it does not depend on how ranks share the images is shown in tests/metric: here it would take half a
// minute.
TEST_F(Perceptual, FidIsOfTheImagesOfAllRanks) {
  const fs::path inception = write_weights(folder / "inception.safetensors", "inception");
  const Finished shared = run(2, {"evaluate", results(), "--json", "--fid", inception});
  expect_code(shared, 0);
  const nlohmann::json fid = nlohmann::json::parse(shared.out)["summary"]["fid"];
  EXPECT_GT(fid["mean"].get<double>(), 0.0);
  EXPECT_GT(fid["baseline"].get<double>(), 0.0);
  EXPECT_NE(fid["mean"], fid["baseline"]);
  EXPECT_TRUE(fid["measurement"].is_null()) << "of another shape";
}

TEST_F(Perceptual, FilesThatAreNotTheNetworksAreRefused) {
  const fs::path alex = write_weights(folder / "alex.safetensors", "alex");
  const Finished wrong = run(2, {"evaluate", results(), "--fid", alex}),
                 absent = run(0, {"evaluate", results(), "--lpips", folder / "absent.safetensors"});
  expect_code(wrong, 65);
  expect_readable(wrong);
  EXPECT_TRUE(contains(wrong.err, "alex.safetensors") && contains(wrong.err, "convert_metric_weights"))
      << wrong.err;
  expect_code(absent, 66);
}

}  // namespace
}  // namespace dwgf::test
