#include "data/detail/colour.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include <lcms2.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

using Context = std::unique_ptr<_cmsContext_struct, void (*)(cmsContext)>;
using Profile = std::unique_ptr<void, int (*)(cmsHPROFILE)>;
using Curve = std::unique_ptr<cmsToneCurve, void (*)(cmsToneCurve*)>;
using Transform = std::unique_ptr<void, void (*)(cmsHTRANSFORM)>;

Context new_context() {
  Context context(cmsCreateContext(nullptr, nullptr), cmsDeleteContext);
  if (!context) throw IoError("Little CMS does not start (out of memory)");
  cmsSetLogErrorHandlerTHR(context.get(), [](cmsContext, cmsUInt32Number, const char*) {});
  return context;
}

Curve srgb_curve(cmsContext context) {
  constexpr cmsInt32Number kind = 4;  // (a v + b)^g above d, c v below
  constexpr cmsFloat64Number parameters[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
  return {cmsBuildParametricToneCurve(context, kind, parameters), cmsFreeToneCurve};
}

Profile srgb(cmsContext context, bool grey) {
  if (!grey) return {cmsCreate_sRGBProfileTHR(context), cmsCloseProfile};
  const Curve curve = srgb_curve(context);
  return {cmsCreateGrayProfileTHR(context, cmsD50_xyY(), curve.get()), cmsCloseProfile};
}

/// From `channels` values on [0, 1] (of CMYK on [0, 100]) to sRGB, grey or colour; null where the profile has
/// no such channels, or no way from them.
Transform to_srgb(cmsContext context, cmsHPROFILE from, std::int64_t channels) {
  const auto kind = cmsGetColorSpace(from);
  const auto wanted = channels == 1 ? cmsSigGrayData : channels == 3 ? cmsSigRgbData : cmsSigCmykData;
  if (kind != wanted) return {nullptr, cmsDeleteTransform};
  const Profile to = srgb(context, channels == 1);
  const cmsUInt32Number in = channels == 1 ? TYPE_GRAY_FLT : channels == 3 ? TYPE_RGB_FLT : TYPE_CMYK_FLT;
  const cmsUInt32Number out = channels == 1 ? TYPE_GRAY_FLT : TYPE_RGB_FLT;
  return {cmsCreateTransformTHR(context, from, in, to.get(), out, INTENT_RELATIVE_COLORIMETRIC,
                                cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_NOCACHE),
          cmsDeleteTransform};
}

/// Whether no colour of a lattice moves by more than half a level of 8 bits.
bool changes_nothing(cmsHTRANSFORM transform, std::int64_t channels) {
  if (channels == 4) return false;
  constexpr int steps = 17;
  std::vector<float> from, to;
  const int others = channels == 3 ? steps : 1;
  for (int r = 0; r < steps; ++r)
    for (int g = 0; g < others; ++g)
      for (int b = 0; b < others; ++b)
        for (const int level : channels == 3 ? std::vector<int>{r, g, b} : std::vector<int>{r})
          from.push_back(static_cast<float>(level) / (steps - 1));
  to.resize(from.size());
  cmsDoTransform(transform, from.data(), to.data(),
                 static_cast<cmsUInt32Number>(from.size() / static_cast<std::size_t>(channels)));
  return std::equal(from.begin(), from.end(), to.begin(),
                    [](float a, float b) { return std::abs(a - b) <= 0.5f / 255; });
}

ImagePixels transformed(ImagePixels pixels, cmsHTRANSFORM transform) {
  const std::int64_t channels = pixels.channels, out_channels = channels == 1 ? 1 : 3;
  const std::int64_t plane = pixels.height * pixels.width, width = pixels.width;
  const float most = channels == 4 ? 100.0f : 1.0f;
  std::vector<float> in(static_cast<std::size_t>(channels * width)),
      out(static_cast<std::size_t>(out_channels * width)),
      values(static_cast<std::size_t>(out_channels * plane));
  for (std::int64_t y = 0; y < pixels.height; ++y) {
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c)
        in[static_cast<std::size_t>(x * channels + c)] =
            (pixels.values[static_cast<std::size_t>(c * plane + y * width + x)] + 1) / 2 * most;
    cmsDoTransform(transform, in.data(), out.data(), static_cast<cmsUInt32Number>(width));
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < out_channels; ++c)
        values[static_cast<std::size_t>(c * plane + y * width + x)] =
            std::clamp(out[static_cast<std::size_t>(x * out_channels + c)] * 2 - 1, -1.0f, 1.0f);
  }
  pixels.channels = out_channels;
  pixels.values = std::move(values);
  return pixels;
}

}  // namespace

ImagePixels profile_to_srgb(ImagePixels pixels, std::span<const std::byte> bytes, const std::string& path) {
  const Context context = new_context();
  const Profile profile(
      cmsOpenProfileFromMemTHR(context.get(), bytes.data(), static_cast<cmsUInt32Number>(bytes.size())),
      cmsCloseProfile);
  const Transform transform = profile ? to_srgb(context.get(), profile.get(), pixels.channels)
                                      : Transform(nullptr, cmsDeleteTransform);
  if (!transform) {
    const std::string why = profile ? "is of another kind of colours" : "is damaged";
    if (pixels.channels == 4) {
      throw DataError("{} is CMYK, for print, and its colour profile {}; convert it to RGB", path, why);
    }
    pixels.notes.push_back(formatted("{}: its colour profile {}; the values are taken for sRGB", path, why));
    return pixels;
  }
  if (changes_nothing(transform.get(), pixels.channels)) return pixels;
  return transformed(std::move(pixels), transform.get());
}

ImagePixels gamma_to_srgb(ImagePixels pixels, double exponent, const Chromaticities& colours) {
  constexpr double usual = 2.2, tolerance = 0.05, chromaticity = 0.002;
  const bool own_colours = !std::equal(colours.begin(), colours.end(), kSrgbColours.begin(),
                                       [](double a, double b) { return std::abs(a - b) <= chromaticity; });
  const bool usual_curve = std::abs(exponent / usual - 1) <= tolerance;
  if (usual_curve && (!own_colours || pixels.channels == 1)) return pixels;
  const Context context = new_context();
  const Curve curve = usual_curve ? srgb_curve(context.get())
                                  : Curve(cmsBuildGamma(context.get(), exponent), cmsFreeToneCurve);
  const cmsCIExyY white{colours[0], colours[1], 1};
  const cmsCIExyYTRIPLE primaries{
      {colours[2], colours[3], 1}, {colours[4], colours[5], 1}, {colours[6], colours[7], 1}};
  cmsToneCurve* curves[] = {curve.get(), curve.get(), curve.get()};
  const Profile from(pixels.channels == 1 ? cmsCreateGrayProfileTHR(context.get(), cmsD50_xyY(), curve.get())
                                          : cmsCreateRGBProfileTHR(context.get(), &white, &primaries, curves),
                     cmsCloseProfile);
  const Transform transform =
      from ? to_srgb(context.get(), from.get(), pixels.channels) : Transform(nullptr, cmsDeleteTransform);
  if (!transform) {
    pixels.notes.push_back("its gAMA and cHRM describe no colours; the values are taken for sRGB");
    return pixels;
  }
  return transformed(std::move(pixels), transform.get());
}

}  // namespace dwgf
