#include "flow/known_methods.hpp"

#include <algorithm>
#include <array>

#include <dwgf/base/error.hpp>

#include "catalogue/methods.hpp"
#include "flow/methods/affine.hpp"
#include "flow/methods/gradient_flow.hpp"
#include "flow/methods/kalman.hpp"
#include "flow/methods/latent_dps.hpp"
#include "flow/methods/latino.hpp"
#include "flow/methods/psld.hpp"
#include "flow/methods/rlsd.hpp"
#include "flow/methods/split_gibbs.hpp"

namespace dwgf {

namespace {

constexpr std::array kRows = {MethodRow{"dwgf", make_dwgf},     MethodRow{"affine", make_affine},
                              MethodRow{"gibbs", make_gibbs},   MethodRow{"rlsd", make_rlsd},
                              MethodRow{"psld", make_psld},     MethodRow{"latent-dps", make_latent_dps},
                              MethodRow{"kalman", make_kalman}, MethodRow{"latino", make_latino}};

}  // namespace

const MethodRow& row_of(Method method) {
  const std::string& name = entry_of(method).name;
  const auto row = std::ranges::find(kRows, std::string_view(name), &MethodRow::name);
  if (row == kRows.end()) throw InternalError("flow.method = {} has no row", name);
  return *row;
}

void require_fits(Method method, const ForwardOperator& forward) {
  const MethodEntry& entry = entry_of(method);
  if (!entry.linear_only || forward.is_linear()) return;
  throw UsageError(
      "flow.method = {} works with linear operators only, and this problem.operator is none; take "
      "latent-dps, rlsd or dwgf",
      entry.name);
}

}  // namespace dwgf
