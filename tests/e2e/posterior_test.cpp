// What results files keep of the particles' distribution, against the particles themselves.
#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "data/npy.hpp"
#include "finished_job.hpp"
#include "refusals.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Posterior : public FinishedJob {};

/// The particles of every pixel, sorted.
std::vector<std::vector<double>> pixels_of(const std::vector<float>& particles, std::size_t pixels) {
  std::vector<std::vector<double>> sorted(pixels);
  for (std::size_t k = 0; k < particles.size(); ++k) sorted[k % pixels].push_back(particles[k]);
  for (auto& values : sorted) std::sort(values.begin(), values.end());
  return sorted;
}

TEST_F(Posterior, QuantilesDiversityAndCrpsAreThoseOfTheStoredParticles) {
  const auto file = ResultsFile::open_for_reading(results());
  for (std::int64_t row = 0; row < 3; ++row) {
    const std::vector<float> truth = file.read_floats("/truth/x", row);
    const auto sorted = pixels_of(file.read_floats("/particles/x", row), truth.size());
    const auto n = static_cast<double>(sorted.front().size());
    ASSERT_EQ(n, 4);  // 5 % lies at position 0.25, 95 % at 4.75: the extremes
    const std::vector<float> low = file.read_floats("/posterior/quantile_05", row),
                             high = file.read_floats("/posterior/quantile_95", row);
    double diversity = 0, crps = 0;
    for (std::size_t k = 0; k < truth.size(); ++k) {
      EXPECT_EQ(low[k], static_cast<float>(sorted[k].front()));
      EXPECT_EQ(high[k], static_cast<float>(sorted[k].back()));
      for (const double a : sorted[k]) {
        crps += std::abs(std::clamp(a, -1.0, 1.0) - truth[k]) / n;
        for (const double b : sorted[k]) {
          diversity += std::abs(a - b) / (n * (n - 1));
          crps -= std::abs(std::clamp(a, -1.0, 1.0) - std::clamp(b, -1.0, 1.0)) / (2 * n * n);
        }
      }
    }
    const auto count = static_cast<double>(truth.size());
    EXPECT_NEAR(file.read_floats("/posterior/diversity", row)[0], diversity / count, 1e-6);
    EXPECT_NEAR(file.read_floats("/posterior/crps", row)[0], crps / count, 1e-6);
  }
}

TEST_F(Posterior, ChiSquaredIsThatOfTheParticlesResiduals) {
  const auto file = ResultsFile::open_for_reading(results());
  const std::vector<float> y = file.read_floats("/measurement/y", 1), x = file.read_floats("/particles/x", 1);
  const double sigma = 0.05;
  double sum = 0;
  for (std::size_t i = 0; i < x.size() / (3 * 32 * 32); ++i) {
    for (std::size_t k = 0; k < y.size(); ++k) {  // [3, 8, 8], means of 4 x 4 pixels
      double mean = 0;
      for (std::size_t dy = 0; dy < 4; ++dy)
        for (std::size_t dx = 0; dx < 4; ++dx)
          mean += x[((i * 3 + k / 64) * 32 + k / 8 % 8 * 4 + dy) * 32 + k % 8 * 4 + dx] / 16.0;
      sum += (mean - y[k]) * (mean - y[k]);
    }
  }
  const double expected = sum / 4 / static_cast<double>(y.size()) / (sigma * sigma);
  EXPECT_NEAR(file.read_floats("/posterior/chi_squared", 1)[0] / expected, 1, 1e-4);
}

TEST_F(Posterior, EvaluateHasCoverageAndItsKin) {
  const Finished finished = run(0, {"evaluate", results(), "--json"});
  expect_code(finished, 0);
  const json summary = json::parse(finished.out).at("summary"),
             image = json::parse(finished.out).at("images")[2];
  const auto file = ResultsFile::open_for_reading(results());
  const std::vector<float> truth = file.read_floats("/truth/x", 2),
                           low = file.read_floats("/posterior/quantile_05", 2),
                           high = file.read_floats("/posterior/quantile_95", 2);
  double inner = 0, covered = 0;
  for (std::size_t k = 0; k < truth.size(); ++k) {
    if (std::abs(truth[k]) >= 0.99) continue;
    ++inner;
    covered += std::clamp(low[k], -1.f, 1.f) <= truth[k] && truth[k] <= std::clamp(high[k], -1.f, 1.f);
  }
  EXPECT_NEAR(image.at("coverage"), covered / inner, 1e-12);
  EXPECT_NEAR(image.at("crps"), file.read_floats("/posterior/crps", 2)[0], 1e-9);
  EXPECT_EQ(summary.at("interval_level").dump(), "0.9");
  EXPECT_NEAR(summary.at("attainable_level"), 0.6, 1e-12);
  for (const char* name :
       {"coverage", "crps", "chi_squared", "chi_squared_mean", "diversity", "seconds", "interval_width"})
    EXPECT_TRUE(summary.at(name).is_number()) << name;

  // An error of the decoder makes the intervals wider.
  const Finished wide = run(0, {"evaluate", results(), "--json", "--decoder-error", "0.5"});
  expect_code(wide, 0);
  const json wider = json::parse(wide.out).at("summary");
  EXPECT_GT(wider.at("interval_width"), summary.at("interval_width"));
  EXPECT_GE(wider.at("coverage"), summary.at("coverage"));
  EXPECT_EQ(wider.at("decoder_error"), 0.5);
  const Finished measured = run(0, {"evaluate", results(), "--json", "--decoder-error", pictures()});
  expect_code(measured, 0);
  EXPECT_GT(json::parse(measured.out).at("summary").at("decoder_error"), 0.0);
}

