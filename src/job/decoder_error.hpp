/// What the autoencoder of a job's prior cannot show, whatever the particles do: the root mean square of
/// D(E(x)) - x over the pixels with |x| < 0.99 of given images. Particles differ within what the decoder can
/// make; the truth lies beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

#include "input/job_input.hpp"

namespace dwgf {

/// D(E(x)) of an image x [C, H, W]: the mean of the encoder's posterior decoded, float64 on the CPU, [C, H,
/// W]; in one network call each of one image.
at::Tensor autoencoded(const Prior& prior, const at::Tensor& image);

struct DecoderError {
  double value = 0.0;  ///< a standard deviation on the [-1, 1] scale; 0: none
  /// Of the other autoencoder, where prior.codec takes the place of the prior's own and images were given;
  /// `value` is of the one that moved the particles last: after flow.polish the prior's own.
  std::optional<double> other = {};
  std::int64_t images = 0;                   ///< that it was measured on; 0: it was given
  std::vector<std::string> unread = {};      ///< why an image was left out, one each
  std::vector<std::uint64_t> contents = {};  ///< content_of each image that was read
};

/// FNV-1a of an image's pixels as float32: the same for the same pixels.
std::uint64_t content_of(const at::Tensor& image);

/// `value`: a standard deviation on the [-1, 1] scale, or images (as input.data takes them) to measure it on:
/// they should be none that are evaluated. At most `images` of them are taken, evenly spaced; those that
/// cannot be read are left out. Loads the prior that `job` names. Throws UsageError, NotFoundError, DataError
/// (also where none can be read).
DecoderError decoder_error(const std::string& value, const JobInput& job, std::int64_t images = 256);

}  // namespace dwgf
