#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

#include <ATen/ATen.h>
#include <boost/math/distributions/poisson.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/operators/noise.hpp>

namespace dwgf {
namespace {

at::Tensor standard_normals(const at::Tensor& like, const DrawAddress& address) {
  at::Tensor values = at::empty(like.sizes(), at::kFloat);
  fill_normals(address, {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return values.to(at::kDouble);
}

/// What the models share: entries that are not observed.
class MaskedNoise : public NoiseModel {
 public:
  explicit MaskedNoise(const ForwardOperator& forward) : observed_(forward.observed()) {}

  at::Tensor sample(const at::Tensor& clean, const DrawAddress& address) const final {
    return masked(draw(clean.to(at::kCPU, at::kDouble), address));
  }
  at::Tensor log_likelihood(const at::Tensor& a, const at::Tensor& y) const final {
    require_likelihood();
    return masked(log_density(a.to(at::kDouble), y.to(a.device(), at::kDouble))).flatten(1).sum(1);  // [B]
  }
  at::Tensor log_likelihood_gradient(const at::Tensor& a, const at::Tensor& y) const final {
    require_likelihood();
    return masked(gradient(a.to(at::kDouble), y.to(a.device(), at::kDouble))).to(a.scalar_type());
  }
  at::Tensor information(const at::Tensor& a) const final {
    require_likelihood();
    return masked(fisher(a.to(at::kDouble))).to(a.scalar_type());
  }

 private:
  // Everything here in float64 and entry by entry.
  virtual at::Tensor draw(const at::Tensor& clean, const DrawAddress& address) const = 0;
  virtual at::Tensor log_density(const at::Tensor& a, const at::Tensor& y) const = 0;
  virtual at::Tensor gradient(const at::Tensor& a, const at::Tensor& y) const = 0;
  virtual at::Tensor fisher(const at::Tensor& a) const { return at::full_like(a, 1.0 / variance()); }
  virtual void require_likelihood() const {}

  at::Tensor masked(const at::Tensor& values) const {
    if (!observed_.defined()) return values;
    // A choice, not a product: what is not observed may hold anything.
    return at::where(observed_.to(values.device()).ne(0), values, at::zeros({}, values.options()));
  }

  at::Tensor observed_;  // [...], or undefined
};

class GaussianNoise final : public MaskedNoise {
 public:
  GaussianNoise(const ForwardOperator& forward, double sigma) : MaskedNoise(forward), sigma_(sigma) {}

  double variance() const override { return sigma_ * sigma_; }

 private:
  at::Tensor draw(const at::Tensor& clean, const DrawAddress& address) const override {
    return clean + sigma_ * standard_normals(clean, address);
  }
  at::Tensor log_density(const at::Tensor& a, const at::Tensor& y) const override {
    return (y - a).square() * (-0.5 / (sigma_ * sigma_));
  }
  at::Tensor gradient(const at::Tensor& a, const at::Tensor& y) const override {
    return (y - a) / (sigma_ * sigma_);
  }
  void require_likelihood() const override {
    if (sigma_ > 0) return;
    throw UsageError(
        "problem.sigma: 0 means measurements without noise, which have no likelihood; give the noise's "
        "standard "
        "deviation, however small, or use flow.objective = reference");
  }

  double sigma_;
};

class PoissonNoise final : public MaskedNoise {
 public:
  PoissonNoise(const ForwardOperator& forward, double peak) : MaskedNoise(forward), peak_(peak) {}

  bool is_homogeneous() const override { return false; }
  double variance() const override { return 2 / peak_; }

 private:
  static constexpr double kLeastRate = 0.01;

  at::Tensor draw(const at::Tensor& clean, const DrawAddress& address) const override {
    const at::Tensor rates = ((clean + 1) * (peak_ / 2)).clamp_min(0).contiguous();
    std::vector<double> uniforms(static_cast<std::size_t>(rates.numel()));
    fill_uniforms(address, uniforms);
    using boost::math::policies::integer_round_up;
    using UpperQuantile =
        boost::math::policies::policy<boost::math::policies::discrete_quantile<integer_round_up>>;
    at::Tensor counts = at::zeros_like(rates);
    const double* rate = rates.data_ptr<double>();
    double* count = counts.data_ptr<double>();
    constexpr double half_step = 0x1p-33;  // the uniforms are multiples of 2^-32, 0 among them
    for (std::size_t k = 0; k < uniforms.size(); ++k) {
      if (rate[k] == 0) continue;
      const boost::math::poisson_distribution<double, UpperQuantile> distribution(rate[k]);
      count[k] = boost::math::quantile(distribution, uniforms[k] + half_step);
    }
    return counts * (2 / peak_) - 1;
  }
  at::Tensor rate_of(const at::Tensor& a) const { return ((a + 1) * (peak_ / 2)).clamp_min(kLeastRate); }
  at::Tensor count_of(const at::Tensor& y) const { return (y + 1) * (peak_ / 2); }

  at::Tensor log_density(const at::Tensor& a, const at::Tensor& y) const override {
    const at::Tensor rate = rate_of(a);
    // Below the least rate the line of its slope goes on, whose gradient is the one given here.
    const at::Tensor below = ((a + 1) * (peak_ / 2) - rate) * (count_of(y) / rate - 1);
    return count_of(y) * rate.log() - rate + below;
  }
  at::Tensor gradient(const at::Tensor& a, const at::Tensor& y) const override {
    return (count_of(y) / rate_of(a) - 1) * (peak_ / 2);
  }
  at::Tensor fisher(const at::Tensor& a) const override { return (peak_ / 2) * (peak_ / 2) / rate_of(a); }

  double peak_;
};

class QuantisedNoise final : public MaskedNoise {
 public:
  QuantisedNoise(const ForwardOperator& forward, double step, double sigma)
      : MaskedNoise(forward), step_(step), sigma_(sigma) {}

  double variance() const override { return sigma_ * sigma_ + step_ * step_ / 12; }

 private:
  at::Tensor draw(const at::Tensor& clean, const DrawAddress& address) const override {
    return ((clean + sigma_ * standard_normals(clean, address)) / step_).round_().mul_(step_);
  }

  struct Cell {
    at::Tensor low, high;  ///< its ends in standard deviations, turned so that |low| >= |high| and low < 0
    at::Tensor turned;     ///< where the sign was changed for that
    at::Tensor log_mass;   ///< log(F(high) - F(low))
  };
  // In the upper tail F is 1 to rounding: there the mirrored cell is taken.
  Cell cell(const at::Tensor& a, const at::Tensor& y) const {
    const at::Tensor low = (y - step_ / 2 - a) / sigma_, high = (y + step_ / 2 - a) / sigma_;
    const at::Tensor turned = (low + high).gt(0);
    Cell made{at::where(turned, -high, low), at::where(turned, -low, high), turned, {}};
    const at::Tensor log_high = at::special_log_ndtr(made.high);
    made.log_mass = log_high + at::log1p(-at::exp(at::special_log_ndtr(made.low) - log_high));
    return made;
  }
  at::Tensor log_density(const at::Tensor& a, const at::Tensor& y) const override {
    return cell(a, y).log_mass;
  }
  at::Tensor gradient(const at::Tensor& a, const at::Tensor& y) const override {
    const Cell c = cell(a, y);
    const double log_norm = 0.5 * std::log(2 * std::numbers::pi);
    const auto density = [&](const at::Tensor& u) {
      return at::exp(u.square() * -0.5 - log_norm - c.log_mass);
    };
    const at::Tensor slope = (density(c.low) - density(c.high)) / sigma_;
    return at::where(c.turned, -slope, slope);
  }

  double step_, sigma_;
};

[[noreturn]] void refuse(const std::string& spec, const std::string& why, const std::string& advice) {
  throw UsageError("problem.noise: '{}': {}; {}", spec, why, advice);
}

double positive_number(const std::string& spec, const std::string& text, const char* name) {
  constexpr double most = 1e9;
  const std::optional<double> value = parse_double(trim(text));
  if (!value || !(*value > 0 && *value <= most))
    refuse(spec, formatted("{} is '{}'", name, trim(text)),
           formatted("it must be a number above 0, {} at most", most));
  return *value;
}

}  // namespace

std::unique_ptr<NoiseModel> make_noise_model(const std::string& spec, double sigma,
                                             const ForwardOperator& forward) {
  const std::size_t colon = spec.find(':');
  const std::string name = trim(spec.substr(0, colon));
  const std::string argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (name == "gaussian" && argument.empty()) return std::make_unique<GaussianNoise>(forward, sigma);
  if (name == "poisson") {
    const double peak = positive_number(spec, argument, "the peak");
    if (!forward.measures_image())
      refuse(spec, "counts are of light, and this operator does not measure an image",
             "use gaussian, or an operator whose measurement is an image");
    return std::make_unique<PoissonNoise>(forward, peak);
  }
  if (name == "uniform") {
    const double step = positive_number(spec, argument, "the step");
    if (!(sigma > 0))
      refuse(spec, formatted("it rounds after noise of problem.sigma, which is {}", sigma),
             "give a sigma above 0, or round without noise by the operator `quantise`");
    return std::make_unique<QuantisedNoise>(forward, step, sigma);
  }
  refuse(spec, "is no noise that is known", "choose gaussian, poisson:peak or uniform:step");
}

at::Tensor measure(const ForwardOperator& forward, const NoiseModel& noise, const at::Tensor& truth,
                   std::uint64_t seed, std::uint64_t image) {
  const at::Tensor clean = forward.apply(truth.to(at::kDouble).unsqueeze(0)).squeeze(0);  // [...]
  return noise.sample(clean, {seed, image, 0, 0, Purpose::measurement}).to(at::kFloat);
}

}  // namespace dwgf
