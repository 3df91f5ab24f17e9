/// Inpainting: y = M x with a diagonal M of 0 (missing) and 1 (observed). The measurement keeps the image's
/// shape; missing entries read 0, carry no noise and do not count in m. M^T = M. The trivial inverse is the
/// harmonic fill.
///
/// `box:top,left,height,width`: missing are `height` rows from row top on, of `width` columns from column
/// left on (both counted from 0), in all channels. UsageError for a box that leaves the image or leaves
/// nothing of it.
///
/// `random:fraction`: missing is element e of the row-major image [C, H, W] where u_e < fraction, with u the
/// MASK uniforms addressed by (seed, image, particle 0, step k), k the number of `random` stages before it in
/// the spec. So channels, and stages, are drawn independently. 0 <= fraction < 1; UsageError where no pixel
/// is left.
///
/// `mask:FILE`: missing is where the mask is 0: [H, W], or [C, H, W] for one that differs between channels,
/// of a .npy or a PNG file, or `@`. UsageError for a mask of another shape, or one that leaves nothing.
#pragma once

#include "operators/operator_arguments.hpp"
#include "operators/typed_constant.hpp"

namespace dwgf {

class Masking : public LinearOperator {
 public:
  /// observed: [C, H, W] of 0 and 1
  explicit Masking(const at::Tensor& observed);

  at::Tensor apply(const at::Tensor& x) const override;
  at::Tensor adjoint(const at::Tensor& r) const override { return apply(r); }
  std::vector<std::int64_t> measurement_shape() const override { return observed_.sizes().vec(); }
  at::Tensor observed() const override { return observed_; }
  bool keeps_unobserved() const override { return true; }
  bool measures_image() const override { return true; }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override;
  std::string trivial_inverse_name() const override { return "harmonic fill"; }

 private:
  at::Tensor observed_;  // [C, H, W], float32
  TypedConstant mask_;   // [C, H, W]
};

/// The mask that argument 0 names, as 0 and 1: [C, H, W], float32. Throws UsageError as above.
at::Tensor load_mask(const OperatorArguments& arguments, const OperatorContext& context);

}  // namespace dwgf
