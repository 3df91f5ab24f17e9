#include "report/metrics.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/metric/image_quality.hpp>

#include "metric/lpips.hpp"
#include "posterior/forecast_scores.hpp"
#include "posterior/ranks.hpp"
#include "report/metric_network.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

std::optional<Weighted> given(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return Weighted{*value};
}

/// The particles of one pixel after the other, each sorted: float32 [C H W, N].
at::Tensor sorted_by_pixel(const at::Tensor& particles) {
  return std::get<0>(particles.to(at::kFloat).flatten(1).t().contiguous().sort(1)).contiguous();
}

std::span<const float> pixel_of(const at::Tensor& sorted, std::int64_t pixel) {
  const auto n = static_cast<std::size_t>(sorted.size(1));
  return {sorted.data_ptr<float>() + pixel * sorted.size(1), n};
}

at::Tensor as_doubles(const at::Tensor& x) {
  return x.to(at::kDouble).contiguous();
}

std::optional<Weighted> crps(const StoredImage& image, const PosteriorContext&) {
  if (image.crps) return given(image.crps);
  if (!image.truth.defined() || !image.particles.defined()) return std::nullopt;
  const at::Tensor sorted = sorted_by_pixel(image.particles), truth = as_doubles(image.truth);
  double sum = 0.0;
  for (std::int64_t k = 0; k < sorted.size(0); ++k)
    sum += ensemble_crps(pixel_of(sorted, k), truth.data_ptr<double>()[k]);
  return Weighted{sum / static_cast<double>(sorted.size(0))};
}

/// Mean over the pixels of a Gaussian forecast's CRPS; a deviation that is not there is 0.
std::optional<Weighted> gaussian_crps_of(const at::Tensor& estimate, const at::Tensor& deviation,
                                         const at::Tensor& truth) {
  if (!estimate.defined() || !truth.defined() || estimate.sizes() != truth.sizes()) return std::nullopt;
  const at::Tensor x = as_doubles(estimate), y = as_doubles(truth),
                   s = deviation.defined() ? as_doubles(deviation) : at::zeros_like(x);
  double sum = 0.0;
  for (std::int64_t k = 0; k < x.numel(); ++k)
    sum += gaussian_crps(x.data_ptr<double>()[k], s.data_ptr<double>()[k], y.data_ptr<double>()[k]);
  return given(sum / static_cast<double>(x.numel()));
}

std::optional<Weighted> crps_of_baseline(const StoredImage& image, const PosteriorContext&) {
  return gaussian_crps_of(image.baseline, {}, image.truth);
}

std::optional<Weighted> crps_of_linear_mmse(const StoredImage& image, const PosteriorContext&) {
  return gaussian_crps_of(image.linear_mmse, image.linear_mmse_std, image.truth);
}

std::optional<Weighted> energy(const StoredImage& image, const PosteriorContext&) {
  if (!image.truth.defined() || !image.particles.defined()) return std::nullopt;
  return given(energy_score(image.particles, image.truth));
}

Coverage coverage_of(const at::Tensor& intervals, const at::Tensor& truth) {
  Coverage coverage;
  const at::Tensor y = as_doubles(truth), bounds = intervals.contiguous();
  const double* bound = bounds.data_ptr<double>();
  for (std::int64_t k = 0; k < y.numel(); ++k)
    coverage.add(y.data_ptr<double>()[k], {bound[k], bound[y.numel() + k]});
  return coverage;
}

std::optional<Weighted> share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return Weighted{static_cast<double>(part) / static_cast<double>(whole), static_cast<double>(whole)};
}

std::optional<Coverage> coverage(const StoredImage& image, const PosteriorContext& context) {
  if (!image.truth.defined() || context.particles < 2) return std::nullopt;
  const at::Tensor intervals = credible_intervals(image, context);
  if (!intervals.defined()) return std::nullopt;
  return coverage_of(intervals, image.truth);
}

std::optional<Weighted> inner_coverage(const StoredImage& image, const PosteriorContext& context) {
  const auto found = coverage(image, context);
  return found ? share(found->inner_covered, found->inner) : std::nullopt;
}

std::optional<Weighted> clipped_coverage(const StoredImage& image, const PosteriorContext& context) {
  const auto found = coverage(image, context);
  return found ? share(found->clipped_covered, found->clipped) : std::nullopt;
}

