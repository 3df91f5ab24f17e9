#include "job/decoder_error.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>

#include "data/images.hpp"
#include "job/build.hpp"
#include "job/tensors.hpp"
#include "posterior/calibration.hpp"

namespace dwgf {

namespace {

/// On the canvas that the prior works on, the last row and column repeated: [1, C, H', W'].
at::Tensor on_canvas(const at::Tensor& image, const PriorGeometry& geometry) {
  const Canvas canvas = geometry.canvas(image.size(1), image.size(2));
  return at::replication_pad2d(image.unsqueeze(0),
                               {0, canvas.width - image.size(2), 0, canvas.height - image.size(1)});
}

DecoderError measured_of(const Prior& prior, const ImageSource& source, const std::string& data,
                         std::int64_t most) {
  const auto all = static_cast<std::int64_t>(source.entries().size());
  const std::int64_t count = std::min(all, most);
  DecoderError error;
  double sum = 0.0;
  std::int64_t pixels = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    at::Tensor image;
    try {
      image = as_tensor(source.read(k * all / count, prior.geometry.image_channels));
    } catch (const DataError& reason) {
      error.unread.push_back(reason.what());
      continue;
    }
    const at::Tensor x = image.to(at::kDouble);
    const at::Tensor away =
        (autoencoded(prior, image).clamp(-1, 1) - x).masked_select(x.abs() < Coverage::kClippedFrom);
    sum += away.square().sum().item<double>();
    pixels += away.numel();
    ++error.images;
    error.contents.push_back(content_of(image));
  }
  if (error.images == 0 && !error.unread.empty())
    throw DataError("--decoder-error: no image in '{}' can be read; the first: {}", data,
                    error.unread.front());
  if (pixels == 0)
    throw DataError("--decoder-error: the images in '{}' have no pixel with |x| < 0.99 to measure on", data);
  error.value = std::sqrt(sum / static_cast<double>(pixels));
  return error;
}

/// Of both autoencoders of the job's prior where it names another one.
DecoderError measured_on(const std::string& data, JobInput job, std::int64_t most) {
  const std::unique_ptr<ImageSource> source = open_images(data);
  const bool polished = job.method.options.polish > 0;
  if (!job.prior.codec.empty() && !polished) job.method.options.polish = 1;
  const std::unique_ptr<Prior> prior = build_prior(job);
  if (!prior->full_codec) return measured_of(*prior, *source, data, most);
  Prior full = *prior;
  full.codec = full.full_codec;
  DecoderError error = measured_of(polished ? full : *prior, *source, data, most);
  error.other = measured_of(polished ? *prior : full, *source, data, most).value;
  return error;
}

}  // namespace

at::Tensor autoencoded(const Prior& prior, const at::Tensor& image) {
  return prior.codec->decode(prior.codec->encode(on_canvas(image, prior.geometry).to(prior.options)).mean)
      .squeeze(0)
      .narrow(1, 0, image.size(1))
      .narrow(2, 0, image.size(2))
      .to(at::kCPU, at::kDouble);
}

std::uint64_t content_of(const at::Tensor& image) {
  const at::Tensor pixels = image.to(at::kCPU, at::kFloat).contiguous();
  return fnv1a({reinterpret_cast<const char*>(pixels.data_ptr<float>()),
                static_cast<std::size_t>(pixels.numel()) * sizeof(float)});
}

DecoderError decoder_error(const std::string& value, const JobInput& job, std::int64_t images) {
  const std::optional<double> number = parse_double(value);
  if (!number) return measured_on(value, job, images);
  if (*number < 0 || *number > 2)
    throw UsageError(
        "--decoder-error = {}; allowed: a standard deviation of 0 ... 2 on the [-1, 1] scale, or images to "
        "measure it on",
        value);
  return {.value = *number};
}

}  // namespace dwgf
