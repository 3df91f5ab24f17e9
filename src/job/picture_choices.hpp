/// How a job reads its pictures.
#pragma once

#include <dwgf/data/picture.hpp>

#include "input/job_input.hpp"

namespace dwgf {

inline PictureChoices choices_of(const ImagesInput& images) {
  return {images.background, images.range};
}

}  // namespace dwgf