std::optional<Weighted> width(const StoredImage& image, const PosteriorContext& context) {
  if (context.particles < 2) return std::nullopt;
  const at::Tensor intervals = credible_intervals(image, context);
  if (!intervals.defined()) return std::nullopt;
  const at::Tensor shown = intervals.clamp(-1, 1);
  return Weighted{(shown[1] - shown[0]).mean().item<double>()};
}

/// |y - A(x)|^2 / (m sigma^2), mean over the images x [B, C, H, W].
std::optional<Weighted> chi_squared_of(const StoredImage& image, const at::Tensor& x) {
  if (!image.gaussian_noise || !(image.sigma > 0) || !image.forward) return std::nullopt;
  const at::Tensor residual =
      image.forward->apply(x.to(at::kDouble)) - image.measurement.to(at::kDouble).unsqueeze(0);  // [B, ...]
  const double expected = static_cast<double>(image.forward->observed_count()) * image.sigma * image.sigma;
  return given(residual.square().sum().item<double>() / (expected * static_cast<double>(x.size(0))));
}

std::optional<Weighted> chi_squared_of_particles(const StoredImage& image, const PosteriorContext&) {
  if (image.chi_squared) return given(image.chi_squared);
  return image.particles.defined() ? chi_squared_of(image, image.particles) : std::nullopt;
}

std::optional<Weighted> chi_squared_of_mean(const StoredImage& image, const PosteriorContext&) {
  return chi_squared_of(image, image.mean.unsqueeze(0));
}

std::optional<Weighted> diversity(const StoredImage& image, const PosteriorContext& context) {
  if (context.particles < 2) return std::nullopt;
  if (image.diversity) return given(image.diversity);
  if (!image.particles.defined()) return std::nullopt;
  const at::Tensor sorted = sorted_by_pixel(image.particles);
  double sum = 0.0;
  for (std::int64_t k = 0; k < sorted.size(0); ++k) sum += mean_pair_difference(pixel_of(sorted, k));
  return Weighted{sum / static_cast<double>(sorted.size(0))};
}

std::optional<Weighted> of_ranks(const StoredImage& image, const PosteriorContext& context,
                                 double (*number)(std::span<const double>)) {
  const std::vector<double> shares = ranks_of(image, context);
  return shares.empty() ? std::nullopt : given(number(shares));
}

}  // namespace

const std::vector<Scores::Column>& Scores::columns() {
  static const std::vector<Column> columns = {{"measurement", "measurement", &Scores::measurement},
                                              {"baseline", "baseline", &Scores::baseline},
                                              {"linear_mmse", "linear MMSE", &Scores::linear_mmse},
                                              {"mean", "posterior mean", &Scores::mean},
                                              {"particle", "one particle", &Scores::particle}};
  return columns;
}

std::vector<double> ranks_of(const StoredImage& image, const PosteriorContext& context) {
  if (context.particles < 2 || !image.ranks.empty())
    return context.particles < 2 ? std::vector<double>() : image.ranks;
  if (!image.truth.defined() || !image.particles.defined()) return {};
  const at::Tensor sorted = sorted_by_pixel(image.particles), truth = as_doubles(image.truth);
  RankHistogram histogram(std::min(sorted.size(1) + 1, schema::kMostBins));
  for (std::int64_t k = 0; k < sorted.size(0); ++k)
    histogram.add(rank_of(pixel_of(sorted, k), truth.data_ptr<double>()[k]));
  return histogram.shares();
}

at::Tensor credible_intervals(const StoredImage& image, const PosteriorContext& context) {
  const auto low = image.quantiles.find(context.lower), high = image.quantiles.find(context.upper);
  at::Tensor intervals = at::empty({2, image.mean.numel()}, at::kDouble);
  double* bound = intervals.data_ptr<double>();
  const std::int64_t pixels = image.mean.numel();
  if (low != image.quantiles.end() && high != image.quantiles.end()) {
    intervals[0].copy_(low->second.flatten());
    intervals[1].copy_(high->second.flatten());
  } else if (image.particles.defined()) {
    const at::Tensor sorted = sorted_by_pixel(image.particles);
    for (std::int64_t k = 0; k < pixels; ++k) {
      bound[k] = ensemble_quantile(pixel_of(sorted, k), context.lower);
      bound[pixels + k] = ensemble_quantile(pixel_of(sorted, k), context.upper);
    }
  } else {
    return {};
  }
  if (context.decoder_error > 0) {
    const at::Tensor mean = as_doubles(image.mean);
    for (std::int64_t k = 0; k < pixels; ++k) {
      const Interval wide = widened({bound[k], bound[pixels + k]}, mean.data_ptr<double>()[k],
                                    context.decoder_error, context.level());
      bound[k] = wide.lower;
      bound[pixels + k] = wide.upper;
    }
  }
  return intervals.view({2, image.mean.size(0), image.mean.size(1), image.mean.size(2)});
}

