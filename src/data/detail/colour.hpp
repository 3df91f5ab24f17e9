/// Colours of other spaces as sRGB, by Little CMS 2. https://www.color.org/specification/ICC.1-2022-05.pdf
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// Turns pixels into sRGB, relative colorimetric with black point compensation, clipped to [-1, 1]: grey
/// stays grey, colour stays colour, and of CMYK ([4, H, W]; -1 no ink, 1 all) colour comes. A profile that
/// moves no colour by more than half a level of 8 bits is taken for sRGB's own, and nothing is changed. A
/// profile that cannot be used (damaged, or of another kind of colours) is noted and the pixels are taken for
/// sRGB; CMYK is no picture without one: throws DataError naming `path`.
ImagePixels profile_to_srgb(ImagePixels pixels, std::span<const std::byte> profile, const std::string& path);

/// CIE x, y of white, red, green and blue.
using Chromaticities = std::array<double, 8>;
inline constexpr Chromaticities kSrgbColours = {0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06};

/// The same where a PNG says of its colours only light = value^exponent, and of which colours they are made.
/// What is within 5 % of sRGB's exponent, 2.2, and has its colours is taken for sRGB: so is it meant.
/// https://www.w3.org/TR/png-3/#11gAMA
ImagePixels gamma_to_srgb(ImagePixels pixels, double exponent, const Chromaticities& colours);

}  // namespace dwgf
