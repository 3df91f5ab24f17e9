#include "operators/known_operators.hpp"

#include <algorithm>
#include <iterator>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {
namespace {

struct KnownOperator {
  const char* usage;  ///< the name, then how its arguments are written
  std::size_t least_arguments, most_arguments;
  const char* equation;
  MakeOperator* make;
  bool depends_on_image = false;

  std::string name() const {
    const std::string_view text = usage;
    return std::string(text.substr(0, text.find_first_of(":[")));
  }
};

/// Every operator: to add one, add its line here.
const KnownOperator kNownOperators[] = {
    {"identity", 0, 0, "y = x", make_identity},
    {"box:top,left,height,width", 4, 4, "y = x, missing (0) in the box", make_box_inpainting},
    {"random:fraction", 1, 1, "y = x, each value missing (0) with this probability", make_random_inpainting,
     true},
    {"mask:FILE", 1, 1, "y = x, missing (0) where the mask is 0; a .npy [H, W] or [C, H, W], a PNG, or @",
     make_mask_inpainting},
    {"mean:r", 1, 1, "y = means of r x r blocks of x", make_block_mean},
    {"bicubic:r", 1, 1, "y = x resampled to 1/r of its size, antialiased cubic, a = -0.5", make_bicubic},
    {"blur:size,std[,border]", 2, 3, "y = k * x, Gaussian k of size x size; border reflect, zero or circular",
     make_gaussian_blur},
    {"motion:size,angle[,border]", 2, 3, "y = k * x, k a line of `size` pixels at an angle [degrees]",
     make_motion_blur},
    {"defocus:radius[,border]", 1, 2, "y = k * x, k a disc of this radius [pixels]", make_defocus},
    {"kernel:FILE[,border]", 1, 2, "y = k * x (convolution), k a .npy [h, w], or @", make_kernel_blur},
    {"grey", 0, 0, "y = 0.299 R + 0.587 G + 0.114 B", make_grey},
    {"hdr", 0, 0, "y = clamp(2 x, -1, 1)", make_hdr},
    {"phase[:oversample]", 0, 1, "y = |F(pad((x + 1) / 2))|, padding oversample / 8 of the width (2)",
     make_phase_retrieval},
    {"quantise:levels", 1, 1, "y = x rounded to equal levels on [-1, 1]; straight-through derivative",
     make_quantise},
    {"jpeg:quality", 1, 1, "y = what JPEG of this quality leaves of x; straight-through derivative",
     make_jpeg},
    {"fourier:FILE", 1, 1,
     "y = M F x, masked Fourier samples (MRI); the mask as for `mask`, frequency 0 first",
     make_masked_fourier},
    {"radon:views", 1, 1, "y = line integrals of x at `views` angles of 180 degrees (tomography)",
     make_radon},
    {"matrix:FILE", 1, 1, "y = M vec(x), M a .npy [m, C H W], or @", make_matrix_operator},
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

const KnownOperator* find_operator(const std::string& name) {
  const auto found = std::find_if(std::begin(kNownOperators), std::end(kNownOperators),
                                  [&](const KnownOperator& known) { return known.name() == name; });
  return found == std::end(kNownOperators) ? nullptr : found;
}

[[noreturn]] void refuse_name(const std::string& name, const std::string& spec) {
  std::vector<std::string> names;
  std::string all;
  for (const KnownOperator& known : kNownOperators) {
    names.push_back(known.name());
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

  std::vector<std::shared_ptr<const ForwardOperator>> stages;
  OperatorContext here = context;
  for (const Stage& stage : parse_stages(spec)) {
    const KnownOperator* known = find_operator(stage.name);
    if (!known) refuse_name(stage.name, spec);
    const OperatorArguments arguments(stage.text, known->usage, stage.arguments);
    arguments.expect_count(known->least_arguments, known->most_arguments);
    if (!stages.empty()) {
      const std::vector<std::int64_t> shape = stages.back()->measurement_shape();
      if (shape.size() != 3)
        arguments.refuse("what the stage before it measures is not an image", "put it first");
      here.image_shape = {shape[0], shape[1], shape[2]};
    }
    stages.push_back(known->make(arguments, here));
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
    const KnownOperator* known = find_operator(stage.name);
    return known && known->depends_on_image;
  });
}

std::string describe_operators() {
  std::size_t width = 0;
  for (const KnownOperator& known : kNownOperators)
    width = std::max(width, std::string_view(known.usage).size());
  std::string text;
  for (const KnownOperator& known : kNownOperators) {
    std::string usage = known.usage;
    usage.resize(width, ' ');
    text += "  " + usage + "  " + known.equation + "\n";
  }
  std::string usage = "A | B";
  usage.resize(width, ' ');
  return text + "  " + usage + "  y = B(A(x)), and so on from left to right\n";
}

}  // namespace dwgf
