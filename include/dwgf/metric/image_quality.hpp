/// How close a restored image is to the truth. Images [C, H, W] on [-1, 1], clipped to it first; computed in
/// double; images of more than 2^22 values in bands of rows, so that memory does not grow with them.
#pragma once

#include <ATen/core/Tensor.h>

namespace dwgf {

/// Peak signal-to-noise ratio with peak 2: 10 log10(4 / mean((x - truth)^2)) [dB]; infinite for equal images.
double psnr(const at::Tensor& x, const at::Tensor& truth);

/// Structural similarity (Wang et al., 2004, doi:10.1109/TIP.2003.819861) exactly as scikit-image's
/// structural_similarity with gaussian_weights=True, data_range=2 (so sigma 1.5, sample covariance),
/// channel_axis=0: 11 x 11 Gaussian window (truncate 3.5), reflected border for the filter, the mean over
/// pixels at least 5 from the border, mean over channels. NaN for an image smaller than 11 x 11.
double ssim(const at::Tensor& x, const at::Tensor& truth);

}  // namespace dwgf