TEST_F(Posterior, EveryMeanHasItsStandardErrorOverImages) {
  const Finished finished = run(0, {"evaluate", results(), "--json"});
  expect_code(finished, 0);
  const json whole = json::parse(finished.out), errors = whole.at("summary").at("standard_errors");
  const auto error_of = [&](const std::function<double(const json&)>& value) {
    double sum = 0, squares = 0;
    for (const json& image : whole.at("images")) {
      sum += value(image) / 3;
      squares += value(image) * value(image) / 3;
    }
    return std::sqrt((squares - sum * sum) / 2);  // of 3 images
  };
  EXPECT_NEAR(errors.at("psnr").at("mean"),
              error_of([](const json& image) { return image.at("psnr").at("mean").get<double>(); }), 1e-6);
  for (const char* name : {"crps", "crps_baseline", "energy_score", "chi_squared"})
    EXPECT_NEAR(errors.at(name), error_of([&](const json& image) { return image.at(name).get<double>(); }),
                1e-6)
        << name;
  EXPECT_GT(errors.at("coverage"), 0.0);
  EXPECT_TRUE(errors.at("ksd").is_null());
  expect_code(run(0, {"evaluate", results()}), 0);
}

// Of a quantised image the baseline is the measurement.
TEST_F(Posterior, TheCrpsOfTheBaselineIsItsMeanAbsoluteError) {
  const fs::path out = folder / "quantised.h5";
  fs::remove(out);
  expect_code(run(0, small_job(pictures(), out, {"--problem.operator", "quantise:8", "--input.count", "1"})),
              0);
  const Finished finished = run(0, {"evaluate", out, "--json"});
  expect_code(finished, 0);
  const auto file = ResultsFile::open_for_reading(out);
  const std::vector<float> truth = file.read_floats("/truth/x", 0), y = file.read_floats("/measurement/y", 0);
  double error = 0;
  for (std::size_t k = 0; k < y.size(); ++k)
    error += std::abs(std::clamp(double{y[k]}, -1.0, 1.0) - truth[k]) / static_cast<double>(y.size());
  EXPECT_NEAR(json::parse(finished.out).at("summary").at("crps_baseline"), error, 1e-6);
}

TEST_F(Posterior, OneParticleHasNoSpreadToJudge) {
  const fs::path out = folder / "one.h5";
  fs::remove(out);
  expect_code(run(0, small_job(pictures(), out, {"--flow.particles", "1", "--input.count", "2"})), 0);
  const Finished finished = run(0, {"evaluate", out, "--json"}), table = run(0, {"evaluate", out});
  expect_code(finished, 0);
  const json summary = json::parse(finished.out).at("summary");
  for (const char* name :
       {"coverage", "coverage_clipped", "interval_width", "diversity", "attainable_level", "ksd"})
    EXPECT_TRUE(summary.at(name).is_null()) << name;
  EXPECT_GT(summary.at("crps"), 0.0);
  EXPECT_FALSE(contains(table.out, "1 particles")) << table.out;
}

