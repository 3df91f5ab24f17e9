// What the program says of its own results when they are bad, and that it is silent when they are not.
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "data/npy.hpp"
#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Verdicts : public testing::Test {
 protected:
  static void SetUpTestSuite() { folder = new_folder("verdicts"); }

  /// Restores with the built-in prior, in few steps; what was said.
  static std::string restored(const fs::path& data, const fs::path& out, const Arguments& more = {}) {
    const Finished finished = run(
        0, Arguments{"restore", "--input.data", data, "--store.out", out, "--prior.path", "builtin:fashion",
                     "--flow.preset", "fast", "--flow.grid", "25", "--flow.micro_batch", "4"} +
               more);
    expect_code(finished, 0);
    expect_readable(finished);
    return finished.err;
  }

  /// Codes of `evaluate --json`, whose form is checked.
  static std::set<std::string> codes(const fs::path& results) {
    const Finished finished = run(0, {"evaluate", results, "--json"});
    expect_code(finished, 0);
    std::set<std::string> codes;
    const nlohmann::json whole = nlohmann::json::parse(finished.out);
    for (const nlohmann::json& verdict : whole.at("verdicts")) {
      EXPECT_TRUE(codes.insert(verdict.at("code")).second);
      EXPECT_TRUE(verdict.at("severity") == "warning" || verdict.at("severity") == "serious");
      EXPECT_TRUE(verdict.at("value").is_number());
      EXPECT_FALSE(verdict.at("text").get<std::string>().empty());
      EXPECT_FALSE(verdict.at("advice").get<std::string>().empty());
    }
    return codes;
  }

  /// 3 grey images of values on [low, high], both among them.
  static fs::path images(const std::string& name, float low, float high) {
    std::mt19937 engine(1);
    std::vector<float> values(3 * 32 * 32);
    for (float& value : values) value = low + (high - low) * static_cast<float>(engine() % 11) / 10.0f;
    const fs::path path = folder / name;
    write_npy(path.string(), {3, 1, 32, 32}, values);
    return path;
  }

  inline static fs::path folder;
};

TEST_F(Verdicts, DataOnTheUnitRangeAreToldWhenTheJobEnds) {
  const Arguments denoise = {"--problem.operator", "identity", "--problem.sigma", "0.02"};
  const std::string unit = restored(images("unit.npy", 0, 1), folder / "unit.h5", denoise),
                    whole = restored(images("whole.npy", -1, 1), folder / "whole.h5", denoise);
  EXPECT_TRUE(contains(unit, "serious, wrong-scale: ")) << unit;
  EXPECT_TRUE(contains(unit, "2 v - 1")) << unit;
  EXPECT_FALSE(contains(whole, "wrong-scale")) << whole;
  EXPECT_TRUE(codes(folder / "unit.h5").contains("wrong-scale"));
  EXPECT_FALSE(codes(folder / "whole.h5").contains("wrong-scale"));

  // In the table, and on the page.
  const Finished table = run(0, {"evaluate", folder / "unit.h5"});
  EXPECT_TRUE(contains(table.out, "verdicts, the worst first\n  serious, wrong-scale: ")) << table.out;
  expect_code(run(0, {"report", folder / "unit.h5", "--to", folder / "unit.html"}), 0);
  EXPECT_TRUE(contains(read_text(folder / "unit.html"), "serious, wrong-scale</strong>"));
}

TEST_F(Verdicts, AWrongNoiseLevelIsToldAndTheRightOneIsNot) {
  expect_code(
      run(0, {"degrade", "--input.data", DWGF_SOURCE_DIR "/jobs/data/fashion", "--input.count", "3",
              "--problem.operator", "identity", "--problem.sigma", "0.3", "--store.out", folder / "y.h5"}),
      0);
  const std::string right = restored(folder / "y.h5", folder / "right.h5"),
                    wrong = restored(folder / "y.h5", folder / "wrong.h5", {"--problem.sigma", "0.05"});
  EXPECT_FALSE(contains(right, "residual-large")) << right;
  EXPECT_TRUE(contains(wrong, "residual-large")) << wrong;
  EXPECT_TRUE(contains(wrong, "problem.sigma")) << wrong;
  EXPECT_FALSE(codes(folder / "right.h5").contains("residual-large"));
  EXPECT_TRUE(codes(folder / "wrong.h5").contains("residual-large"));
}

}  // namespace
}  // namespace dwgf::test
