/// A blur whose kernel is not known, as a spec writes it: `?` in place of an argument that is to be
/// estimated.
///
///   kernel:?size[,border][,smooth=w][,sparse=w]     any kernel of size x size, k >= 0, sum k = 1
///   blur:size,?[,border]                            Gaussian of unknown deviation
///   motion:?,?[,border], motion:size,?, motion:?,angle
///   defocus:?[,border]
///
/// `?` alone has the bounds below, `?most` ends there, `?least..most` gives both. Motion has any length in
/// pixels, of which `motion:size,angle` is the case of a whole odd one: k_d = max(0, 1 - distance(d, s)) /
/// sum for the segment s of length - 1 through the centre.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "operators/border.hpp"

namespace dwgf {

enum class BlurFamily { kernel, gaussian, motion, disc };

/// A number that a kernel of a family is made of.
struct BlurParameter {
  bool known = true;
  double value = 0.0;              ///< if it is known
  double least = 0.0, most = 0.0;  ///< if not
  bool turns = false;              ///< an angle, for which `most` and `least` are the same direction
};

struct BlurShape {
  BlurFamily family = BlurFamily::kernel;
  std::int64_t size = 1;                  ///< odd: the side of the square that holds the kernel
  std::vector<BlurParameter> parameters;  ///< deviation; length and angle; radius. None of `kernel`
  Border border = Border::reflect;
  double smooth = 0.0, sparse = 0.0;  ///< of `kernel` (flow/unknowns/blur.hpp)

  std::size_t unknowns() const;
  /// [size, size] float64 of sum 1, from the unknown parameters in order. @pre the family is not `kernel`
  at::Tensor kernel(std::span<const double> unknown) const;
};

/// An operator one stage of which is such a blur.
struct OpenBlur {
  std::string name;  ///< of the stage
  BlurShape blur;
  ImageShape blurred;                                    ///< of what is blurred
  std::shared_ptr<const ForwardOperator> before, after;  ///< the stages around it; null where there are none
  ImageShape image_shape;

  /// The value that an estimate begins with, of the kernel row by row, or of the unknown parameters.
  std::vector<double> start() const;
  /// The kernel [size, size] of such a value.
  at::Tensor kernel(const std::vector<double>& value) const;
  /// The whole with this kernel [size, size].
  std::shared_ptr<const ForwardOperator> with(const at::Tensor& kernel) const;
};

/// Whether a spec has a `?`.
bool has_open_blur(const std::string& spec);

/// What a spec leaves open, without the stages around it and the image's shape. Throws UsageError where that
/// is nothing, or more than one stage, or malformed.
OpenBlur open_stage(const std::string& spec);

/// With them, for an image. Throws UsageError as above, where the kernel does not fit the image, and where
/// what follows the blur is not linear; and what make_operator throws.
OpenBlur open_blur(const std::string& spec, const OperatorContext& context);

/// A Gaussian of this deviation on the square, [size, size] of sum 1.
at::Tensor gaussian_square(std::int64_t size, double deviation);

}  // namespace dwgf
