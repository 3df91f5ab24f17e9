/// The elementary layers of the Stable Diffusion networks. Parameters carry PyTorch's names, are created
/// uninitialised (they are always loaded) and never require a gradient, so that a backward pass costs input
/// gradients only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/nn/layer_options.hpp"

namespace dwgf {

/// y = W x + b over the last dimension, x [..., in].
/// https://pytorch.org/docs/stable/generated/torch.nn.Linear.html
class Linear : public torch::nn::Module {
 public:
  enum class Stored { matrix, convolution };  ///< W as [out, in] or as a 1x1 convolution's [out, in, 1, 1]

  Linear(std::int64_t in, std::int64_t out, bool bias, const at::TensorOptions& options,
         Stored stored = Stored::matrix);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]
  /// J^T c = W^T c, [B, L, out] -> [B, L, in]. x is what the layer was given, where that is not contiguous:
  /// the result lies in memory as it does.
  at::Tensor vjp(const at::Tensor& cotangent, const at::Tensor& x = {}) const;

  at::Tensor matrix() const;                        ///< [out, in], no copy
  const at::Tensor& bias() const { return bias_; }  ///< [out], undefined where there is none

 private:
  at::Tensor weight_, bias_;
};

/// The memory format in which the networks are fastest for what is like x: channels next to each other on a
/// CPU in float32 and bfloat16, and with Kernels::device. x [B, C, H, W] in that format, itself where it is
/// in it or where there is no such choice.
at::Tensor in_network_format(const at::Tensor& x, Kernels kernels = Kernels::host);

class PackedConvolution;

/// A square convolution with zero padding, x [B, in, H, W].
/// https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
///
/// Kernels::host in float32 and bfloat16: the first call without a gradient brings the weights into oneDNN's
/// format; the parameter's own memory is given back then, and made again where a gradient is recorded.
class Convolution : public torch::nn::Module {
 public:
  enum class Bias { added, none };

  Convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
              std::int64_t padding, const LayerOptions& options, Bias bias = Bias::added);
  /// With these values; the bias may be undefined.
  Convolution(const at::Tensor& weight, const at::Tensor& bias, std::int64_t stride, std::int64_t padding,
              Kernels kernels);
  ~Convolution() override;
  at::Tensor forward(const at::Tensor& x) const;
  /// With something added to each output channel, `offset` [out]. @pre it has a bias
  at::Tensor forward(const at::Tensor& x, const at::Tensor& offset) const;
  at::Tensor forward_without_bias(const at::Tensor& x) const;
  /// With something of the result's shape added.
  at::Tensor forward_onto(const at::Tensor& x, const at::Tensor& more) const;
  /// J^T c, which is the convolution with the kernel turned by 180 degrees and its channels exchanged; that
  /// kernel is made at the first call and kept, but for a CPU's float64 and float16. @pre stride 1
  at::Tensor vjp(const at::Tensor& cotangent) const;

  at::Tensor weight() const;                        ///< [out, in, k, k], dense
  const at::Tensor& bias() const { return bias_; }  ///< [out], undefined where there is none

 private:
  at::Tensor run(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& more) const;

  at::Tensor turned() const;  // [in, out, k, k], dense

  at::Tensor weight_, bias_;
  std::int64_t stride_, padding_, kernel_;
  Kernels kernels_;
  std::unique_ptr<PackedConvolution> packed_, packed_adjoint_;
  mutable at::Tensor adjoint_;  // of all but Kernels::host
};

/// Group normalisation over x [B, C, ...], arXiv 1803.08494. Sums over a group are formed in float32 or wider
/// where x is of half precision, in float64 where the host's loops serve: float32 or bfloat16 in the
/// networks' format, with Kernels::host. With Kernels::device and x in that format the device's own kernels
/// serve.
class GroupNorm : public torch::nn::Module {
 public:
  /// Of every group of every sample: mean and 1 / sqrt(variance + eps), [B, groups] each; float32 where the
  /// host's loops or the device's kernels serve, of the type of x elsewhere.
  struct Statistics {
    at::Tensor mean, rate;
  };
  struct WithStatistics {
    at::Tensor value;
    Statistics statistics;
  };
  struct OfSum {
    at::Tensor sum, value;
    Statistics statistics;
  };

  GroupNorm(std::int64_t groups, std::int64_t channels, double eps, const LayerOptions& options);
  at::Tensor forward(const at::Tensor& x) const;
  /// silu(norm(x)).
  at::Tensor activated(const at::Tensor& x) const;

  /// Of x [B, C, H, W] where the host's loops serve; undefined ones elsewhere.
  Statistics statistics(const at::Tensor& x) const;
  /// silu(norm(x)) with the statistics of x where the host's loops serve; they are not looked at elsewhere.
  at::Tensor activated(const at::Tensor& x, const Statistics& statistics) const;
  /// silu(norm(x)), x [B, C, H, W].
  WithStatistics activated_with_statistics(const at::Tensor& x) const;
  /// Whether the device's kernels serve tensors of the kind of x, whatever their channels and their format.
  bool kernels_serve(const at::Tensor& x) const;
  /// x + offset and silu(norm(x + offset)), offset [C], [1, C] or [B, C]: x is taken over and overwritten.
  /// @pre kernels_serve(x)
  OfSum activated_sum(const at::Tensor& x, const at::Tensor& offset) const;
  /// J^T c + more of silu(norm(x)), with the statistics of x. The cotangent is overwritten; `more` may be
  /// undefined.
  at::Tensor activated_vjp(at::Tensor cotangent, const at::Tensor& x, const Statistics& statistics,
                           const at::Tensor& more = {}) const;

  /// norm(x) by the device's kernels or LibTorch's operator, not by the host's loops.
  WithStatistics plain(const at::Tensor& x) const;
  /// J^T c + more of norm(x), with the statistics from `plain`. The cotangent may be overwritten.
  at::Tensor plain_vjp(const at::Tensor& cotangent, const at::Tensor& x, const Statistics& statistics,
                       const at::Tensor& more = {}) const;

 private:
  bool loops_serve(const at::Tensor& x) const;
  at::Tensor apply(const at::Tensor& x, const Statistics& statistics, bool activate) const;
  WithStatistics plain_again(const at::Tensor& x, const Statistics& statistics) const;
  bool own_serve(const at::Tensor& x) const;
  OfSum by_own(const at::Tensor& x, const at::Tensor& offset, bool activate) const;
  at::Tensor vjp_by_own(at::Tensor cotangent, const at::Tensor& x, const Statistics& statistics,
                        const at::Tensor& more, bool activate) const;

  at::Tensor weight_, bias_;
  std::int64_t groups_;
  double eps_;
  Kernels kernels_;
};

/// Layer normalisation over the last dimension, arXiv 1607.06450; eps 1e-5.
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(std::int64_t channels, const at::TensorOptions& options);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
};

/// silu(x) = x sigmoid(x). Takes x over and overwrites it where no gradient is asked for.
at::Tensor activate(at::Tensor x);

/// Modules of one type, registered under "0", "1", ... as PyTorch's ModuleList does.
template <class T>
class ModuleVector : public torch::nn::Module {
 public:
  /// @pre `index` was not used before: gaps in the names are allowed, the order is that of the calls.
  void add(std::shared_ptr<T> module, std::size_t index) {
    items_.push_back(register_module(std::to_string(index), std::move(module)));
  }
  void add(std::shared_ptr<T> module) { add(std::move(module), items_.size()); }

  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  const T& operator[](std::size_t index) const { return *items_[index]; }

 private:
  std::vector<std::shared_ptr<T>> items_;
};

}  // namespace dwgf
