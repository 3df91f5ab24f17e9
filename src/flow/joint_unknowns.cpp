#include "flow/joint_unknowns.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>
#include <dwgf/flow/solve.hpp>

#include "flow/canvas.hpp"
#include "flow/diverged.hpp"
#include "flow/unknowns/tempering.hpp"

namespace dwgf {

class JointUnknowns::CurrentOperator final : public ForwardOperator {
 public:
  explicit CurrentOperator(const ProblemParts& parts) : parts_(parts) {}

  at::Tensor apply(const at::Tensor& x) const override { return now().apply(x); }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    return now().pull_back(x, r);
  }
  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const override {
    return now().push_forward(x, v);
  }
  bool is_linear() const override { return now().is_linear(); }
  std::vector<std::int64_t> measurement_shape() const override { return now().measurement_shape(); }
  at::Tensor observed() const override { return now().observed(); }
  bool keeps_unobserved() const override { return now().keeps_unobserved(); }
  bool measures_image() const override { return now().measures_image(); }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override {
    return now().trivial_inverse(y, sigma);
  }
  std::string trivial_inverse_name() const override { return now().trivial_inverse_name(); }

 private:
  const ForwardOperator& now() const { return *parts_.forward; }

  const ProblemParts& parts_;
};

class JointUnknowns::CurrentNoise final : public NoiseModel {
 public:
  CurrentNoise(const ProblemParts& parts, const double& tempering) : parts_(parts), tempering_(tempering) {}

  at::Tensor sample(const at::Tensor& clean, const DrawAddress& address) const override {
    return now().sample(clean, address);
  }
  at::Tensor log_likelihood(const at::Tensor& a, const at::Tensor& y) const override {
    return tempered(now().log_likelihood(a, y));
  }
  at::Tensor log_likelihood_gradient(const at::Tensor& a, const at::Tensor& y) const override {
    return tempered(now().log_likelihood_gradient(a, y));
  }
  at::Tensor information(const at::Tensor& a) const override { return tempered(now().information(a)); }
  bool is_homogeneous() const override { return now().is_homogeneous(); }
  double variance() const override { return now().variance() / tempering_; }

 private:
  const NoiseModel& now() const { return *parts_.noise; }
  at::Tensor tempered(const at::Tensor& values) const {
    return tempering_ == 1.0 ? values : values * tempering_;
  }

  const ProblemParts& parts_;
  const double& tempering_;
};

namespace {

/// What someone else owns, and keeps for as long as it is needed.
template <class T>
std::shared_ptr<const T> borrowed(const T* object) {
  return {std::shared_ptr<void>(), object};
}

std::vector<double> values_of(const at::Tensor& row) {
  const at::Tensor values = row.contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace

JointUnknowns::JointUnknowns(const Problem& problem)
    : problem_(problem), unknowns_(problem.unknowns ? *problem.unknowns : Unknowns()) {
  given_ = parts_ = {borrowed(&problem.forward), borrowed(problem.noise),
                     problem.noise ? std::sqrt(problem.noise->variance()) : 0.0};
  operator_ = std::make_unique<CurrentOperator>(parts_);
  noise_ = std::make_unique<CurrentNoise>(parts_, tempering_);
}

JointUnknowns::~JointUnknowns() = default;

const ForwardOperator& JointUnknowns::forward() const {
  return none() ? problem_.forward : *operator_;
}

const NoiseModel* JointUnknowns::noise() const {
  return none() || !problem_.noise ? problem_.noise : noise_.get();
}

void JointUnknowns::begin(FlowState& state, std::int64_t steps) {
  if (state.unknowns.empty()) {
    for (const auto& unknown : unknowns_) state.unknowns.push_back({unknown->start(), {}, {}});
  }
  take_up(state, static_cast<double>(state.step) / static_cast<double>(steps));
}

void JointUnknowns::take_up(const FlowState& state, double progress) {
  if (none()) return;
  const std::shared_ptr<const ForwardOperator> before = parts_.forward;
  parts_ = given_;
  for (std::size_t u = 0; u < unknowns_.size(); ++u) unknowns_[u]->put(state.unknowns[u].value, parts_);
  if (parts_.forward != before) memory()->of_operator.reset();
  tempering_ = 1.0;
  if (!parts_.noise) return;
  for (const auto& unknown : unknowns_) {
    const auto* tempers = dynamic_cast<const TempersLikelihood*>(unknown.get());
    if (tempers)
      tempering_ = std::min(tempering_, tempers->tempering(progress, std::sqrt(parts_.noise->variance())));
  }
}

void JointUnknowns::update(FlowState& state, const Problem& problem, std::int64_t steps, Collective& host) {
  if (none()) return;
  const at::Tensor y = problem.measurement();
  std::vector<EnsembleMoments> sums;
  for (const auto& unknown : unknowns_) sums.emplace_back(unknown->statistics(), state.share.particles);
  for (const ParticleBatch& batch : state.batches) {
    const at::Tensor images = cut_to_image(restored_images(problem.prior, batch), problem.image_shape);
    for (std::size_t u = 0; u < unknowns_.size(); ++u)
      sums[u].add(unknowns_[u]->statistics_of({images, y, parts_}), batch.counted);
  }
  const double progress = static_cast<double>(state.step + 1) / static_cast<double>(steps);
  for (std::size_t u = 0; u < unknowns_.size(); ++u) {
    sums[u].start(host);
    sums[u].wait();
    if (sums[u].diverged()) throw Diverged(state.step);
    UnknownState& own = state.unknowns[u];
    own.value = unknowns_[u]->stepped(own.value, sums[u].mean(), progress);
    const std::vector<double> summary = unknowns_[u]->summary(own.value);
    own.trace.insert(own.trace.end(), summary.begin(), summary.end());
    own.recent.insert(own.recent.end(), own.value.begin(), own.value.end());
    if (own.recent.size() > kMostRecent * own.value.size())
      own.recent.erase(own.recent.begin(),
                       own.recent.begin() + static_cast<std::ptrdiff_t>(own.value.size()));
  }
  take_up(state, progress);
}

std::vector<UnknownEstimate> JointUnknowns::estimates(const FlowState& state) const {
  std::vector<UnknownEstimate> estimates;
  for (std::size_t u = 0; u < unknowns_.size(); ++u) {
    const UnknownState& own = state.unknowns[u];
    const auto size = static_cast<std::int64_t>(own.value.size());
    const std::int64_t kept = static_cast<std::int64_t>(own.recent.size()) / size;
    const std::int64_t last = std::min(kept, std::max<std::int64_t>(1, state.step / 4));
    const at::Tensor rows = kept == 0
                                ? at::tensor(at::ArrayRef<double>(own.value), at::kDouble).view({1, size})
                                : at::tensor(at::ArrayRef<double>(own.recent), at::kDouble)
                                      .view({kept, size})
                                      .slice(0, kept - last);
    const at::Tensor spread =
        rows.size(0) > 1 ? rows.std(0, /*unbiased=*/true) : at::zeros({size}, at::kDouble);
    estimates.push_back(
        {unknowns_[u]->name(), unknowns_[u]->shape(), values_of(rows.mean(0)), values_of(spread), own.trace});
  }
  return estimates;
}

ProblemParts JointUnknowns::parts_of(const std::vector<UnknownEstimate>& estimates) const {
  ProblemParts parts = given_;
  for (std::size_t u = 0; u < unknowns_.size(); ++u) unknowns_[u]->put(estimates[u].value, parts);
  return parts;
}

}  // namespace dwgf
