/// What the program thinks of its own results: one row a verdict in the table of verdicts.cpp, none where
/// nothing is wrong. Rules look at means over images and leave room for chance, so that posterior samples of
/// a true model raise none; how much room each leaves stands below, and what a reader does about a verdict in
/// jobs/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "job/stored_image.hpp"
#include "report/metrics.hpp"

namespace dwgf {

/// `serious`: the pictures should not be used before it is understood; `warning`: a part of what they say.
enum class Severity { warning, serious };
const char* word_for(Severity severity);

/// `text` and `advice` are sentences without their full stop.
struct Verdict {
  std::string code = {};
  Severity severity = Severity::warning;
  double value = 0.0;  ///< what was compared with the threshold
  std::string text = {}, advice = {};
};

/// How an image's misfit went over its records: means over tenths of the finite ones.
struct Trend {
  double first = 0.0;        ///< the first record alone
  double lowest = 0.0;       ///< of the tenths
  double before_last = 0.0;  ///< the last tenth but one
  double last = 0.0;         ///< the last tenth
};

/// Nothing for fewer than 5 finite records.
std::optional<Trend> trend_of(std::span<const float> misfit);

/// What is judged of an image; nothing where it does not apply.
struct JudgedImage {
  std::optional<double> mean = {}, baseline = {}, linear_mmse = {};  ///< PSNR [dB]
  std::optional<double> chi_squared = {};  ///< of the particles; of the mean where theirs is not known
  double explained = 0.0;                  ///< what the decoder's error, where it is measured, adds to it
  double observed = 0.0;                   ///< m
  /// Chi-squared of what the autoencoder alone makes of the truth or the baseline, and of that itself.
  std::optional<double> autoencoder = {}, reference = {};
  std::optional<double> coverage = {};   ///< of the interval, over inner pixels
  double inner = 1.0;                    ///< how many
  double sigma = 0.0;                    ///< 0: the noise is not Gaussian, or there is none
  bool pixels = false;                   ///< the measurement is an image
  double smallest = 0.0, largest = 0.0;  ///< of y, among what is observed
  /// |y| as a multiple of (the largest |A(x)| of four images of +1 and -1: all +1, all -1, two random ones)
  /// + sigma sqrt(m)
  double loudness = 0.0;
  std::optional<Trend> misfit = {};
};

/// A results file, or some evenly spaced images of it.
struct JudgedRun {
  PosteriorContext context = {};
  bool samples = false;  ///< the objective is the posterior itself (`bayes`)
  std::int64_t total = 0, failed = 0;
  std::vector<JudgedImage> images = {};
};

/// The room that the rules leave.
struct VerdictLimits {
  /// z: standard errors beyond which a mean counts as another one.
  static constexpr double kErrors = 3.0;
  /// Residuals. For y = A(x) + sigma n, x and the N particles exchangeable given y, every y - A(x^i) has the
  /// distribution of the noise: E chi^2 = 1 whatever N is, and the mean over particles varies no more than
  /// one particle's, by 2 / m at most. Over images of M observed entries together it is 1 within
  /// z sqrt(2 / M). Above that lies what no particle can show (the autoencoder's error, which the built-in
  /// prior has at twice the noise of its jobs) and below it what a point estimate fits of the noise; both are
  /// common, and harmless up to three times and half the noise in standard deviation: large above
  /// 9 (1 + z sqrt(2 / M)) + what a measured decoder error explains, small below (1 - z sqrt(2 / M)) / 4.
  static constexpr double kLargeResidual = 9.0, kSeriousResidual = 25.0, kSmallResidual = 0.25;
  /// The autoencoder's own residual, of D(E(x)), is judged as the particles' is, over the images whose x
  /// itself leaves of y at most so many times the noise: then it is the autoencoder that loses the rest. For
  /// a prior that loses nothing it is that of the noise, and chance passes it as rarely; images are not
  /// equally hard, so that its standard error over them counts with chance.
  static constexpr double kReference = 3.0;
  /// Measurements this many times as large as those of an image of +1 and -1.
  static constexpr double kLoudness = 3.0;
  /// Data that look like [0, 1]: nothing beyond it by more than so many standard deviations of the noise, of
  /// which that is at most `kMostBeyond` (more noise hides the range), and the darkest pixel of each of at
  /// least 3 images at most `kDarkest`, or the residual large.
  static constexpr double kBeyond = 5.0, kMostBeyond = 0.5, kDarkest = 0.2;
  /// Paired differences of PSNR: below 0 by 2 standard errors over at least 3 images or in every one, of
  /// fewer than 3 in every one by 0.5 dB on average. Of equally good estimates by chance in 12 % of runs of
  /// 3 images, 4 % of 8, 2.5 % of many. Below the linear MMSE by z standard errors and
  /// 10 log10(1 + 1 / N) dB: a mean of N samples has 1 + 1 / N times the least error, and where all is
  /// Gaussian the linear estimate has the least. There exact samples raise it in 5 % of runs of 3 images and
  /// 1 % of 8, and no other verdict at all (in 2,000 runs of each kind of tests/report).
  static constexpr double kPairedErrors = 2.0, kFewImagesDecibel = 0.5;
  static constexpr std::size_t kFewImages = 3;
  /// Coverage. Between the p and q quantiles of N exchangeable particles, at positions p (N + 1) and
  /// q (N + 1) kept to 1 ... N, another one of their kind lies with probability
  /// (position of q - position of p) / (N + 1) (`attainable_level`: of 90 % intervals 0.6 for N = 4, 0.778
  /// for 8, 0.9 from 19 on). Off it by more than z standard errors over images and 0.05, which is left for
  /// counting inner pixels only; of fewer than 3 images, which have no standard error, by 0.15.
  static constexpr double kCoverage = 0.05, kFewImagesCoverage = 0.15;
  /// Coverages below which an interval is not judged: 1 particle has none.
  static constexpr double kLeastLevel = 0.3;
  /// A misfit that ends above so many times its lowest tenth and still rises; that ends above this share of
  /// its first record. Only where the residual is large too.
  static constexpr double kRise = 2.0, kStall = 0.9;
};

/// The codes of all verdicts, in the order of the table.
std::vector<std::string> verdict_codes();

/// The serious ones first, each kind in the order of the table.
std::vector<Verdict> verdicts_of(const JudgedRun& run);

/// The numbers that are judged, taken from images as they are read. Each costs some applications of A, and
/// the coverage.
class Judge {
 public:
  /// @pre `stored` outlives it
  Judge(const StoredImages& stored, const PosteriorContext& context);
  /// @pre the image of that row
  void add(std::int64_t row, const StoredImage& image);
  std::vector<Verdict> verdicts() const { return verdicts_of(run_); }

 private:
  const StoredImages& stored_;
  JudgedRun run_;
};

/// All but the misfit.
JudgedImage judged(const StoredImage& image, const PosteriorContext& context);

/// For a job that has just ended: from at most 64 of its images, fewer of large ones, evenly spaced, without
/// linear MMSE estimates, and without failed images, which the job has told. Throws what StoredImages throws.
std::vector<Verdict> quick_verdicts(const std::string& path);

/// A line each, indented: "serious, wrong-scale: text; advice."
std::string lines_of(const std::vector<Verdict>& verdicts);

}  // namespace dwgf
