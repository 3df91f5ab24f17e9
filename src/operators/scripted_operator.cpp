// An operator of one's own, without C++: y = module(x), a TorchScript module as torch.jit.script or
// torch.jit.trace save it. It is called with one image at a time, [1, C, H, W] on [-1, 1], and returns [1,
// ...] of floating point. Its derivative is what autograd makes of it: J(x)^T r, or A^T r where it is said
// to be linear.
//
// Modules compute in the type that they are asked for, float32 or float64, where their parameters and buffers
// can be turned to it; one whose constants cannot is called in float32 throughout. TorchScript's optimiser,
// whose first calls differ from later ones, is off: equal images have equal bits, on every rank.
//
// On loading, for the images' shape, with two fixed images: values are finite, of one shape and the same at
// every call; the gradient exists and is finite; of a linear module, A(0) = 0, A(a x + b y) = a A(x) + b A(y)
// and <A x, r> = <x, A^T r>, each to 1e-6 of the largest value in float64, 1e-4 in float32.
//
// `torch:FILE[,linear][,image]`, in any order; `image`: what is measured are pixels on [-1, 1]. What a
// results file names has `sha256=HEX` beside it, of the module as it was; it is checked where files are read.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <list>
#include <mutex>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "operators/batch_shape.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

using torch::jit::Module;

/// The first line of what LibTorch says, which goes on with where in it that was.
std::string first_line(const std::exception& error) {
  const auto* own = dynamic_cast<const c10::Error*>(&error);
  const std::string text = own ? own->what_without_backtrace() : error.what();
  // An error inside of a module ends with what it was.
  const std::size_t last = text.find_last_not_of(" \n");
  const std::string whole = text.substr(0, last == std::string::npos ? 0 : last + 1);
  if (whole.starts_with("The following operation failed")) return whole.substr(whole.rfind('\n') + 1);
  return whole.substr(0, whole.find('\n'));
}

/// A module's weights in the type and on the device of `like`; whole numbers stay such.
void convert(const Module& module, const at::TensorOptions& like) {
  const auto type_of = [&](const at::Tensor& values) {
    if (values.is_complex()) return c10::toComplexType(like.dtype().toScalarType());
    return values.is_floating_point() ? like.dtype().toScalarType() : values.scalar_type();
  };
  const auto turn = [&](at::Tensor values) { values.set_data(values.to(like.device(), type_of(values))); };
  for (const at::Tensor& parameter : module.parameters()) {
    parameter.requires_grad_(false);
    turn(parameter);
  }
  for (const at::Tensor& buffer : module.buffers()) turn(buffer);
}

/// The module in every type and on every device that it was asked for.
class ScriptedModule {
 public:
  /// Throws DataError, NotFoundError.
  explicit ScriptedModule(std::string path) : path_(std::move(path)) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path_, ignored))
      throw NotFoundError("problem.operator: there is no module '{}'; name the file of a TorchScript module",
                          path_);
    const c10::InferenceMode no_inference(false);
    try {
      original_ = torch::jit::load(path_, c10::kCPU);
      original_.eval();
    } catch (const std::exception& error) {
      throw DataError(
          "problem.operator: '{}' is no TorchScript module ({}); save one with "
          "torch.jit.script(module).save, "
          "or torch.jit.trace (what torch.export saves, LibTorch does not load)",
          path_, first_line(error));
    }
  }

  const std::string& path() const { return path_; }
  /// Once and for all: computes in float32, whatever it is given.
  void stay_single() { always_single_ = true; }
  bool doubles() const { return !always_single_; }

  /// One image [1, C, H, W] measured, [1, ...], in the type of `image`.
  at::Tensor operator()(const at::Tensor& image) const {
    const bool wide = image.scalar_type() == at::kDouble && !always_single_;
    return raw(image.to(wide ? at::kDouble : at::kFloat)).to(image.scalar_type());
  }
  /// The same in whatever type the module returns. Throws what the module throws.
  at::Tensor raw(const at::Tensor& input) const {
    const torch::jit::GraphOptimizerEnabledGuard not_optimised(false);
    const c10::IValue result = like(input).forward({input});
    if (!result.isTensor()) throw std::runtime_error("it returns no tensor");
    const at::Tensor& y = result.toTensor();
    if (!y.is_floating_point())
      throw std::runtime_error(y.is_complex() ? "it returns complex numbers; stack real and imaginary parts"
                                              : "it returns no floating-point numbers");
    return y;
  }

 private:
  struct Copy {
    at::TensorOptions options;
    Module module;
  };

  Module& like(const at::Tensor& input) const {
    const std::lock_guard lock(mutex_);
    for (Copy& copy : copies_) {
      if (copy.options.dtype() == input.dtype() && copy.options.device() == input.device())
        return copy.module;
    }
    const c10::InferenceMode no_inference(false);
    const at::TensorOptions options = at::TensorOptions(input.dtype()).device(input.device());
    copies_.push_back({options, original_.deepcopy()});
    convert(copies_.back().module, options);
    return copies_.back().module;
  }

  std::string path_;
  bool always_single_ = false;
  Module original_;
  mutable std::mutex mutex_;
  mutable std::list<Copy> copies_;
};

