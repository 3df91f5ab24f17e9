#include "prior/windows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "base/precondition.hpp"

namespace dwgf {
namespace {

/// How many windows at rest cover a length. @pre length > size
std::int64_t count_at_rest(std::int64_t length, std::int64_t size, std::int64_t overlap) {
  const std::int64_t stride = size - overlap;
  return (length - overlap + stride - 1) / stride;
}

std::vector<std::int64_t> window_starts(std::int64_t length, std::int64_t size, std::int64_t overlap,
                                        double shift) {
  if (length <= size) return {0};
  const std::int64_t count = count_at_rest(length, size, overlap);
  std::vector<std::int64_t> starts;
  if (shift > 0.0) {
    const double distance = static_cast<double>(length - size) / static_cast<double>(count - 1);
    for (std::int64_t i = 0; i <= count; ++i) {
      const auto start = std::llround((static_cast<double>(i) - shift) * distance);
      const std::int64_t kept = std::clamp<std::int64_t>(start, 0, length - size);
      if (starts.empty() || kept > starts.back()) starts.push_back(kept);
    }
    return starts;
  }
  for (std::int64_t i = 0; i < count; ++i)
    starts.push_back((i * (length - size) + (count - 1) / 2) / (count - 1));
  return starts;
}

/// sin^2 of a ramp over `overlap` entries, at the middle of entry `u`.
double ramp(std::int64_t u, std::int64_t overlap) {
  if (u >= overlap) return 1.0;
  const double angle = (static_cast<double>(u) + 0.5) / static_cast<double>(overlap) * (std::numbers::pi / 2);
  return std::sin(angle) * std::sin(angle);
}

/// The partition of unity of windows with these starts.
AxisWindows with_weights(std::int64_t length, std::int64_t size, std::vector<std::int64_t> starts) {
  const std::size_t count = starts.size();
  std::vector<std::vector<double>> weights(count);
  std::vector<double> sums(static_cast<std::size_t>(length), 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::int64_t u = 0; u < size; ++u) {
      double weight = 1.0;
      if (i > 0) weight *= ramp(u, starts[i - 1] + size - starts[i]);
      if (i + 1 < count) weight *= ramp(size - 1 - u, starts[i] + size - starts[i + 1]);
      weights[i].push_back(weight);
      sums[static_cast<std::size_t>(starts[i] + u)] += weight;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    for (std::int64_t u = 0; u < size; ++u)
      weights[i][static_cast<std::size_t>(u)] /= sums[static_cast<std::size_t>(starts[i] + u)];
  }
  return {size, std::move(starts), std::move(weights)};
}

at::Tensor vector_of(const std::vector<double>& values, const at::TensorOptions& options) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).to(options);
}

/// The windows of one size of arrays [B, C, H, W].
class Tiling {
 public:
  Tiling(const AxisWindows& rows, const AxisWindows& columns, const at::TensorOptions& options)
      : height_(rows.size), width_(columns.size), tops_(rows.starts), lefts_(columns.starts) {
    for (const auto& weights : rows.weights) row_weights_.push_back(vector_of(weights, options).unsqueeze(1));
    for (const auto& weights : columns.weights) column_weights_.push_back(vector_of(weights, options));
  }

  std::size_t count() const { return tops_.size() * lefts_.size(); }
  /// R_k x
  at::Tensor taken(const at::Tensor& x, std::size_t k) const { return view(x, k).contiguous(); }
  /// P_k^T c: what of a cotangent of the blend falls to window k.
  at::Tensor weighted(const at::Tensor& cotangent, std::size_t k) const {
    return view(cotangent, k) * weights(k);
  }
  /// sum += P_k value
  void blend(at::Tensor& sum, const at::Tensor& value, std::size_t k) const {
    view(sum, k).add_(value * weights(k));
  }
  /// sum += R_k^T value
  void add(at::Tensor& sum, const at::Tensor& value, std::size_t k) const { view(sum, k).add_(value); }

