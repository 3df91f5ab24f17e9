#include "catalogue/operators.hpp"

#include <algorithm>

namespace dwgf {
namespace {

/// Every operator: to add one, add its line here and its factory to the table of make_operator.cpp.
constexpr OperatorDescription kDescriptions[] = {
    {"identity", 0, 0, "y = x"},
    {"box:top,left,height,width", 4, 4, "y = x, missing (0) in the box"},
    {"random:fraction", 1, 1, "y = x, each value missing (0) with this probability", true},
    {"mask:FILE", 1, 1, "y = x, missing (0) where the mask is 0; a .npy [H, W] or [C, H, W], a PNG, or @"},
    {"mean:r", 1, 1, "y = means of r x r blocks of x"},
    {"bicubic:r", 1, 1, "y = x resampled to 1/r of its size, antialiased cubic, a = -0.5"},
    {"blur:size,std[,border]", 2, 3,
     "y = k * x, Gaussian k of size x size; border reflect, zero or circular"},
    {"motion:size,angle[,border]", 2, 3, "y = k * x, k a line of `size` pixels at an angle [degrees]"},
    {"defocus:radius[,border]", 1, 2, "y = k * x, k a disc of this radius [pixels]"},
    {"kernel:FILE[,border]", 1, 2, "y = k * x (convolution), k a .npy [h, w], or @"},
    {"grey", 0, 0, "y = 0.299 R + 0.587 G + 0.114 B"},
    {"hdr", 0, 0, "y = clamp(2 x, -1, 1)"},
    {"phase[:oversample]", 0, 1, "y = |F(pad((x + 1) / 2))|, padding oversample / 8 of the width (2)"},
    {"quantise:levels", 1, 1, "y = x rounded to equal levels on [-1, 1]; straight-through derivative"},
    {"jpeg:quality", 1, 1, "y = what JPEG of this quality leaves of x; straight-through derivative"},
    {"fourier:FILE[,complex]", 1, 2,
     "y = M F x, masked Fourier samples (MRI); mask as for `mask`, frequency 0 first"},
    {"sense:FILE", 1, 1, "y_j = S_j x, coil maps S (MRI) [2, J, H, W]; `sense:@ | fourier:@,complex`"},
    {"radon:views[,from,to]", 1, 3,
     "y = line integrals at `views` angles [degrees] (CT); or at those of a .npy, or @"},
    {"matrix:FILE", 1, 1, "y = M vec(x), M a .npy [m, C H W], or @"},
    {"torch:FILE[,linear][,image]", 1, 4,
     "y = what a TorchScript module makes of x; its derivative by autograd"},
};

}  // namespace

std::string_view OperatorDescription::name() const {
  const std::string_view text = usage;
  return text.substr(0, text.find_first_of(":["));
}

std::span<const OperatorDescription> operator_descriptions() {
  return kDescriptions;
}

std::string describe_operators() {
  std::size_t width = 0;
  for (const OperatorDescription& known : kDescriptions)
    width = std::max(width, std::string_view(known.usage).size());
  std::string text;
  const auto add = [&](std::string usage, const std::string& equation) {
    usage.resize(width, ' ');
    text += "  " + usage + "  " + equation + "\n";
  };
  for (const OperatorDescription& known : kDescriptions) add(known.usage, known.equation);
  add("A | B", "y = B(A(x)), and so on from left to right");
  add("blur:9,?", "an unknown blur is estimated with the image: also kernel:?9, motion:?,?, defocus:?");
  return text;
}

}  // namespace dwgf
