#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "prior/nn/detail/norm_kernels.hpp"
#include "prior/nn/layers.hpp"
#include "prior/nn/own_kernels.hpp"

namespace dwgf {
namespace {

NormShape shape_of(const at::Tensor& x, std::int64_t groups) {
  return {x.size(0), x.size(2) * x.size(3), x.size(1), groups,
          kernel_number(x.scalar_type()).value_or(KernelNumber::float32)};
}

/// `values` as x lies in memory.
at::Tensor laid_out_as(const at::Tensor& values, const at::Tensor& x) {
  return values.strides() == x.strides() ? values : at::empty_like(x).copy_(values);
}

at::Tensor scratch_of(const at::Tensor& x, const NormShape& shape) {
  return at::empty({static_cast<std::int64_t>(norm_scratch(shape))}, x.options().dtype(at::kFloat));
}

void* memory_of(const at::Tensor& x) {
  return x.defined() ? x.data_ptr() : nullptr;
}

/// x [B, C, H, W] as the loops see it.
struct Layout {
  explicit Layout(const at::Tensor& x)
      : batch(x.size(0)),
        channels(x.size(1)),
        positions(x.size(2) * x.size(3)),
        part(std::max<std::int64_t>(kNormBlock, kPartNumbers / channels / kNormBlock * kNormBlock)),
        parts((positions + part - 1) / part) {}
  std::int64_t offset(std::int64_t task) const {
    return ((task / parts) * positions + (task % parts) * part) * channels;
  }
  std::int64_t count(std::int64_t task) const { return std::min(part, positions - (task % parts) * part); }
  std::int64_t tasks() const { return batch * parts; }

  static constexpr std::int64_t kPartNumbers = 32768;
  std::int64_t batch, channels, positions;
  std::int64_t part,
      parts;  ///< positions of a part of a sample, the unit of work of a thread; parts of a sample
};

/// Calls f with a null pointer of the loops' type for x.
template <class F>
void with_type(const at::Tensor& x, F&& f) {
  if (x.scalar_type() == at::kFloat) {
    f(static_cast<float*>(nullptr));
  } else {
    f(static_cast<Brain*>(nullptr));
  }
}

template <class T>
T* values(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

/// f(task) for all parts of all samples, shared out over threads.
template <class F>
void for_each_part(const Layout& layout, const F& f) {
  at::parallel_for(0, layout.tasks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) f(task);
  });
}

/// Two sums a channel of every part, [tasks, 2, channels].
class PartialSums {
 public:
  explicit PartialSums(const Layout& layout)
      : layout_(layout), values_(static_cast<std::size_t>(2 * layout.tasks() * layout.channels)) {}
  double* first(std::int64_t task) { return values_.data() + 2 * task * layout_.channels; }
  double* second(std::int64_t task) { return first(task) + layout_.channels; }
  /// Adds up the parts of a sample, in their order, into those of its first part.
  void gather(std::int64_t sample) {
    double* const total = first(sample * layout_.parts);
    for (std::int64_t part = 1; part < layout_.parts; ++part) {
      const double* const more = first(sample * layout_.parts + part);
      for (std::int64_t i = 0; i < 2 * layout_.channels; ++i) total[i] += more[i];
    }
  }

 private:
  const Layout& layout_;
  std::vector<double> values_;
};

/// A norm with its statistics as the loops take it: y = x scale + shift, [batch, channels] each.
struct Rows {
  Rows(const Layout& layout, const GroupNorm::Statistics& statistics, const at::Tensor& weight,
       const at::Tensor& bias)
      : channels(layout.channels) {
    const at::Tensor w = weight.to(at::kFloat), shifts = bias.to(at::kFloat);
    const std::int64_t groups = statistics.mean.size(1), width = channels / groups;
    const float* const rate = statistics.rate.data_ptr<float>();
    const float* const centre = statistics.mean.data_ptr<float>();
    for (auto* values : {&scale, &shift, &mean})
      values->resize(static_cast<std::size_t>(layout.batch * channels));
    for (std::int64_t i = 0; i < layout.batch * channels; ++i) {
      const std::int64_t c = i % channels, group = i / channels * groups + c / width;
      const auto at = static_cast<std::size_t>(i);
      mean[at] = centre[group];
      scale[at] = rate[group] * w.data_ptr<float>()[c];
      shift[at] = shifts.data_ptr<float>()[c] - mean[at] * scale[at];
    }
  }
  const float* of(const std::vector<float>& values, std::int64_t sample) const {
    return values.data() + sample * channels;
  }

