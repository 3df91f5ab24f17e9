#include "prior/models/added_embedding.hpp"

#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor wave_frequencies(std::int64_t half, std::int64_t shift) {
  const at::Tensor exponent = at::arange(half, at::TensorOptions(at::kFloat)).mul(-std::log(10000.0));
  return exponent.div(half - shift).exp().unsqueeze(0);  // [1, half]
}

at::Tensor waves(const at::Tensor& numbers, const at::Tensor& frequencies, bool cosine_first) {
  const at::Tensor phase = numbers * frequencies;  // [n, half]
  const at::Tensor sine = phase.sin(), cosine = phase.cos();
  return cosine_first ? at::cat({cosine, sine}, 1) : at::cat({sine, cosine}, 1);
}

AddedEmbedding::AddedEmbedding(const UNetConfig& config, const at::TensorOptions& options)
    : cosine_first_(config.cosine_first),
      frequencies_(wave_frequencies(config.size_channels / 2, config.frequency_shift)) {
  const std::int64_t in = config.pooled_channels + kSizes * config.size_channels;
  linear1_ = register_module("linear_1", std::make_shared<Linear>(in, config.time_channels, true, options));
  linear2_ = register_module(
      "linear_2", std::make_shared<Linear>(config.time_channels, config.time_channels, true, options));
  if (!options.device().is_meta()) frequencies_ = frequencies_.to(options.device());
}

at::Tensor AddedEmbedding::forward(const at::Tensor& pooled, const at::Tensor& sizes) const {
  const at::Tensor numbers = sizes.to(at::kFloat).reshape({-1, 1});  // [S kSizes, 1]
  const at::Tensor wave = waves(numbers, frequencies_, cosine_first_)
                              .reshape({sizes.size(0), -1})
                              .to(pooled.scalar_type());  // [S, kSizes size_channels]
  return linear2_->forward(activate(linear1_->forward(at::cat({pooled, wave}, 1))));
}

}  // namespace dwgf
