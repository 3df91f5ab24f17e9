/// Pictures as measurements: of which images they were measured.
#pragma once

#include <string>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// By how much an image is higher and wider than the picture that is measured of it: the product of the
/// factors of `mean:r` and `bicubic:r` in a spec; 1 where there are none. Throws UsageError for a spec whose
/// measurement is no picture (phase, fourier, radon, matrix), saying what to do, and for a factor that is
/// none.
std::int64_t picture_factor(const std::string& spec);

}  // namespace dwgf
