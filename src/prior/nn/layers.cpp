#include "prior/nn/layers.hpp"

#include <utility>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include "prior/nn/detail/packed_convolution.hpp"
#include "prior/nn/own_kernels.hpp"

namespace dwgf {
namespace {

at::Tensor without_values(at::IntArrayRef shape, const at::TensorOptions& options) {
  return at::empty(shape, options);
}

}  // namespace

Kernels best_kernels(const at::TensorOptions& tensors) {
  if (tensors.device().is_cpu()) return Kernels::host;
  const bool served =
      own_kernels(tensors.device()) && kernel_number(c10::typeMetaToScalarType(tensors.dtype()));
  return served ? Kernels::device : Kernels::portable;
}

Linear::Linear(std::int64_t in, std::int64_t out, bool bias, const at::TensorOptions& options,
               Stored stored) {
  const bool matrix = stored == Stored::matrix;
  weight_ = register_parameter(
      "weight", matrix ? without_values({out, in}, options) : without_values({out, in, 1, 1}, options),
      false);
  if (bias) bias_ = register_parameter("bias", without_values({out}, options), false);
}

at::Tensor Linear::matrix() const {
  return weight_.dim() == 2 ? weight_ : weight_.flatten(1);
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  return bias_.defined() ? at::linear(x, matrix(), bias_) : at::linear(x, matrix());
}

at::Tensor Linear::vjp(const at::Tensor& cotangent, const at::Tensor& x) const {
  const std::int64_t samples = cotangent.size(0), tokens = cotangent.size(1);
  // The products that autograd forms, with its bits.
  if (!x.defined() || x.is_contiguous())
    return at::mm(cotangent.reshape({samples * tokens, -1}), matrix()).view({samples, tokens, -1});
  if (samples == 1) return at::mm(matrix().t(), cotangent[0].t()).t().unsqueeze(0);
  return at::bmm(cotangent, matrix().expand({samples, -1, -1}));
}

at::Tensor in_network_format(const at::Tensor& x, Kernels kernels) {
  const bool of_host = kernels == Kernels::host && x.is_cpu() &&
                       (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  if (!of_host && kernels != Kernels::device) return x;
  const at::Tensor y = x.contiguous(at::MemoryFormat::ChannelsLast);
  const std::int64_t channels = y.size(1), height = y.size(2), width = y.size(3);
  const std::int64_t strides[] = {height * width * channels, 1, width * channels, channels};
  // A single channel, or a single position, is in both formats; its strides say which one is meant.
  return y.strides() == at::IntArrayRef(strides) ? y : y.as_strided(y.sizes(), strides);
}

Convolution::Convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                         std::int64_t padding, const LayerOptions& options, Bias bias)
    : stride_(stride),
      padding_(padding),
      kernel_(kernel),
      kernels_(options.kernels),
      packed_(std::make_unique<PackedConvolution>()),
      packed_adjoint_(std::make_unique<PackedConvolution>()) {
  weight_ = register_parameter("weight", without_values({out, in, kernel, kernel}, options), false);
  if (bias == Bias::added) bias_ = register_parameter("bias", without_values({out}, options), false);
}

Convolution::Convolution(const at::Tensor& weight, const at::Tensor& bias, std::int64_t stride,
                         std::int64_t padding, Kernels kernels)
    : Convolution(weight.size(1), weight.size(0), weight.size(2), stride, padding,
                  LayerOptions(weight.options(), kernels), bias.defined() ? Bias::added : Bias::none) {
  weight_.copy_(weight);
  if (bias.defined()) bias_.copy_(bias);
}

Convolution::~Convolution() = default;

at::Tensor Convolution::weight() const {
  return packed_->empty() ? weight_ : packed_->dense();
}

at::Tensor Convolution::run(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& more) const {
  if (kernels_ == Kernels::host && PackedConvolution::serves(x)) {
    if (packed_->empty()) {
      packed_->pack(weight_, x, stride_, padding_);
      weight_.set_data(at::empty({0}, weight_.options()));
    }
    return packed_->forward(x, bias, more);
  }
  if (kernels_ == Kernels::device && !weight_.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    const c10::InferenceMode recording(false);  // it lives longer than a caller's inference mode
    weight_.set_data(weight_.contiguous(at::MemoryFormat::ChannelsLast));
  }
  const at::Tensor y = at::conv2d(x, weight(), bias, stride_, padding_);
  return more.defined() ? y.add_(more) : y;  // a convolution's result is not needed by its backward pass
}

at::Tensor Convolution::forward(const at::Tensor& x) const {
  return run(x, bias_, {});
}

at::Tensor Convolution::forward(const at::Tensor& x, const at::Tensor& offset) const {
  return run(x, bias_ + offset, {});
}

at::Tensor Convolution::forward_onto(const at::Tensor& x, const at::Tensor& more) const {
  return run(x, bias_, more);
}

at::Tensor Convolution::forward_without_bias(const at::Tensor& x) const {
  return run(x, {}, {});
}

at::Tensor Convolution::turned() const {
  return weight().flip({2, 3}).transpose(0, 1);
}

at::Tensor Convolution::vjp(const at::Tensor& cotangent) const {
  const std::int64_t around = kernel_ - 1 - padding_;
  if (kernels_ != Kernels::host) {
    // A forward convolution: of the libraries' kernels for the transposed one, some add in no fixed order.
    if (!adjoint_.defined()) {
      const c10::InferenceMode recording(false);  // it lives longer than a caller's inference mode
      const at::NoGradGuard no_grad;
      adjoint_ = turned().contiguous(kernels_ == Kernels::device ? at::MemoryFormat::ChannelsLast
                                                                 : at::MemoryFormat::Contiguous);
    }
    return at::conv2d(cotangent, adjoint_, {}, 1, around);
  }
  if (!PackedConvolution::serves(cotangent))
    return at::conv_transpose2d(cotangent, weight(), {}, stride_, padding_);
  if (packed_adjoint_->empty()) packed_adjoint_->pack(turned(), cotangent, 1, around);
  return packed_adjoint_->forward(cotangent, {});
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
