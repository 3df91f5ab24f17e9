/// Forward operators y = A(x). Images x [B, C, H, W] on [-1, 1]; measurements [B, ...]. An operator is built
/// for one image shape (and, where its definition draws numbers, for one image), acts on any batch of that
/// shape, in the dtype and on the device of its argument, and is immutable. Memory is linear in the image.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// The shape of one image, [C, H, W].
struct ImageShape {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  bool operator==(const ImageShape&) const = default;
};

class ForwardOperator {
 public:
  virtual ~ForwardOperator() = default;

  /// A(x): [B, C, H, W] -> [B, ...measurement_shape()]
  virtual at::Tensor apply(const at::Tensor& x) const = 0;

  /// The cotangent r [B, ...] pulled back through A at x: A'(x)^T r, [B, C, H, W]. By default from autograd
  /// of `apply`; linear operators give their adjoint, which does not depend on x.
  virtual at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const;

  /// The change of A(x) with x along v [B, C, H, W]: A'(x) v, [B, ...], of which pull_back is the transpose.
  /// By default from a difference of `apply`; linear operators give A v.
  virtual at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const;

  virtual bool is_linear() const = 0;

  /// The largest eigenvalue of A^T A on images of this shape, by 50 power iterations in float64 on the host
  /// from a fixed start: exact where the singular values of A are equal, otherwise never above it. Found at
  /// the first call. @pre A is linear, and the shape is always the same
  double squared_norm(const ImageShape& image_shape) const;

  /// The shape of one image's measurement, without the batch.
  virtual std::vector<std::int64_t> measurement_shape() const = 0;

  /// 1 where an entry of the measurement is observed and 0 elsewhere, float32, of measurement_shape();
  /// undefined where all are. Unobserved entries read 0, carry no noise and are not counted in m.
  virtual at::Tensor observed() const { return {}; }

  /// True where an entry that is 0 for being unobserved in x is so in A(x) as well: A acts entry by entry,
  /// and A(0) = 0.
  virtual bool keeps_unobserved() const { return false; }

  /// m, the number of observed entries.
  std::int64_t observed_count() const;

  /// True where the entries of the measurement are pixels: an image on [-1, 1] is measured as an image
  /// [C, h, w] on about the same scale.
  virtual bool measures_image() const { return false; }

  /// The cheap inverse that a result is compared with (bicubic interpolation, harmonic fill, ...), [B, ...]
  /// -> [B, C, H, W]; undefined where none is customary. `sigma`: standard deviation of the noise in y.
  virtual at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const { return {}; }

  /// The name of that inverse for tables; empty where there is none.
  virtual std::string trivial_inverse_name() const { return {}; }

 private:
  mutable std::atomic<double> squared_norm_ = -1.0;  // not found yet
};

/// An operator with an adjoint: <A x, y> = <x, A^T y>.
class LinearOperator : public ForwardOperator {
 public:
  /// A^T r: [B, ...] -> [B, C, H, W]
  virtual at::Tensor adjoint(const at::Tensor& r) const = 0;

  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const final { return adjoint(r); }
  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const final { return apply(v); }
  bool is_linear() const final { return true; }
};

/// What an operator may depend on beside its spec.
struct OperatorContext {
  ImageShape image_shape;
  std::uint64_t seed = 0;   ///< flow.seed
  std::uint64_t image = 0;  ///< the image's identity, for operators that draw a mask
  /// The array of a kind ("mask", "kernel", "matrix") that a spec names: a file, or `@` (`@2`, ...) of the
  /// measurements file. On the host, of any number type.
  std::function<at::Tensor(const std::string& kind, const std::string& reference)> load_array = {};
  /// Told of every array that the operator uses, loaded or drawn, in the order of the spec.
  std::function<void(const std::string& kind, const at::Tensor& array)> on_array = {};
  std::uint32_t drawn = 0;  ///< masks that earlier stages of the spec have drawn
};

/// Builds an operator from a spec such as `mean:4` or `blur:9,1.5 | mean:2` (left to right: the first acts
/// first). A blur that a spec leaves open (`kernel:?9`) is the one that its estimate begins with. Throws
/// UsageError for an unknown name (the nearest known one is suggested), a wrong number of arguments, or
/// arguments that do not fit the image's shape.
std::shared_ptr<const ForwardOperator> make_operator(const std::string& spec, const OperatorContext& context);

/// True where the operator differs between images of one shape (`random`), so it cannot be shared.
bool depends_on_image(const std::string& spec);

/// The names that a spec may have, of every operator that can be made.
std::vector<std::string> known_operators();

}  // namespace dwgf