/// J(x)^T r of one image.
at::Tensor gradient(const ScriptedModule& module, const at::Tensor& x, const at::Tensor& r) {
  // Callers run without gradients, some in inference mode, whose tensors autograd refuses.
  const c10::InferenceMode no_inference(false);
  const c10::AutoGradMode gradients(true);
  const at::Tensor input = x.clone().detach().requires_grad_(true);
  const at::Tensor y = module(input);
  return torch::autograd::grad({y}, {input}, {r.clone().detach().view_as(y)}).front().detach();
}

/// What both kinds share: one image after another.
struct Scripted {
  std::shared_ptr<const ScriptedModule> module;
  ImageShape image_shape;
  std::vector<std::int64_t> measurement_shape;
  bool measures_image = false;

  // Copies: a product may round by where in memory its vector lies.
  static at::Tensor one(const at::Tensor& batch, std::int64_t b) { return batch.narrow(0, b, 1).clone(); }

  at::Tensor apply(const at::Tensor& x) const {
    expect_batch(x, image_shape, "an image");
    return image_by_image(x.size(0),
                          [&](std::int64_t b) { return (*module)(one(x, b)).view(measurement_shape); });
  }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const {
    expect_batch(r, measurement_shape, "a measurement");
    return image_by_image(
        r.size(0), [&](std::int64_t b) { return gradient(*module, one(x, b), one(r, b)).select(0, 0); });
  }
};

class ScriptedOperator final : public ForwardOperator {
 public:
  explicit ScriptedOperator(Scripted scripted) : scripted_(std::move(scripted)) {}
  at::Tensor apply(const at::Tensor& x) const override { return scripted_.apply(x); }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    return scripted_.pull_back(x, r);
  }
  bool is_linear() const override { return false; }
  std::vector<std::int64_t> measurement_shape() const override { return scripted_.measurement_shape; }
  bool measures_image() const override { return scripted_.measures_image; }

 private:
  Scripted scripted_;
};

class LinearScriptedOperator final : public LinearOperator {
 public:
  explicit LinearScriptedOperator(Scripted scripted) : scripted_(std::move(scripted)) {}
  at::Tensor apply(const at::Tensor& x) const override { return scripted_.apply(x); }
  at::Tensor adjoint(const at::Tensor& r) const override {
    const ImageShape& shape = scripted_.image_shape;
    return scripted_.pull_back(at::zeros({r.size(0), shape.channels, shape.height, shape.width}, r.options()),
                               r);
  }
  std::vector<std::int64_t> measurement_shape() const override { return scripted_.measurement_shape; }
  bool measures_image() const override { return scripted_.measures_image; }

 private:
  Scripted scripted_;
};

