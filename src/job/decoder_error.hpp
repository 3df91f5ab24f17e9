/// What the autoencoder of a job's prior cannot show, whatever the particles do: the root mean square of
/// D(E(x)) - x over the pixels with |x| < 0.99 of given images. Particles differ within what the decoder can
/// make; the truth lies beside it.
#pragma once

#include <string>

#include "input/job_input.hpp"

namespace dwgf {

/// `value`: a standard deviation on the [-1, 1] scale, or images (as input.data takes them) to measure it on:
/// they should be none that are evaluated. At most `images` of them are taken, evenly spaced. Loads the prior
/// that `job` names. Throws UsageError, NotFoundError, DataError.
double decoder_error(const std::string& value, const JobInput& job, std::int64_t images = 256);

}  // namespace dwgf