TEST_F(Posterior, RanksAreThoseOfTheTruthAmongTheStoredParticles) {
  const auto file = ResultsFile::open_for_reading(results());
  const std::vector<float> truth = file.read_floats("/truth/x", 1);
  const auto sorted = pixels_of(file.read_floats("/particles/x", 1), truth.size());
  std::vector<double> shares(5);  // of 4 particles
  for (std::size_t k = 0; k < truth.size(); ++k) {
    const auto on_scale = [](double x) { return std::clamp(x, -1.0, 1.0); };
    std::size_t below = 0, equal = 0;
    for (const double x : sorted[k]) {
      below += on_scale(x) < truth[k];
      equal += on_scale(x) == truth[k];
    }
    for (std::size_t rank = below; rank <= below + equal; ++rank)
      shares[rank] += 1.0 / static_cast<double>(equal + 1) / static_cast<double>(truth.size());
  }
  const std::vector<float> stored = file.read_floats("/posterior/ranks", 1);
  ASSERT_EQ(stored.size(), 5u);
  for (std::size_t b = 0; b < 5; ++b) EXPECT_NEAR(stored[b], shares[b], 1e-6) << b;
  const Finished finished = run(0, {"evaluate", results(), "--json"});
  const json summary = json::parse(finished.out).at("summary");
  EXPECT_EQ(summary.at("rank_histogram").at("shares").size(), 5u);
  EXPECT_TRUE(summary.at("rank_dispersion").is_number());
  EXPECT_TRUE(summary.at("rank_evenness_p").is_null());  // of 3 images
}

TEST_F(Posterior, KsdHasAPValue) {
  const fs::path out = folder / "ksd.h5";
  fs::remove(out);
  expect_code(run(0, small_job(pictures(), out, {"--store.ksd", "yes", "--input.count", "1"})), 0);
  const Finished finished = run(0, {"evaluate", out, "--json"});
  const json image = json::parse(finished.out).at("images")[0];
  EXPECT_TRUE(image.at("ksd").is_number());
  EXPECT_GT(image.at("ksd_p"), 0.0);
  EXPECT_LE(image.at("ksd_p"), 1.0);
}

// Results of measurements without a truth: 2 images of 1 x 8 x 8.
TEST_F(Posterior, ATruthBroughtAfterwardsIsComparedWith) {
  const fs::path out = folder / "blind.h5", truth = folder / "truth.npy";
  fs::remove(out);
  expect_code(run(0, {"restore", "--input.data", DWGF_TEST_DATA "/measurements/h5py.h5", "--problem.sigma",
                      "0.1", "--flow.preset", "fast", "--flow.grid", "3", "--flow.particles", "2",
                      "--store.particles", "float32", "--store.out", out}),
              0);
  std::vector<float> x(2 * 64);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(k % 17) / 8.0f - 1.0f;
  write_npy(truth.string(), {2, 1, 8, 8}, x);
  const auto evaluated = [&](const Arguments& more) {
    const Finished finished = run(0, Arguments{"evaluate", out, "--json"} + more);
    expect_code(finished, 0);
    return json::parse(finished.out);
  };
  EXPECT_TRUE(evaluated({}).at("summary").at("psnr").at("mean").is_null());
  const json whole = evaluated({"--truth", truth});
  const auto file = ResultsFile::open_for_reading(out);
  for (std::size_t row = 0; row < 2; ++row) {
    const std::vector<float> mean = file.read_floats("/posterior/mean", static_cast<std::int64_t>(row));
    double square = 0;
    for (std::size_t k = 0; k < 64; ++k) {
      const double away = std::clamp(double{mean[k]}, -1.0, 1.0) - x[64 * row + k];
      square += away * away / 64;
    }
    EXPECT_NEAR(whole.at("images")[row].at("psnr").at("mean"), 10 * std::log10(4 / square), 1e-4);
  }
  for (const char* name : {"crps", "coverage", "rank_dispersion", "energy_score"})
    EXPECT_TRUE(whole.at("summary").at(name).is_number()) << name;
  expect_code(run(0, {"report", out, "--truth", truth, "--to", folder / "blind.html"}), 0);
  EXPECT_TRUE(contains(read_text(folder / "blind.html"), "alt=\"truth of"));
}

