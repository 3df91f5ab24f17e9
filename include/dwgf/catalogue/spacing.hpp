/// How the noise levels of a grid are spaced.
#pragma once

namespace dwgf {

enum class Spacing {
  linear,  ///< evenly in time, as DDIM's "leading"
  log      ///< evenly in log(s / a), from the grid's first level to the one that it leaves out
};

}  // namespace dwgf
