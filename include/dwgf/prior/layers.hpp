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

namespace dwgf {

/// y = W x + b over the last dimension, x [..., in].
/// https://pytorch.org/docs/stable/generated/torch.nn.Linear.html
class Linear : public torch::nn::Module {
 public:
  enum class Stored { matrix, convolution };  ///< W as [out, in] or as a 1x1 convolution's [out, in, 1, 1]

  Linear(std::int64_t in, std::int64_t out, bool bias, const at::TensorOptions& options,
         Stored stored = Stored::matrix);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]

 private:
  at::Tensor weight_, bias_;
};

/// A square convolution with zero padding, x [B, in, H, W].
/// https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
class Convolution : public torch::nn::Module {
 public:
  Convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
              std::int64_t padding, const at::TensorOptions& options);
  at::Tensor forward(const at::Tensor& x) const;
  /// With something added to each output channel, `offset` [out].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& offset) const;

 private:
  at::Tensor weight_, bias_;
  std::int64_t stride_, padding_;
};

/// Group normalisation over x [B, C, ...], arXiv 1803.08494. Sums over a group are formed in float32 where x
/// is of half precision.
class GroupNorm : public torch::nn::Module {
 public:
  /// y = scale x + shift, [B, C, 1, 1] each: what the norm does once its groups' mean and variance are known.
  struct Affine {
    at::Tensor scale, shift;
  };

  GroupNorm(std::int64_t groups, std::int64_t channels, double eps, const at::TensorOptions& options);
  at::Tensor forward(const at::Tensor& x) const;
  /// Of x [B, C, H, W], computed in float32 or wider.
  Affine affine(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  std::int64_t groups_;
  double eps_;
};

/// Layer normalisation over the last dimension, arXiv 1607.06450; eps 1e-5.
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(std::int64_t channels, const at::TensorOptions& options);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
};

/// What every norm of a network did to one whole input, so that parts of that input can be passed through the
/// network on their own and come out as they do within the whole.
using NormStatistics = std::map<const GroupNorm*, GroupNorm::Affine>;

/// How the norms of a network are applied: each on its own input, which may be noted, or as noted before.
class Normaliser {
 public:
  /// Each norm on its own input.
  Normaliser() = default;
  /// The same, noted in `statistics`.
  static Normaliser noting(NormStatistics& statistics);
  /// As noted; statistics count as constants in a gradient. @pre every norm was noted
  static Normaliser as_noted(const NormStatistics& statistics);

  at::Tensor operator()(const GroupNorm& norm, const at::Tensor& x) const;

 private:
  NormStatistics* noted_here_ = nullptr;
  const NormStatistics* noted_ = nullptr;
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