 private:
  std::size_t row(std::size_t k) const { return k / lefts_.size(); }
  std::size_t column(std::size_t k) const { return k % lefts_.size(); }
  at::Tensor weights(std::size_t k) const { return row_weights_[row(k)] * column_weights_[column(k)]; }
  at::Tensor view(const at::Tensor& x, std::size_t k) const {
    return x.narrow(2, tops_[row(k)], height_).narrow(3, lefts_[column(k)], width_);
  }

  std::int64_t height_, width_;
  std::vector<std::int64_t> tops_, lefts_;
  std::vector<at::Tensor> row_weights_, column_weights_;  // [m, 1], [m]
};

using Kind = WindowCall::Kind;

bool takes_image(Kind kind) {
  return kind == Kind::encode || kind == Kind::encode_pull;
}
bool gives_image(Kind kind) {
  return kind == Kind::decode || kind == Kind::encode_pull;
}
bool is_pull(Kind kind) {
  return kind == Kind::noise_pull || kind == Kind::decode_pull || kind == Kind::encode_pull;
}

/// Whether one window covers latents or an image.
bool is_whole(const WindowNetworks& networks, const at::Tensor& input, bool is_image) {
  const std::int64_t most = networks.size.size * (is_image ? networks.geometry.factor : 1);
  return input.size(2) <= most && input.size(3) <= most;
}

class WindowedDenoiser final : public Denoiser {
 public:
  WindowedDenoiser(const WindowNetworks& networks, std::shared_ptr<const WindowCrew> crew)
      : networks_(networks), crew_(std::move(crew)) {}

  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    if (is_whole(networks_, z_t, false)) return networks_.denoiser->noise(z_t, level, given);
    return result({Kind::noise, z_t, {}, level, given, false, *networks_.shift});
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    if (is_whole(networks_, z_t, false)) return networks_.denoiser->noise_vjp(z_t, level, given);
    return {noise(z_t, level, given),
            [self = *this, z_t, level, given, shift = *networks_.shift](const at::Tensor& cotangent) {
              return self.result({Kind::noise_pull, z_t, cotangent, level, given, false, shift});
            }};
  }
  at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    if (is_whole(networks_, z_t, false)) return networks_.denoiser->clean(z_t, level, given);
    return result({Kind::clean, z_t, {}, level, given, false, *networks_.shift});
  }

 private:
  at::Tensor result(WindowCall call) const { return crew_->result(CallWindows(networks_, std::move(call))); }

  WindowNetworks networks_;
  std::shared_ptr<const WindowCrew> crew_;
};

class WindowedCodec final : public Codec {
 public:
  WindowedCodec(const WindowNetworks& networks, std::shared_ptr<const WindowCrew> crew, bool is_full)
      : networks_(networks), crew_(std::move(crew)), is_full_(is_full) {}

  at::Tensor decode(const at::Tensor& z) const override {
    if (is_whole(networks_, z, false)) return codec().decode(z);
    return result(Kind::decode, z, {}, *networks_.shift);
  }
  Vjp decode_vjp(const at::Tensor& z) const override {
    if (is_whole(networks_, z, false)) return codec().decode_vjp(z);
    return {decode(z), [self = *this, z, shift = *networks_.shift](const at::Tensor& cotangent) {
              return self.result(Kind::decode_pull, z, cotangent, shift);
            }};
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    if (is_whole(networks_, x, true)) return codec().encode(x);
    const at::Tensor both = result(Kind::encode, x, {}, *networks_.shift);  // [B, 2c, h, w]
    const std::vector<at::Tensor> halves = both.chunk(2, 1);
    return {halves[0].contiguous(), halves[1].contiguous()};
  }
  Vjp encode_vjp(const at::Tensor& x) const override {
    if (is_whole(networks_, x, true)) return codec().encode_vjp(x);
    return {encode(x).mean, [self = *this, x, shift = *networks_.shift](const at::Tensor& cotangent) {
              return self.result(Kind::encode_pull, x, cotangent, shift);
            }};
  }

 private:
  const Codec& codec() const { return is_full_ ? *networks_.full_codec : *networks_.codec; }
  at::Tensor result(Kind kind, const at::Tensor& input, const at::Tensor& cotangent,
                    const WindowShift& shift) const {
    WindowCall call{kind, input, cotangent};
    call.by_full_codec = is_full_;
    call.shift = shift;
    return crew_->result(CallWindows(networks_, std::move(call)));
  }