/// Numbers like those of an image, [1, ...], float64; `number` tells them apart.
at::Tensor probe(at::IntArrayRef shape, std::uint32_t number) {
  const at::Tensor values = at::empty(shape, at::kFloat);
  fill_normals({.seed = 1, .step = number},
               {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return (values.to(at::kDouble) * 0.4).clamp(-1, 1);
}

/// The checks on loading. Each throws UsageError through `refuse`, which names the module.
class Checks {
 public:
  Checks(const OperatorArguments& arguments, ScriptedModule& module, const ImageShape& image)
      : arguments_(arguments), module_(module), shape_{1, image.channels, image.height, image.width} {
    first_ = probe(shape_, 0);
    second_ = probe(shape_, 1);
  }

  /// @return the measurement's shape
  std::vector<std::int64_t> measured() {
    settle_type();
    const at::Tensor y = called(first_), again = called(first_), other = called(second_);
    if (y.dim() < 2 || y.size(0) != 1 || y.numel() == 0) {
      refuse(formatted("it makes {} of an image {}", y.sizes(), at::IntArrayRef(shape_)),
             "return [1, ...]: the measurement of the one image that it is given");
    }
    if (other.sizes() != y.sizes())
      refuse(
          formatted("it makes {} of one image and {} of another of the same size", y.sizes(), other.sizes()),
          "the shape of a measurement must depend on the image's size alone");
    if (!at::isfinite(y).all().item<bool>())
      refuse("it returns a value that is not finite for an image on [-1, 1]", "look for divisions and roots");
    if (!at::equal(y, again))
      refuse("it returns other values when it is called again",
             "leave out what is random; noise is added to y");
    if (!at::isfinite(pulled(first_, y)).all().item<bool>())
      refuse("its derivative has a value that is not finite", "look for roots and divisions at 0");
    const at::IntArrayRef sizes = y.sizes();
    return {sizes.begin() + 1, sizes.end()};
  }

  void linear() const {
    constexpr double a = 0.75, b = -1.5;
    const at::Tensor zero = called(at::zeros_like(first_)), x = called(first_), y = called(second_);
    const double scale = std::max(x.abs().max().item<double>(), y.abs().max().item<double>());
    const double offset = zero.abs().max().item<double>();
    if (offset > bound() * scale)
      refuse(formatted("it was said to be linear, but A(0) is not 0 (up to {})", offset),
             "leave out `linear`");
    const double apart =
        (called(a * first_ + b * second_) - (a * x + b * y)).abs().max().item<double>() / scale;
    if (!(apart <= 4 * bound()))
      refuse(formatted("it was said to be linear, but A(a x + b y) and a A(x) + b A(y) are {} apart", apart),
             "leave out `linear`");
    const at::Tensor r = probe(x.sizes(), 2), back = pulled(at::zeros_like(first_), r);
    const double there = (x * r).sum().item<double>(), here = (first_ * back).sum().item<double>();
    const double size = x.norm().item<double>() * r.norm().item<double>();
    if (!(std::abs(there - here) <= bound() * size))
      refuse(formatted("its derivative is not its adjoint: <A x, r> = {}, <x, A^T r> = {}", there, here),
             "what it computes must not be detached, nor replaced by another derivative");
  }

 private:
  double bound() const { return module_.doubles() ? 1e-6 : 1e-4; }

  [[noreturn]] void refuse(const std::string& reason, const std::string& advice) const {
    arguments_.refuse(reason, advice);
  }

  /// In double, unless that cannot be done.
  void settle_type() {
    try {
      if (module_.raw(first_).scalar_type() == at::kDouble) return;
    } catch (const std::exception&) {  // told in single, if that fails too
    }
    module_.stay_single();
  }

  at::Tensor called(const at::Tensor& image) const {
    try {
      return module_(image).detach();
    } catch (const std::exception& error) {
      refuse(formatted("the module fails on an image {} ({})", at::IntArrayRef(shape_), first_line(error)),
             "forward(x) takes one tensor [1, C, H, W] of that size");
    }
  }

  at::Tensor pulled(const at::Tensor& x, const at::Tensor& r) const {
    try {
      return gradient(module_, x, r);
    } catch (const std::exception& error) {
      refuse(formatted("it has no derivative ({})", first_line(error)),
             "compute it with operations that autograd knows, without detach and no_grad");
    }
  }

  const OperatorArguments& arguments_;
  ScriptedModule& module_;
  std::vector<std::int64_t> shape_;
  at::Tensor first_, second_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> make_scripted_operator(const OperatorArguments& arguments,
                                                              const OperatorContext& context) {
  bool linear = false, image = false;
  for (std::size_t index = 1; index < arguments.count(); ++index) {
    const std::string& word = arguments.text(index);
    linear = linear || word == "linear";
    image = image || word == "image";
    if (word != "linear" && word != "image" && !word.starts_with("sha256="))
      arguments.refuse(formatted("'{}' is neither 'linear' nor 'image'", word),
                       "write `torch:FILE`, `torch:FILE,linear` or `torch:FILE,linear,image`");
  }
  const auto module = std::make_shared<ScriptedModule>(arguments.text(0));
  Checks checks(arguments, *module, context.image_shape);
  Scripted scripted{module, context.image_shape, checks.measured(), image};
  if (image && scripted.measurement_shape.size() != 3)
    arguments.refuse(formatted("it measures {}", at::IntArrayRef(scripted.measurement_shape)),
                     "leave out `image`, or return [1, C, h, w]");
  if (!linear) return std::make_shared<ScriptedOperator>(std::move(scripted));
  checks.linear();
  return std::make_shared<LinearScriptedOperator>(std::move(scripted));
}

}  // namespace dwgf
