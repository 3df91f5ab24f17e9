/// A method as small as one can be, that shows what adding one takes: plain gradient descent on the data
/// term,
///
///   z <- z - rate J_D^T c        (terms/data_term.hpp)
///
/// with no prior but its decoder: particles end where the measurement is met.
#pragma once

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// options.rate is the step, options.data its terms.
extern const MethodRow kGradientDescent;

}  // namespace dwgf
