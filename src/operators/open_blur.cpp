#include "operators/open_blur.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "operators/kernel_blur.hpp"
#include "operators/known_operators.hpp"
#include "operators/operator_arrays.hpp"

namespace dwgf {

namespace {

constexpr std::int64_t kLargestSize = 65;  // the normal equations have its fourth power of entries
constexpr double kMostParameter = 1000.0;
constexpr double kStartShare =
    0.2;  // of the square, the deviation of the kernel that an estimate begins with
constexpr double kPi = std::numbers::pi;

/// k_d = weight(row, column) / sum on the square.
template <class Weight>
at::Tensor square_of(std::int64_t size, const Weight& weight) {
  at::Tensor kernel = at::zeros({size, size}, at::kDouble);
  auto weights = kernel.accessor<double, 2>();
  const std::int64_t half = size / 2;
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = 0; j < size; ++j)
      weights[i][j] = weight(static_cast<double>(i - half), static_cast<double>(j - half));
  }
  return kernel.div_(kernel.sum());
}

at::Tensor segment_square(std::int64_t size, double length, double angle) {
  const double half = (length - 1) / 2, radians = angle * kPi / 180;
  const double right = std::cos(radians), down = -std::sin(radians);
  return square_of(size, [&](double y, double x) {
    const double along = std::clamp(x * right + y * down, -half, half);
    return std::max(0.0, 1 - std::hypot(y - along * down, x - along * right));
  });
}

at::Tensor disc_square(std::int64_t size, double radius) {
  return square_of(size,
                   [&](double y, double x) { return std::clamp(radius + 0.5 - std::hypot(y, x), 0.0, 1.0); });
}

std::int64_t square_around(double reach) {
  return 2 * static_cast<std::int64_t>(std::ceil(reach)) + 1;
}

/// Argument `index`: a number, or `?` with bounds within these.
BlurParameter parameter(const OperatorArguments& arguments, std::size_t index, const char* name, double least,
                        double most) {
  const std::string& text = arguments.text(index);
  if (!text.starts_with("?")) return {.known = true, .value = arguments.number(index, name)};
  BlurParameter open{.known = false, .least = least, .most = most};
  const std::string bounds = text.substr(1);
  const std::size_t dots = bounds.find("..");
  const auto bound = [&](const std::string& word) {
    const std::optional<double> value = parse_double(word);
    if (!value || *value < least || *value > kMostParameter)
      arguments.refuse(formatted("{} has the bounds '{}'", name, bounds),
                       formatted("write ?, ?most or ?least..most, from {} on", least));
    return *value;
  };
  if (!bounds.empty()) open.most = bound(dots == std::string::npos ? bounds : bounds.substr(dots + 2));
  if (dots != std::string::npos) open.least = bound(bounds.substr(0, dots));
  if (!(open.least < open.most))
    arguments.refuse(formatted("{} is between {} and {}", name, open.least, open.most),
                     "the least comes first");
  return open;
}

double largest(const BlurParameter& parameter) {
  return parameter.known ? parameter.value : parameter.most;
}

/// The weight of `smooth=0.01`, or `otherwise` of a bare `smooth`.
double weight_of(const OperatorArguments& arguments, const std::string& option, double otherwise) {
  const std::size_t equals = option.find('=');
  if (equals == std::string::npos) return otherwise;
  const std::optional<double> weight = parse_double(option.substr(equals + 1));
  if (!weight || *weight < 0)
    arguments.refuse(formatted("'{}' has no weight of 0 or more", option), "write smooth=0.01, or smooth");
  return *weight;
}

BlurShape free_kernel(const OperatorArguments& arguments) {
  constexpr double usual_smooth = 0.003, usual_sparse = 0.003;
  BlurShape blur;
  const auto size = parse_int64(arguments.text(0).substr(1));
  if (!size || *size < 1 || *size % 2 == 0 || *size > kLargestSize) {
    arguments.refuse(formatted("the kernel's size is '{}'", arguments.text(0).substr(1)),
                     formatted("write kernel:?9, an odd number of pixels up to {}", kLargestSize));
  }
  blur.size = *size;
  for (std::size_t k = 1; k < arguments.count(); ++k) {
    const std::string& option = arguments.text(k);
    if (option.starts_with("smooth")) {
      blur.smooth = weight_of(arguments, option, usual_smooth);
    } else if (option.starts_with("sparse")) {
      blur.sparse = weight_of(arguments, option, usual_sparse);
    } else {
      blur.border = parse_border(arguments, k);
    }
  }
  return blur;
}

BlurShape parametric(const std::string& name, const OperatorArguments& arguments) {
  BlurShape blur;
  if (name == "blur") {
    blur.family = BlurFamily::gaussian;
    blur.size = arguments.integer(0, "size", 1);
    blur.parameters = {parameter(arguments, 1, "std", 0.1, static_cast<double>(blur.size) / 2)};
    blur.border = parse_border(arguments, 2);
  } else if (name == "motion") {
    blur.family = BlurFamily::motion;
    blur.parameters = {parameter(arguments, 0, "size", 1.0, 15.0),
                       parameter(arguments, 1, "the angle", -360.0, 180.0)};
    if (!blur.parameters[1].known && arguments.text(1) == "?") blur.parameters[1].least = 0.0;
    blur.parameters[1].turns = blur.parameters[1].most - blur.parameters[1].least >= 180.0;
    blur.size = square_around((largest(blur.parameters[0]) - 1) / 2);
    blur.border = parse_border(arguments, 2);
  } else {
    blur.family = BlurFamily::disc;
    blur.parameters = {parameter(arguments, 0, "the radius", 0.1, 7.0)};
    blur.size = square_around(largest(blur.parameters[0]) - 0.5);
    blur.border = parse_border(arguments, 1);
  }
  if (blur.size % 2 == 0)
    arguments.refuse(formatted("size {} is even", blur.size), "a kernel with a centre needs an odd size");
  if (blur.size > kLargestSize)
    arguments.refuse(formatted("a kernel of {} pixels", blur.size),
                     formatted("an unknown one has {} at most", kLargestSize));
  return blur;
}