  WindowNetworks networks_;
  std::shared_ptr<const WindowCrew> crew_;
  bool is_full_;
};

}  // namespace

AxisWindows axis_windows(std::int64_t length, std::int64_t size, std::int64_t overlap, double shift) {
  return with_weights(length, std::min(length, size), window_starts(length, size, overlap, shift));
}

AxisWindows refined(const AxisWindows& coarse, std::int64_t factor) {
  std::vector<std::int64_t> starts;
  for (const std::int64_t start : coarse.starts) starts.push_back(start * factor);
  return with_weights((coarse.starts.back() + coarse.size) * factor, coarse.size * factor, std::move(starts));
}

std::int64_t window_count(std::int64_t height, std::int64_t width, const WindowSize& window) {
  const auto along = [&](std::int64_t length) {
    return length <= window.size ? 1 : count_at_rest(length, window.size, window.overlap) + window.moves;
  };
  return along(height) * along(width);
}

struct CallWindows::Grids {
  Tiling latent, image;
};

CallWindows::CallWindows(const WindowNetworks& networks, WindowCall call)
    : networks_(networks),
      call_(std::move(call)),
      height_(call_.input.size(2) / (takes_image(call_.kind) ? networks.geometry.factor : 1)),
      width_(call_.input.size(3) / (takes_image(call_.kind) ? networks.geometry.factor : 1)) {
  const WindowSize& window = networks_.size;
  const AxisWindows rows = axis_windows(height_, window.size, window.overlap, call_.shift.rows),
                    columns = axis_windows(width_, window.size, window.overlap, call_.shift.columns);
  const at::TensorOptions options = call_.input.options();
  const std::int64_t factor = networks_.geometry.factor;
  grids_ = std::make_unique<const Grids>(
      Grids{{rows, columns, options}, {refined(rows, factor), refined(columns, factor), options}});
}

CallWindows::~CallWindows() = default;

std::int64_t CallWindows::count() const {
  return static_cast<std::int64_t>(grids_->latent.count());
}

at::Tensor CallWindows::part(std::int64_t k) const {
  const auto at = static_cast<std::size_t>(k);
  const at::Tensor input =
      (takes_image(call_.kind) ? grids_->image : grids_->latent).taken(call_.input, at);  // [B, ., m, m]
  const std::shared_ptr<const Denoiser>& denoiser = networks_.denoiser;
  const std::shared_ptr<const Codec>& codec = call_.by_full_codec ? networks_.full_codec : networks_.codec;
  switch (call_.kind) {
    case Kind::noise:
      return denoiser->noise(input, call_.level, call_.conditioning);
    case Kind::noise_pull:
      return denoiser->noise_vjp(input, call_.level, call_.conditioning)
          .pull(grids_->latent.weighted(call_.cotangent, at));
    case Kind::clean:
      return denoiser->clean(input, call_.level, call_.conditioning);
    case Kind::decode:
      return codec->decode(input);
    case Kind::decode_pull:
      return codec->decode_vjp(input).pull(grids_->image.weighted(call_.cotangent, at));
    case Kind::encode: {
      const LatentDistribution latents = codec->encode(input);
      return at::cat({latents.mean, latents.std}, 1);  // [B, 2c, m, m]
    }
    case Kind::encode_pull:
      return codec->encode_vjp(input).pull(grids_->latent.weighted(call_.cotangent, at));
  }
  throw InternalError("a call of a network of no kind");
}

std::vector<std::int64_t> CallWindows::part_shape() const {
  const std::int64_t scale = gives_image(call_.kind) ? networks_.geometry.factor : 1;
  std::vector<std::int64_t> shape = result_shape();
  shape[2] = std::min(networks_.size.size, height_) * scale;
  shape[3] = std::min(networks_.size.size, width_) * scale;
  return shape;
}