  std::int64_t channels;
  std::vector<float> scale, shift, mean;
};

}  // namespace

GroupNorm::GroupNorm(std::int64_t groups, std::int64_t channels, double eps, const LayerOptions& options)
    : groups_(groups), eps_(eps), kernels_(options.kernels) {
  weight_ = register_parameter("weight", at::empty({channels}, options), false);
  bias_ = register_parameter("bias", at::empty({channels}, options), false);
}

/// Whether the loops may be used of x: no gradient recorded, channels next to each other.
bool GroupNorm::loops_serve(const at::Tensor& x) const {
  if (kernels_ != Kernels::host || !x.is_cpu() || x.dim() != 4) return false;
  if (x.requires_grad() && c10::GradMode::is_enabled()) return false;
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) return false;
  const std::int64_t row = x.size(1) * x.size(3);
  return x.strides() == at::IntArrayRef({x.size(2) * row, 1, row, x.size(1)});
}

GroupNorm::Statistics GroupNorm::statistics(const at::Tensor& x) const {
  if (!loops_serve(x)) return {};
  const Layout layout(x);
  Statistics out{at::empty({layout.batch, groups_}, at::kFloat),
                 at::empty({layout.batch, groups_}, at::kFloat)};
  with_type(x, [&]<class T>(T*) {
    const T* const all = values<T>(x);
    // Sums of differences from a sample's first position, so that a large mean costs no digits.
    std::vector<float> origin(static_cast<std::size_t>(layout.batch * layout.channels));
    for (std::int64_t b = 0; b < layout.batch; ++b)
      convert_to_float(all + b * layout.positions * layout.channels, layout.channels,
                       origin.data() + b * layout.channels);
    PartialSums sums(layout);
    for_each_part(layout, [&](std::int64_t task) {
      add_channel_sums(all + layout.offset(task), layout.count(task), layout.channels,
                       origin.data() + task / layout.parts * layout.channels, sums.first(task),
                       sums.second(task));
    });
    const std::int64_t width = layout.channels / groups_;
    const double n = static_cast<double>(layout.positions);
    for (std::int64_t b = 0; b < layout.batch; ++b) {
      sums.gather(b);
      const double* const sum = sums.first(b * layout.parts);
      const double* const square = sums.second(b * layout.parts);
      const float* const from = origin.data() + b * layout.channels;
      for (std::int64_t g = 0; g < groups_; ++g) {
        double mean = 0.0, squares = 0.0;
        for (std::int64_t c = g * width; c < (g + 1) * width; ++c) mean += from[c] + sum[c] / n;
        mean /= static_cast<double>(width);
        for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
          const double offset = sum[c] / n;  // of the channel's mean from its origin
          const double apart = from[c] + offset - mean;
          squares += square[c] - offset * sum[c] + n * apart * apart;
        }
        const double variance = std::max(squares / (n * static_cast<double>(width)), 0.0);
        out.mean.data_ptr<float>()[b * groups_ + g] = static_cast<float>(mean);
        out.rate.data_ptr<float>()[b * groups_ + g] = static_cast<float>(1.0 / std::sqrt(variance + eps_));
      }
    }
  });
  return out;
}

at::Tensor GroupNorm::apply(const at::Tensor& x, const Statistics& statistics, bool activate) const {
  const Layout layout(x);
  const Rows rows(layout, statistics, weight_, bias_);
  const at::Tensor y = at::empty_like(x);
  with_type(x, [&]<class T>(T*) {
    for_each_part(layout, [&](std::int64_t task) {
      const std::int64_t b = task / layout.parts;
      scale_and_activate(values<T>(x) + layout.offset(task), layout.count(task), layout.channels,
                         rows.of(rows.scale, b), rows.of(rows.shift, b), activate,
                         values<T>(y) + layout.offset(task));
    });
  });
  return y;
}

bool GroupNorm::kernels_serve(const at::Tensor& x) const {
  if (kernels_ != Kernels::device || !own_kernels(x.device()) || x.dim() != 4) return false;
  if (x.requires_grad() && c10::GradMode::is_enabled()) return false;
  NormShape shape = shape_of(x, groups_);
  shape.channels = weight_.size(0);
  return kernel_number(x.scalar_type()) && norm_is_served(shape);
}

bool GroupNorm::own_serve(const at::Tensor& x) const {
  return kernels_serve(x) && has_channels_last(x);
}

