#include <utility>

#include <ATen/ATen.h>

#include <dwgf/prior/layers.hpp>

namespace dwgf {
namespace {

at::Tensor without_values(at::IntArrayRef shape, const at::TensorOptions& options) {
  return at::empty(shape, options);
}

}  // namespace

Linear::Linear(std::int64_t in, std::int64_t out, bool bias, const at::TensorOptions& options,
               Stored stored) {
  const bool matrix = stored == Stored::matrix;
  weight_ = register_parameter(
      "weight", matrix ? without_values({out, in}, options) : without_values({out, in, 1, 1}, options),
      false);
  if (bias) bias_ = register_parameter("bias", without_values({out}, options), false);
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  const at::Tensor matrix = weight_.dim() == 2 ? weight_ : weight_.flatten(1);  // [out, in], no copy
  return bias_.defined() ? at::linear(x, matrix, bias_) : at::linear(x, matrix);
}

Convolution::Convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                         std::int64_t padding, const at::TensorOptions& options)
    : stride_(stride), padding_(padding) {
  weight_ = register_parameter("weight", without_values({out, in, kernel, kernel}, options), false);
  bias_ = register_parameter("bias", without_values({out}, options), false);
}

at::Tensor Convolution::forward(const at::Tensor& x) const {
  return at::conv2d(x, weight_, bias_, stride_, padding_);
}

at::Tensor Convolution::forward(const at::Tensor& x, const at::Tensor& offset) const {
  return at::conv2d(x, weight_, bias_ + offset, stride_, padding_);
}

GroupNorm::GroupNorm(std::int64_t groups, std::int64_t channels, double eps, const at::TensorOptions& options)
    : groups_(groups), eps_(eps) {
  weight_ = register_parameter("weight", without_values({channels}, options), false);
  bias_ = register_parameter("bias", without_values({channels}, options), false);
}

at::Tensor GroupNorm::forward(const at::Tensor& x) const {
  return at::group_norm(x, groups_, weight_, bias_, eps_);
}

GroupNorm::Affine GroupNorm::affine(const at::Tensor& x) const {
  const auto batch = x.size(0), channels = x.size(1);
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor groups = x.reshape({batch, groups_, -1}).to(type);  // [B, G, n]
  const auto [variance, mean] =
      at::var_mean(groups, at::OptionalIntArrayRef{2}, std::int64_t{0}, true);  // [B, G, 1]
  const at::Tensor rate = (variance + eps_).rsqrt();                            // [B, G, 1]
  const at::Tensor scale = (rate * weight_.to(type).view({1, groups_, -1})).view({batch, channels, 1, 1});
  const at::Tensor shift =
      bias_.to(type).view({1, channels, 1, 1}) -
      (mean.expand({batch, groups_, channels / groups_}).reshape({batch, channels, 1, 1}) * scale);
  return {scale, shift};
}

Normaliser Normaliser::noting(NormStatistics& statistics) {
  Normaliser normaliser;
  normaliser.noted_here_ = &statistics;
  return normaliser;
}

Normaliser Normaliser::as_noted(const NormStatistics& statistics) {
  Normaliser normaliser;
  normaliser.noted_ = &statistics;
  return normaliser;
}

at::Tensor Normaliser::operator()(const GroupNorm& norm, const at::Tensor& x) const {
  if (noted_ != nullptr) {
    const GroupNorm::Affine& affine = noted_->at(&norm);
    return at::addcmul(affine.shift, x.to(affine.scale.scalar_type()), affine.scale).to(x.scalar_type());
  }
  if (noted_here_ != nullptr) noted_here_->insert_or_assign(&norm, norm.affine(x));
  return norm.forward(x);
}

LayerNorm::LayerNorm(std::int64_t channels, const at::TensorOptions& options) {
  weight_ = register_parameter("weight", without_values({channels}, options), false);
  bias_ = register_parameter("bias", without_values({channels}, options), false);
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, weight_.sizes(), weight_, bias_, 1e-5);
}

at::Tensor activate(at::Tensor x) {
  if (x.requires_grad()) return at::silu(x);  // the backward pass needs x
  return at::silu_(x);
}

}  // namespace dwgf