void CallWindows::blend(at::Tensor& sum, const at::Tensor& part, std::int64_t k) const {
  const Tiling& to = gives_image(call_.kind) ? grids_->image : grids_->latent;
  if (is_pull(call_.kind)) {
    to.add(sum, part, static_cast<std::size_t>(k));
  } else {
    to.blend(sum, part, static_cast<std::size_t>(k));
  }
}

std::vector<std::int64_t> CallWindows::result_shape() const {
  const PriorGeometry& geometry = networks_.geometry;
  const std::int64_t scale = gives_image(call_.kind) ? geometry.factor : 1;
  const std::int64_t channels = gives_image(call_.kind)      ? geometry.image_channels
                                : call_.kind == Kind::encode ? 2 * geometry.latent_channels
                                                             : geometry.latent_channels;
  return {call_.input.size(0), channels, height_ * scale, width_ * scale};
}

MovingWindows::MovingWindows(const Prior& prior, std::uint64_t seed, std::uint64_t image)
    : seed_(seed), image_(image) {
  if (prior.windows && prior.windows->size.moves) shift_ = prior.windows->shift;
}

MovingWindows::~MovingWindows() {
  if (shift_) *shift_ = {};
}

void MovingWindows::enter(std::int64_t step) {
  if (!shift_) return;
  std::array<double, 2> draws{};
  fill_uniforms({seed_, image_, 0, static_cast<std::uint32_t>(step), Purpose::windows}, draws);
  *shift_ = {draws[0], draws[1]};
}

at::Tensor WindowCrew::result(const CallWindows& windows) const {
  at::Tensor sum = at::zeros(windows.result_shape(), windows.call().input.options());
  for (std::int64_t k = 0; k < windows.count(); ++k) windows.blend(sum, windows.part(k), k);
  return sum;
}

Prior with_windows(const Prior& prior, const WindowSize& window) {
  if (window.size < 1 || window.overlap < 0 || window.overlap >= window.size) {
    throw UsageError("prior.overlap = {} leaves no room in windows of {} latent pixels; take at most {}",
                     window.overlap, window.size, std::max<std::int64_t>(window.size - 1, 0));
  }
  if (prior.geometry.only)
    throw UsageError("prior.window: this prior is defined for images of one size; leave it out");
  if (window.size % prior.geometry.patch != 0) {
    throw UsageError("prior.window = {}: this prior takes latents of multiples of {}; give one of them",
                     window.size, prior.geometry.patch);
  }
  Prior windowed = prior;
  windowed.geometry.largest = 0;
  windowed.windows = std::make_shared<const WindowNetworks>(
      WindowNetworks{prior.denoiser, prior.codec, prior.full_codec, prior.geometry, window});
  if (prior.step_bytes) {
    windowed.step_bytes = [inner = prior.step_bytes, size = window.size](
                              std::int64_t batch, std::int64_t height, std::int64_t width) {
      return inner(batch, std::min(height, size), std::min(width, size));
    };
  }
  return with_crew(windowed, std::make_shared<WindowCrew>());
}

Prior without_windows(const Prior& windowed) {
  precondition(windowed.windows != nullptr, "a prior that works in windows");
  Prior prior = windowed;
  prior.denoiser = windowed.windows->denoiser;
  prior.codec = windowed.windows->codec;
  prior.full_codec = windowed.windows->full_codec;
  prior.geometry = windowed.windows->geometry;
  prior.windows = nullptr;
  return prior;
}

Prior with_crew(const Prior& windowed, std::shared_ptr<const WindowCrew> crew) {
  precondition(windowed.windows != nullptr, "a prior that works in windows");
  const WindowNetworks& networks = *windowed.windows;
  Prior prior = windowed;
  prior.denoiser = std::make_shared<WindowedDenoiser>(networks, crew);
  // Without a network, windows would cost and change nothing.
  if (!dynamic_cast<const IdentityCodec*>(networks.codec.get()))
    prior.codec = std::make_shared<WindowedCodec>(networks, crew, false);
  if (networks.full_codec) prior.full_codec = std::make_shared<WindowedCodec>(networks, crew, true);
  return prior;
}

}  // namespace dwgf
