#include "prior/nn/detail/packed_convolution.hpp"

#include <optional>
#include <string_view>

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/cpu/Utils.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

namespace dwgf {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;
using Convolve = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                            at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, std::int64_t, std::string_view,
                            Scalars, std::optional<std::string_view>);
using ConvolveAndAdd = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                  const std::optional<at::Tensor>&, at::IntArrayRef, at::IntArrayRef,
                                  at::IntArrayRef, std::int64_t, std::string_view, std::optional<at::Scalar>,
                                  std::optional<std::string_view>, Scalars, std::optional<std::string_view>);

struct Operators {
  c10::TypedOperatorHandle<Convolve> convolve;
  c10::TypedOperatorHandle<ConvolveAndAdd> convolve_and_add;
};

const Operators* operators() {
  static const std::optional<Operators> found = []() -> std::optional<Operators> {
    auto& dispatcher = c10::Dispatcher::singleton();
    const auto plain = dispatcher.findSchema({"mkldnn::_convolution_pointwise", ""});
    const auto binary = dispatcher.findSchema({"mkldnn::_convolution_pointwise", "binary"});
    if (!plain || !binary || !at::hasMKLDNN()) return std::nullopt;
    return Operators{plain->typed<Convolve>(), binary->typed<ConvolveAndAdd>()};
  }();
  return found ? &*found : nullptr;
}

}  // namespace

bool PackedConvolution::serves(const at::Tensor& x) {
  if (!x.is_cpu() || (x.requires_grad() && c10::GradMode::is_enabled())) return false;
  const bool arithmetic = x.scalar_type() == at::kFloat ||
                          (x.scalar_type() == at::kBFloat16 && at::cpu::is_avx512_vnni_supported());
  return arithmetic && operators() != nullptr;
}

void PackedConvolution::pack(const at::Tensor& weight, const at::Tensor& x, std::int64_t stride,
                             std::int64_t padding) {
  const c10::InferenceMode recording(false);  // what is made here lives longer than a caller's inference mode
  const at::NoGradGuard no_grad;
  stride_ = stride;
  padding_ = padding;
  weight_ = at::mkldnn_reorder_conv2d_weight(weight.detach().contiguous().to_mkldnn(), {padding, padding},
                                             {stride, stride}, {1, 1}, 1, x.sizes());
}

at::Tensor PackedConvolution::dense() const {
  const c10::InferenceMode recording(false);
  const at::NoGradGuard no_grad;
  return weight_.to_dense();
}

at::Tensor PackedConvolution::forward(const at::Tensor& x, const at::Tensor& bias,
                                      const at::Tensor& more) const {
  const std::int64_t padding[] = {padding_, padding_}, stride[] = {stride_, stride_}, dilation[] = {1, 1};
  const std::optional<at::Tensor> offset = bias.defined() ? std::optional(bias) : std::nullopt;
  if (more.defined()) {
    return operators()->convolve_and_add.call(x, more, weight_, offset, padding, stride, dilation, 1, "add",
                                              at::Scalar(1.0), std::nullopt, Scalars(), std::nullopt);
  }
  return operators()->convolve.call(x, weight_, offset, padding, stride, dilation, 1, "none", Scalars(),
                                    std::nullopt);
}

}  // namespace dwgf