struct OpenStage {
  std::string before, text, after;
};

OpenStage find_stage(const std::string& spec) {
  OpenStage open;
  for (const std::string& part : split(spec, '|')) {
    const std::string stage = trim(part);
    if (stage.find('?') != std::string::npos) {
      if (!open.text.empty())
        throw UsageError("problem.operator: '{}' leaves more than one stage open; one can be estimated",
                         spec);
      open.text = stage;
      continue;
    }
    std::string& side = open.text.empty() ? open.before : open.after;
    side += (side.empty() ? "" : " | ") + stage;
  }
  return open;
}

OperatorArguments arguments_of(const std::string& stage, const std::string& name) {
  std::vector<std::string> values;
  const std::size_t colon = stage.find(':');
  if (colon != std::string::npos)
    for (const std::string& value : split(stage.substr(colon + 1), ',')) values.push_back(trim(value));
  const char* usage = name == "kernel"   ? "kernel:?size[,border][,smooth=w][,sparse=w]"
                      : name == "blur"   ? "blur:size,?[,border]"
                      : name == "motion" ? "motion:?,?[,border]"
                                         : "defocus:?[,border]";
  OperatorArguments arguments(stage, usage, values);
  if (name != "kernel" && name != "blur" && name != "motion" && name != "defocus")
    arguments.refuse("`?` is for a blur", "it can be in kernel, blur, motion and defocus");
  const std::size_t least = name == "blur" || name == "motion" ? 2 : 1;
  arguments.expect_count(least, name == "kernel" ? 4 : least + 1);
  return arguments;
}

}  // namespace

std::size_t BlurShape::unknowns() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(parameters, [](const BlurParameter& one) { return !one.known; }));
}

at::Tensor BlurShape::kernel(std::span<const double> unknown) const {
  std::vector<double> values;
  std::size_t next = 0;
  for (const BlurParameter& one : parameters) values.push_back(one.known ? one.value : unknown[next++]);
  switch (family) {
    case BlurFamily::gaussian:
      return gaussian_square(size, values[0]);
    case BlurFamily::motion:
      return segment_square(size, values[0], values[1]);
    case BlurFamily::disc:
      return disc_square(size, values[0]);
    default:
      throw InternalError("a kernel of no parameters");
  }
}

std::shared_ptr<const ForwardOperator> OpenBlur::with(const at::Tensor& kernel) const {
  std::vector<std::shared_ptr<const ForwardOperator>> stages;
  if (before) stages.push_back(before);
  stages.push_back(std::make_shared<KernelBlur>(blurred, kernel, blur.border));
  if (after) stages.push_back(after);
  return compose(std::move(stages), image_shape);
}

std::vector<double> OpenBlur::start() const {
  if (blur.family == BlurFamily::kernel) {
    const at::Tensor kernel = gaussian_square(blur.size, kStartShare * static_cast<double>(blur.size));
    return {kernel.data_ptr<double>(), kernel.data_ptr<double>() + kernel.numel()};
  }
  std::vector<double> middle;
  for (const BlurParameter& one : blur.parameters)
    if (!one.known) middle.push_back((one.least + one.most) / 2);
  return middle;
}

at::Tensor OpenBlur::kernel(const std::vector<double>& value) const {
  if (blur.family != BlurFamily::kernel) return blur.kernel(value);
  return at::tensor(at::ArrayRef<double>(value), at::kDouble).view({blur.size, blur.size});
}

bool has_open_blur(const std::string& spec) {
  return spec.find('?') != std::string::npos;
}

OpenBlur open_stage(const std::string& spec) {
  const OpenStage stage = find_stage(spec);
  if (stage.text.empty()) throw UsageError("problem.operator: '{}' leaves nothing open", spec);
  OpenBlur open;
  open.name = trim(stage.text.substr(0, stage.text.find(':')));
  const OperatorArguments arguments = arguments_of(stage.text, open.name);
  open.blur = open.name == "kernel" ? free_kernel(arguments) : parametric(open.name, arguments);
  return open;
}

OpenBlur open_blur(const std::string& spec, const OperatorContext& context) {
  OpenBlur open = open_stage(spec);
  const OpenStage stage = find_stage(spec);
  const OperatorArguments arguments = arguments_of(stage.text, open.name);
  open.image_shape = open.blurred = context.image_shape;
  OperatorContext here = context;
  if (!stage.before.empty()) {
    open.before = make_operator(stage.before, here);
    const std::vector<std::int64_t> shape = open.before->measurement_shape();
    if (shape.size() != 3)
      arguments.refuse("what the stage before it measures is not an image", "put it first");
    open.blurred = {shape[0], shape[1], shape[2]};
    here.drawn += static_cast<std::uint32_t>(
        std::ranges::count(array_uses(stage.before), std::string(), &ArrayUse::reference));
  }
  require_kernel_fits(arguments, open.blur.border, open.blur.size, open.blur.size, open.blurred);
  if (!stage.after.empty()) {
    here.image_shape = open.blurred;
    open.after = make_operator(stage.after, here);
    if (!open.after->is_linear())
      arguments.refuse("what follows it is not linear", "a blur is estimated before linear stages alone");
  }
  return open;
}

at::Tensor gaussian_square(std::int64_t size, double deviation) {
  return square_of(
      size, [&](double y, double x) { return std::exp(-(y * y + x * x) / (2 * deviation * deviation)); });
}

}  // namespace dwgf
