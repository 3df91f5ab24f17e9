/// Composition y = A_k(... A_1(x)), written `A_1 | ... | A_k`. Pulling back goes through the stages in
/// reverse, A_1'(x)^T A_2'(A_1 x)^T ... r. Linear where all stages are.
///
/// Observed: what a mask leaves out stays unobserved through later stages that keep it
/// (ForwardOperator::keeps_unobserved); any other stage mixes it with its neighbours, and its whole
/// measurement is observed.
///
/// The trivial inverse undoes the stages in reverse; one that has none is passed by where it keeps the shape,
/// otherwise the composition has none either.
#pragma once

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// @pre at least one stage; each takes the measurement of the one before as its image
std::shared_ptr<const ForwardOperator> compose(std::vector<std::shared_ptr<const ForwardOperator>> stages,
                                               const ImageShape& image_shape);

}  // namespace dwgf
