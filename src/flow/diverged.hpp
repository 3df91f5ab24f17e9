/// An ensemble left the range of numbers. Thrown on every rank of the group at the same step, so that the
/// group can give up the image together and go on with the next.
#pragma once

#include <cstdint>

#include <dwgf/base/error.hpp>

namespace dwgf {

struct Diverged : Error {
  explicit Diverged(std::int64_t step)
      : Error(ExitCode::some_images_failed,
              formatted("the flow diverged at step {} (a latent or a gradient is not finite or out of "
                        "range); try a smaller flow.lr or flow.precision = fp64",
                        step)) {}
};

}  // namespace dwgf
