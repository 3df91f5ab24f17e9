#include "operators/known_operators.hpp"

#include <algorithm>
#include <iterator>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "catalogue/operators.hpp"
#include "operators/open_blur.hpp"

namespace dwgf {
namespace {

/// What makes the operator that the catalogue describes by this name.
struct OperatorFactory {
  const char* name;
  MakeOperator* make;
};

/// Every operator: to add one, add its line here and its description to catalogue/operators.cpp.
constexpr OperatorFactory kFactories[] = {
    {"identity", make_identity},
    {"box", make_box_inpainting},
    {"random", make_random_inpainting},
    {"mask", make_mask_inpainting},
    {"mean", make_block_mean},
    {"bicubic", make_bicubic},
    {"blur", make_gaussian_blur},
    {"motion", make_motion_blur},
    {"defocus", make_defocus},
    {"kernel", make_kernel_blur},
    {"grey", make_grey},
    {"hdr", make_hdr},
    {"phase", make_phase_retrieval},
    {"quantise", make_quantise},
    {"jpeg", make_jpeg},
    {"fourier", make_masked_fourier},
    {"sense", make_coil_maps},
    {"radon", make_radon},
    {"matrix", make_matrix_operator},
    {"torch", make_scripted_operator},
};

/// One stage of a spec, taken apart.
struct Stage {
  std::string text, name;
  std::vector<std::string> arguments;
};

std::vector<Stage> parse_stages(const std::string& spec) {
  std::vector<Stage> stages;
  for (const std::string& part : split(spec, '|')) {
    Stage stage;
    stage.text = trim(part);
    const std::size_t colon = stage.text.find(':');
    stage.name = trim(stage.text.substr(0, colon));
    const std::string rest = colon == std::string::npos ? "" : trim(stage.text.substr(colon + 1));
    if (!rest.empty())
      for (const std::string& argument : split(rest, ',')) stage.arguments.push_back(trim(argument));
    stages.push_back(std::move(stage));
  }
  return stages;
}

/// An operator's description and its factory; null where there is none of this name.
struct FoundOperator {
  const OperatorDescription* description = nullptr;
  MakeOperator* make = nullptr;
};

FoundOperator find_operator(const std::string& name) {
  const auto descriptions = operator_descriptions();
  const auto described = std::ranges::find(descriptions, name, &OperatorDescription::name);
  if (described == descriptions.end()) return {};
  const auto known = std::ranges::find(kFactories, described->name(), &OperatorFactory::name);
  if (known == std::end(kFactories)) throw InternalError("an operator without a factory: " + name);
  return {&*described, known->make};
}

[[noreturn]] void refuse_name(const std::string& name, const std::string& spec) {
  std::vector<std::string> names;
  std::string all;
  for (const OperatorDescription& known : operator_descriptions()) {
    names.emplace_back(known.name());
    all += (all.empty() ? "" : ", ") + names.back();
  }
  const std::string where = " in '" + spec + "'";
  if (name.empty())
    throw UsageError("problem.operator: no operator" +
                     (trim(spec).empty() ? " given" : " on one side of a '|'" + where) + "; known are " +
                     all + ", composed as `blur:9,1.5 | mean:2`");
  const std::string nearest = nearest_name(name, names);
  throw UsageError("problem.operator: unknown operator '" + name + "'" + (name == trim(spec) ? "" : where) +
                   (nearest.empty() ? "" : " (nearest: '" + nearest + "')") + "; known are " + all);
}

}  // namespace

std::shared_ptr<const ForwardOperator> make_operator(const std::string& spec,
                                                     const OperatorContext& context) {
  const ImageShape& image = context.image_shape;
  if (image.channels < 1 || image.height < 1 || image.width < 1)
    throw InternalError("an operator for an image of " + to_text(image));
  if (has_open_blur(spec)) {
    const OpenBlur open = open_blur(spec, context);
    return open.with(open.kernel(open.start()));
  }

  std::vector<std::shared_ptr<const ForwardOperator>> stages;
  OperatorContext here = context;
  for (const Stage& stage : parse_stages(spec)) {
    const auto [known, make] = find_operator(stage.name);
    if (!known) refuse_name(stage.name, spec);
    const OperatorArguments arguments(stage.text, known->usage, stage.arguments);
    arguments.expect_count(known->least_arguments, known->most_arguments);
    if (!stages.empty()) {
      const std::vector<std::int64_t> shape = stages.back()->measurement_shape();
      if (shape.size() != 3)
        arguments.refuse("what the stage before it measures is not an image", "put it first");
      here.image_shape = {shape[0], shape[1], shape[2]};
    }
    stages.push_back(make(arguments, here));
    here.drawn += known->depends_on_image;
  }
  std::shared_ptr<const ForwardOperator> made = compose(std::move(stages), image);
  if (made->observed_count() == 0)
    throw UsageError("problem.operator: '" + spec +
                     "': the masks together leave nothing observed; shrink one of them");
  return made;
}

bool depends_on_image(const std::string& spec) {
  const std::vector<Stage> stages = parse_stages(spec);
  return std::any_of(stages.begin(), stages.end(), [](const Stage& stage) {
    const OperatorDescription* known = find_operator(stage.name).description;
    return known && known->depends_on_image;
  });
}

std::vector<std::string> known_operators() {
  std::vector<std::string> names;
  for (const OperatorFactory& factory : kFactories) names.emplace_back(factory.name);
  return names;
}

}  // namespace dwgf