GroupNorm::OfSum GroupNorm::by_own(const at::Tensor& x, const at::Tensor& offset, bool activate) const {
  const NormShape shape = shape_of(x, groups_);
  const at::Tensor statistics = at::empty({2, shape.samples, groups_}, x.options().dtype(at::kFloat));
  const at::Tensor scratch = scratch_of(x, shape);
  OfSum out{x, at::empty_like(x), {statistics[0], statistics[1]}};
  own_kernels(x.device())
      ->norm({.shape = shape,
              .x = x.data_ptr(),
              .offset = memory_of(offset),
              .offset_stride =
                  offset.defined() && offset.dim() == 2 && offset.size(0) > 1 ? offset.stride(0) : 0,
              .h = offset.defined() ? x.data_ptr() : nullptr,
              .weight = weight_.data_ptr(),
              .bias = bias_.data_ptr(),
              .eps = eps_,
              .activate = activate,
              .y = out.value.data_ptr(),
              .mean = out.statistics.mean.data_ptr<float>(),
              .rate = out.statistics.rate.data_ptr<float>(),
              .scratch = scratch.data_ptr<float>()},
             stream_of(x.device()));
  return out;
}

at::Tensor GroupNorm::vjp_by_own(at::Tensor cotangent, const at::Tensor& x, const Statistics& statistics,
                                 const at::Tensor& more, bool activate) const {
  const NormShape shape = shape_of(x, groups_);
  const at::Tensor scratch = scratch_of(x, shape);
  cotangent = laid_out_as(cotangent, x);
  const at::Tensor added = more.defined() ? laid_out_as(more, x) : more;
  own_kernels(x.device())
      ->norm_vjp({.shape = shape,
                  .cotangent = cotangent.data_ptr(),
                  .x = x.data_ptr(),
                  .mean = statistics.mean.data_ptr<float>(),
                  .rate = statistics.rate.data_ptr<float>(),
                  .weight = weight_.data_ptr(),
                  .bias = bias_.data_ptr(),
                  .more = memory_of(added),
                  .activate = activate,
                  .gradient = cotangent.data_ptr(),
                  .scratch = scratch.data_ptr<float>()},
                 stream_of(x.device()));
  return cotangent;
}

at::Tensor GroupNorm::forward(const at::Tensor& x) const {
  if (own_serve(x)) return by_own(x, {}, false).value;
  return loops_serve(x) ? apply(x, statistics(x), false) : at::group_norm(x, groups_, weight_, bias_, eps_);
}

at::Tensor GroupNorm::activated(const at::Tensor& x) const {
  return activated(x, statistics(x));
}

at::Tensor GroupNorm::activated(const at::Tensor& x, const Statistics& statistics) const {
  if (own_serve(x)) return by_own(x, {}, true).value;
  return loops_serve(x) ? apply(x, statistics, true) : activate(forward(x));
}

GroupNorm::OfSum GroupNorm::activated_sum(const at::Tensor& x, const at::Tensor& offset) const {
  return by_own(in_network_format(x, kernels_), offset, true);
}

GroupNorm::WithStatistics GroupNorm::activated_with_statistics(const at::Tensor& x) const {
  if (own_serve(x)) {
    OfSum own = by_own(x, {}, true);
    return {own.value, own.statistics};
  }
  if (loops_serve(x)) {
    const Statistics own = statistics(x);
    return {apply(x, own, true), own};
  }
  WithStatistics normed = plain(x);
  return {at::silu_(normed.value), normed.statistics};
}