Coverage coverage_of_particles(const StoredImage& image, double level, double decoder_error) {
  StoredImage particles_only;
  particles_only.mean = image.mean;
  particles_only.particles = image.particles;
  const PosteriorContext context{image.particles.size(0), 0.5 * (1 - level), 0.5 * (1 + level),
                                 decoder_error};
  return coverage_of(credible_intervals(particles_only, context), image.truth);
}

std::vector<QualityMetric> quality_metrics(const std::string& lpips) {
  QualityMetric perceptual{"lpips", "LPIPS", 4, false, {}};
  if (!lpips.empty()) {
    perceptual.of = [network = load_metric_network<Lpips>("lpips", lpips)](const at::Tensor& x,
                                                                           const at::Tensor& truth) {
      const bool picture = x.size(0) == 1 || x.size(0) == 3;
      return picture ? (*network)(x, truth) : std::nan("");
    };
  }
  return {{"psnr", "PSNR [dB]", 2, true, psnr}, {"ssim", "SSIM", 3, true, ssim}, perceptual};
}

std::vector<PosteriorMetric> posterior_metrics() {
  return {
      {"crps", "CRPS", "continuous ranked probability score on [-1, 1], mean over pixels; smaller is better",
       4, crps},
      {"crps_baseline", "CRPS of the baseline", "of a point forecast: its mean absolute error", 4,
       crps_of_baseline},
      {"crps_linear_mmse", "CRPS of linear MMSE", "of the Gaussian whose mean that estimate is", 4,
       crps_of_linear_mmse},
      {"energy_score", "energy score",
       "CRPS of all pixels together, on the scale of one; from stored particles (store.particles)", 4,
       energy},
      {"coverage", "coverage", "share of pixels with |truth| < 0.99 whose truth lies in their interval", 3,
       inner_coverage},
      {"coverage_clipped", "coverage, clipped pixels",
       "the same for the other pixels, at the ends of the scale", 3, clipped_coverage},
      {"interval_width", "interval width", "mean width of the intervals on [-1, 1]", 3, width},
      {"rank_bias", "rank bias",
       "the truth's ranks among the particles, -1 to 1: 0 on average for exchangeable ones, above it where "
       "the "
       "truth lies above",
       3,
       [](const StoredImage& image, const PosteriorContext& context) {
         return of_ranks(image, context, rank_bias);
       }},
      {"rank_dispersion", "rank dispersion",
       "of these ranks: 0 on average for exchangeable particles, above it for too little spread (up to 2), "
       "below it for too much",
       3,
       [](const StoredImage& image, const PosteriorContext& context) {
         return of_ranks(image, context, rank_dispersion);
       }},
      {"chi_squared", "chi-squared of particles",
       "|y - A(x)|^2 / (m sigma^2), mean over particles; 1 on average for exact posterior samples", 3,
       chi_squared_of_particles},
      {"chi_squared_mean", "chi-squared of the mean",
       "the same for the posterior mean; below that of the particles", 3, chi_squared_of_mean},
      {"ksd", "kernel Stein discrepancy",
       "0 on average for samples of the posterior, above it for others (store.ksd)", 3,
       [](const StoredImage& image, const PosteriorContext&) { return given(image.ksd); }},
      {"ksd_p", "KSD, p-value",
       "how often samples of the posterior would have one as large (wild bootstrap): 0.5 on average for "
       "them, "
       "near 0 for others",
       3, [](const StoredImage& image, const PosteriorContext&) { return given(image.ksd_p); }},
      {"autoencoder", "chi-squared of D(E(x))",
       "what the autoencoder alone leaves of y, x the truth or, where that was not known, the baseline; near "
       "1 "
       "where the prior can represent such images",
       3, [](const StoredImage& image, const PosteriorContext&) { return given(image.autoencoder); }},
      {"diversity", "diversity", "mean over pixels and pairs of particles of their difference on [-1, 1]", 3,
       diversity},
      {"seconds", "seconds an image", "of one group of ranks", 2,
       [](const StoredImage& image, const PosteriorContext&) { return given(image.seconds); }},
  };
}

}  // namespace dwgf
