/// The methods that solve() knows, a row each.
#pragma once

#include <dwgf/flow/method.hpp>

namespace dwgf {

const MethodRow& row_of(Method method);

/// Throws UsageError where the method does not work with the operator.
void require_fits(Method method, const ForwardOperator& forward);

}  // namespace dwgf