at::Tensor GroupNorm::activated_vjp(at::Tensor cotangent, const at::Tensor& x, const Statistics& statistics,
                                    const at::Tensor& more) const {
  if (own_serve(x)) return vjp_by_own(cotangent, x, statistics, more, true);
  if (!loops_serve(x) || cotangent.strides() != x.strides() ||
      (more.defined() && more.strides() != x.strides())) {
    const WithStatistics normed = plain_again(x, statistics);
    const at::Tensor inner = at::silu_backward(cotangent, normed.value).to(x.scalar_type());
    const at::Tensor gradient = plain_vjp(inner, x, normed.statistics);
    return more.defined() ? gradient + more : gradient;
  }
  const Layout layout(x);
  const Rows rows(layout, statistics, weight_, bias_);
  std::vector<float> slope(rows.scale.size(), 0.0F), offset(rows.scale.size(), 0.0F);  // [B, C]
  PartialSums sums(layout);
  with_type(x, [&]<class T>(T*) {
    for_each_part(layout, [&](std::int64_t task) {
      const std::int64_t b = task / layout.parts;
      activation_vjp(values<T>(x) + layout.offset(task), layout.count(task), layout.channels,
                     rows.of(rows.scale, b), rows.of(rows.shift, b), rows.of(rows.mean, b),
                     values<T>(cotangent) + layout.offset(task), sums.first(task), sums.second(task));
    });
    // With d the cotangent of norm(x), v = (x - mean) rate, and means over a group: J^T d = rate (w d -
    // mean(w d) - v mean(w d v)).
    const std::int64_t per_group = layout.channels / groups_;
    const double n = static_cast<double>(layout.positions * per_group);
    const at::Tensor weight = weight_.to(at::kFloat);
    for (std::int64_t b = 0; b < layout.batch; ++b) {
      sums.gather(b);
      const double* const sum = sums.first(b * layout.parts);
      const double* const moment = sums.second(b * layout.parts);
      for (std::int64_t g = 0; g < groups_; ++g) {
        double first = 0.0, second = 0.0;
        for (std::int64_t c = g * per_group; c < (g + 1) * per_group; ++c) {
          first += weight.data_ptr<float>()[c] * sum[c];
          second += weight.data_ptr<float>()[c] * moment[c];
        }
        const double rate = statistics.rate.data_ptr<float>()[b * groups_ + g];
        const double centre = statistics.mean.data_ptr<float>()[b * groups_ + g];
        const double along = -rate * rate * rate * second / n;
        for (std::int64_t c = g * per_group; c < (g + 1) * per_group; ++c) {
          const auto at = static_cast<std::size_t>(b * layout.channels + c);
          slope[at] = static_cast<float>(along);
          offset[at] = static_cast<float>(-rate * first / n - along * centre);
        }
      }
    }
    for_each_part(layout, [&](std::int64_t task) {
      const std::int64_t b = task / layout.parts;
      norm_vjp(values<T>(x) + layout.offset(task), layout.count(task), layout.channels,
               rows.of(rows.scale, b), rows.of(slope, b), rows.of(offset, b),
               more.defined() ? values<T>(more) + layout.offset(task) : nullptr,
               values<T>(cotangent) + layout.offset(task));
    });
  });
  return cotangent;
}

namespace {

/// x without gaps, as LibTorch's norm takes it on its device.
at::Tensor dense(const at::Tensor& x, const at::Tensor& like) {
  return like.is_cpu() ? x.contiguous(like.suggest_memory_format()) : x.contiguous();
}

}  // namespace

GroupNorm::WithStatistics GroupNorm::plain(const at::Tensor& x) const {
  if (own_serve(x)) {
    OfSum own = by_own(x, {}, false);
    return {own.value, own.statistics};
  }
  const auto [y, mean, rate] = at::native_group_norm(dense(x, x), weight_, bias_, x.size(0), x.size(1),
                                                     x.size(2) * x.size(3), groups_, eps_);
  return {y, {mean, rate}};
}

at::Tensor GroupNorm::plain_vjp(const at::Tensor& cotangent, const at::Tensor& x,
                                const Statistics& statistics, const at::Tensor& more) const {
  if (own_serve(x)) return vjp_by_own(cotangent, x, statistics, more, false);
  const at::Tensor gradient = std::get<0>(at::native_group_norm_backward(
      dense(cotangent, x), dense(x, x), statistics.mean, statistics.rate, weight_, x.size(0), x.size(1),
      x.size(2) * x.size(3), groups_, /*output_mask=*/{true, false, false}));
  return more.defined() ? more + gradient : gradient;
}

/// norm(x) for a backward pass, in float32 or wider with Kernels::portable. There the sums over x, which are
/// most of the work, are not formed a second time; on a CPU they are, for the forward pass's bits.
GroupNorm::WithStatistics GroupNorm::plain_again(const at::Tensor& x, const Statistics& statistics) const {
  if (kernels_ == Kernels::host) return plain(x);
  const at::ScalarType type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const std::int64_t batch = x.size(0), channels = x.size(1);
  const at::Tensor scale =
      statistics.rate.to(type).unsqueeze(2).mul(weight_.to(type).view({groups_, -1}));  // [B, groups, width]
  const at::Tensor shift =
      at::addcmul(bias_.to(type).view({groups_, -1}), scale, statistics.mean.to(type).unsqueeze(2), -1.0);
  const auto of_channels = [&](const at::Tensor& values) { return values.view({batch, channels, 1, 1}); };
  return {at::addcmul(of_channels(shift), x, of_channels(scale)), statistics};
}

}  // namespace dwgf
