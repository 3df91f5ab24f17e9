/// The standard deviation of white noise in a measured image, from that image: the median of the absolute
/// values of
///
///     d = y * (1 -2 1)^T (1 -2 1) / 6
///
/// (3 x 3 differences that leave out every plane and have the noise's own variance: Immerkaer 1996,
/// doi:10.1006/cviu.1996.0060), divided by 0.6745, the median of a normal variable's (Donoho and Johnstone
/// 1994, doi:10.1093/biomet/81.3.425). Fine texture counts as noise: it errs upwards.
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// y [C, h, w]. Differences that touch an entry which is not observed are left out. Throws UsageError where
/// the operator does not measure an image, DataError where fewer than 64 differences are left.
double estimate_noise_level(const at::Tensor& y, const ForwardOperator& forward);

}  // namespace dwgf