TEST_F(Posterior, ATruthIsMatchedByNameAndWhatDoesNotFitIsOneMessage) {
  const auto psnr_with = [&](const Arguments& more) {
    const Finished finished = run(0, Arguments{"evaluate", results(), "--json"} + more);
    expect_code(finished, 0);
    return json::parse(finished.out).at("summary").at("psnr").at("mean");
  };
  // The same pictures, the names' endings aside and another one between them.
  const fs::path elsewhere = folder / "elsewhere";
  fs::create_directories(elsewhere / "inner");
  fs::copy_file(pictures() / "a.png", elsewhere / "a.PNG", fs::copy_options::overwrite_existing);
  fs::copy_file(pictures() / "b c.png", elsewhere / "b c.png", fs::copy_options::overwrite_existing);
  fs::copy_file(pictures() / "inner/d.png", elsewhere / "inner/d.png", fs::copy_options::overwrite_existing);
  make_picture(elsewhere / "another.png", 9);
  EXPECT_EQ(psnr_with({"--truth", elsewhere}), psnr_with({}));
  const fs::path y = folder / "y.h5";
  fs::remove(y);
  expect_code(run(0, {"degrade", "--input.data", pictures(), "--input.channels", "3", "--store.out", y}), 0);
  EXPECT_EQ(psnr_with({"--truth", y}), psnr_with({}));

  const auto expect_message = [&](const fs::path& truth, int code, const Arguments& parts) {
    expect_refused(run(0, {"evaluate", results(), "--truth", truth}), code, parts);
  };
  expect_message(make_array(folder / "two.npy", 2), 65, {"--truth", "2 images", "have 3", "by name"});
  expect_message(make_array(folder / "large.npy", 3, 1, 40), 65, {"--truth", "40 x 40", "32 x 32", "3 of 3"});
  expect_message(folder / "none", 66, {"none"});
  expect_message(DWGF_TEST_DATA "/measurements/h5py.h5", 65, {"without a truth"});
}

TEST_F(Posterior, AnErrorMeasuredOnTheVeryTestImagesIsObjectedToAndOneBadFileIsLeftOut) {
  const Finished own = run(0, {"evaluate", results(), "--decoder-error", pictures()});
  expect_code(own, 0);
  EXPECT_TRUE(contains(own.err, "on 3 of the 3 images that are evaluated")) << own.err;
  const fs::path others = folder / "others";
  fs::create_directories(others);
  make_picture(others / "e.png", 7);
  write_text(others / "broken.png", "no picture");
  const Finished other = run(0, {"evaluate", results(), "--decoder-error", others});
  expect_code(other, 0);
  EXPECT_TRUE(contains(other.err, "1 of 2 images cannot be read")) << other.err;
  EXPECT_FALSE(contains(other.err, "that are evaluated")) << other.err;
  fs::remove(others / "e.png");
  expect_refused(run(0, {"evaluate", results(), "--decoder-error", others}), 65, {"no image", "broken.png"});
}

TEST_F(Posterior, EvaluateAsCsvHasALineAnImageWithTheNumbersOfJson) {
  const Finished csv = run(0, {"evaluate", results(), "--csv"}),
                 as_json = run(0, {"evaluate", results(), "--json"});
  expect_code(csv, 0);
  const json images = json::parse(as_json.out).at("images");
  std::istringstream lines(csv.out);
  std::vector<std::vector<std::string>> cells;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line + ",");
    cells.emplace_back();
    for (std::string word; std::getline(words, word, ',');) cells.back().push_back(word);
  }
  ASSERT_EQ(cells.size(), 4u);
  const auto value = [&](std::size_t row, const std::string& column) {
    const auto at = std::find(cells[0].begin(), cells[0].end(), column) - cells[0].begin();
    return cells[row].at(static_cast<std::size_t>(at));
  };
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(value(k + 1, "name"), images[k].at("name"));
    EXPECT_NEAR(std::stod(value(k + 1, "psnr_mean")), images[k].at("psnr").at("mean"), 1e-6);
    EXPECT_NEAR(std::stod(value(k + 1, "coverage")), images[k].at("coverage"), 1e-6);
    EXPECT_EQ(value(k + 1, "ssim_linear_mmse"), "");
  }
  expect_refused(run(0, {"evaluate", results(), "--csv", "--json"}), 64, {"--json and --csv"});
}

TEST_F(Posterior, QuantilesAreThoseAskedFor) {
  const fs::path out = folder / "quantiles.h5";
  fs::remove(out);
  expect_code(
      run(0, small_job(pictures(), out, {"--store.quantiles", "0.025, 0.5,0.975", "--input.count", "1"})), 0);
  const auto file = ResultsFile::open_for_reading(out);
  for (const char* name : {"/posterior/quantile_02.5", "/posterior/quantile_50", "/posterior/quantile_97.5"})
    EXPECT_TRUE(file.layout().find(name)) << name;
  EXPECT_FALSE(file.layout().find("/posterior/quantile_05"));
  const Finished evaluated = run(0, {"evaluate", out, "--json"});
  expect_code(evaluated, 0);
  EXPECT_NEAR(json::parse(evaluated.out).at("summary").at("interval_level"), 0.95, 1e-12);
  for (const char* wrong : {"0.5,0.05", "0,1", "5,95", "x"})
    expect_refused(run(0, small_job(pictures(), folder / "no.h5", {"--store.quantiles", wrong})), 64,
                   {"store.quantiles"});
}

}  // namespace
}  // namespace dwgf::test
