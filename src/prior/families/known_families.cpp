#include <array>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>
#include <dwgf/prior/families/known_families.hpp>
#include <dwgf/prior/families/levy.hpp>
#include <dwgf/prior/families/photographs.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion_3.hpp>
#include <dwgf/prior/families/stable_diffusion_xl.hpp>

#include "prior/families/other_models.hpp"

namespace dwgf {

std::span<const PriorFamily> known_families() {
  // The last takes any directory and names what it lacks.
  static constexpr std::array<PriorFamily, 7> families{{
      {"gaussian_mixture", false, is_gaussian_mixture, load_gaussian_mixture},
      {"levy", false, is_levy_process, load_levy_process},
      {"photographs", false, is_photographs, load_photographs},
      {"pixel_diffusion", false, is_pixel_diffusion, load_pixel_diffusion},
      {"stable_diffusion_xl", true, is_stable_diffusion_xl, load_stable_diffusion_xl},
      {"stable_diffusion_3", true, is_stable_diffusion_3, load_stable_diffusion_3},
      {"stable_diffusion", true, is_stable_diffusion, load_stable_diffusion},
  }};
  return families;
}

const PriorFamily& family_of(const std::string& path, std::span<const PriorFamily> families) {
  refuse_other_models(path);
  for (const PriorFamily& family : families) {
    if (family.recognises(path)) return family;
  }
  throw NotFoundError(
      "prior: '{}' is neither a folder nor a file; give a diffusers directory (unet/, vae/, scheduler/) or "
      "the HDF5 file of a Gaussian mixture",
      path);
}

std::unique_ptr<Prior> load_prior(const std::string& path, const PriorOptions& options) {
  return family_of(path).load(path, options);
}

}  // namespace dwgf
