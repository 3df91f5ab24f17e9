/// A prior of windows, for images larger than the model: networks see windows of one size, which overlap and
/// are blended. For latents z [B, c, h, w] with windows k = 1 ... K of m x m latent pixels,
///
///   eps(z, t) = sum_k P_k eps_theta(R_k z, t),    sum_k P_k = 1
///   D(z)      = sum_k P_k D_theta(R_k z),         E(x) = sum_k P_k E_theta(R_k x)   (mean and deviation)
///
/// R_k takes window k out; P_k puts it back, weighted by a smooth partition of unity: along each axis
/// sin^2(pi u / 2 o) over an overlap of o, 1 where a window is alone, so that the product of two axes sums to
/// 1 too. The windows' first rows lie at round(i (h - m) / (n - 1)), with the least n that overlaps by o or
/// more. Windows that move from step to step lie s in [0, 1) of a window's distance earlier, at
/// round((i - s) (h - m) / (n - 1)) kept within 0 ... h - m, i = 0 ... n, with an addressed draw of s for
/// rows and one for columns (base/random.hpp): where windows meet is then another place at every step. When
/// no step is under way they are at rest, s = 0.
///
/// The prior that this defines: a latent pixel's score is the average of those that the windows around it
/// give, as in the joint diffusion of MultiDiffusion (arXiv 2302.08113). For a law whose dependence reaches
/// no further than the overlap that is nearly the law's own score; what lies further apart is tied together
/// by the measurement alone, which always sees the whole image.
///
/// Memory of the networks is that of one window, whatever the image: products are made window by window, and
/// a pull repeats a window's forward pass. Sums run in window order. Where one window covers the image, the
/// calls are passed on as they are, bit for bit.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// Windows along one axis.
struct AxisWindows {
  std::int64_t size = 0;             ///< m
  std::vector<std::int64_t> starts;  ///< ascending
  /// Of each window [m]; over all windows they sum to 1 everywhere.
  std::vector<std::vector<double>> weights;
};

/// Windows of `size` that cover `length`, neighbours overlapping by `overlap` or more; one window of `length`
/// where that is not longer than `size`. Where they are shifted there is one more.
/// @pre 0 <= overlap < size, 0 <= shift < 1
AxisWindows axis_windows(std::int64_t length, std::int64_t size, std::int64_t overlap, double shift = 0.0);

/// The same windows on a grid `factor` times as fine.
AxisWindows refined(const AxisWindows& coarse, std::int64_t factor);

struct WindowSize {
  std::int64_t size = 0;     ///< m [latent pixels]
  std::int64_t overlap = 0;  ///< o [latent pixels]
  bool moves = false;        ///< from step to step
};

/// How far windows lie before their places at rest, as a share of the distance between two.
struct WindowShift {
  double rows = 0.0, columns = 0.0;
};

/// How many calls of a network an image of so many latent pixels takes, at most.
std::int64_t window_count(std::int64_t height, std::int64_t width, const WindowSize& window);

/// One call of a network on an image larger than a window.
struct WindowCall {
  enum class Kind { noise, noise_pull, clean, decode, decode_pull, encode, encode_pull };

  Kind kind = Kind::noise;
  at::Tensor input;                ///< z_t, z or x [B, ...]
  at::Tensor cotangent = {};       ///< of a pull: that of the blended value
  Level level = {};                ///< of a denoiser's call
  Conditioning conditioning = {};  ///< of a denoiser's call
  bool by_full_codec = false;      ///< of a codec's call: by Prior::full_codec
  WindowShift shift = {};
};

/// The networks that see windows, and the windows' size. Any rank that has loaded the prior has them.
struct WindowNetworks {
  std::shared_ptr<const Denoiser> denoiser;
  std::shared_ptr<const Codec> codec;
  std::shared_ptr<const Codec> full_codec;  ///< where the prior has one
  PriorGeometry geometry;
  WindowSize size;
  std::shared_ptr<WindowShift> shift = std::make_shared<WindowShift>();  ///< of the calls to come
};

/// The windows of one call, which can be computed in any order and on any rank.
class CallWindows {
 public:
  CallWindows(const WindowNetworks& networks, WindowCall call);
  ~CallWindows();

  const WindowCall& call() const { return call_; }
  std::int64_t count() const;
  /// Window k's part of the result before it is blended: eps, z_0, D, or mean and deviation one after the
  /// other [B, 2c, ...]; of a pull, the product with that part of the cotangent which falls to it.
  at::Tensor part(std::int64_t k) const;
  std::vector<std::int64_t> part_shape() const;  ///< the same for every window
  /// Puts window k's part where it belongs in the sum, which begins as zeros of result_shape().
  void blend(at::Tensor& sum, const at::Tensor& part, std::int64_t k) const;
  std::vector<std::int64_t> result_shape() const;

 private:
  struct Grids;
  WindowNetworks networks_;
  WindowCall call_;
  std::int64_t height_, width_;  // of the latents
  std::unique_ptr<const Grids> grids_;
};

/// Moves a prior's windows from step to step of one image; when it ends they are at rest again. Without
/// windows that move it does nothing.
class MovingWindows {
 public:
  MovingWindows(const Prior& prior, std::uint64_t seed, std::uint64_t image);
  ~MovingWindows();
  MovingWindows(const MovingWindows&) = delete;
  MovingWindows& operator=(const MovingWindows&) = delete;

  void enter(std::int64_t step);

 private:
  std::shared_ptr<WindowShift> shift_;  // null where they stay
  std::uint64_t seed_, image_;
};

/// Who computes the windows of a call.
class WindowCrew {
 public:
  virtual ~WindowCrew() = default;
  /// The blended result of a call. Every implementation gives the same bits: parts come from calls of one
  /// shape, and are blended in window order.
  virtual at::Tensor result(const CallWindows& windows) const;
};

/// A copy of the prior whose halves work in windows on what is larger than one. Throws UsageError where a
/// window has no room for the overlap, or where the prior is defined for one size only.
Prior with_windows(const Prior& prior, const WindowSize& window);

/// The prior whose networks see the windows. @pre `windowed` comes from with_windows
Prior without_windows(const Prior& windowed);

/// The same prior with its windows computed by somebody else. @pre `windowed` comes from with_windows
Prior with_crew(const Prior& windowed, std::shared_ptr<const WindowCrew> crew);

}  // namespace dwgf
