/// Which images a prior works on, and how an image of any height and width is fitted onto it.
///
/// An image [C, H, W] lies in the top left corner of its canvas [C, H', W'], the smallest size that the prior
/// takes. What of the canvas lies outside the image is the prior's to imagine: it is never observed, never
/// compared and never stored.
#pragma once

#include <cstdint>
#include <optional>

namespace dwgf {

/// The sizes that go with one image: of what the prior decodes, and of its latent.
struct Canvas {
  std::int64_t height = 0;         ///< H'
  std::int64_t width = 0;          ///< W'
  std::int64_t latent_height = 0;  ///< h
  std::int64_t latent_width = 0;   ///< w

  bool operator==(const Canvas&) const = default;
};

struct PriorGeometry {
  std::int64_t image_channels = 0;   ///< C
  std::int64_t latent_channels = 0;  ///< c
  std::int64_t factor = 1;           ///< H' / h = W' / w
  std::int64_t patch = 1;            ///< h and w are multiples of it
  std::int64_t largest = 0;          ///< of h and of w; 0: any size
  /// Side of the latents that the denoiser was trained on; 0: not known. Any size is computed.
  std::int64_t trained = 0;
  std::optional<Canvas> only = {};  ///< the one size a prior is defined for; `factor` then means nothing

  /// The canvas of an image: height and width rounded up to multiples of factor * patch, or `only`. Throws
  /// DataError for an image without pixels, for one of another size than `only`, and for one whose latent
  /// would be larger than `largest`.
  Canvas canvas(std::int64_t image_height, std::int64_t image_width) const;
};

}  // namespace dwgf
