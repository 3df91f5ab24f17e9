/// Unconditional sampling of a prior in few steps (dwgf/prior/few_steps.hpp).
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/few_steps.hpp>
#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// `fresh(k)` is n of step k, [B, c, h, w]; it is asked for where the step takes noise alone.
/// z [B, c, h, w] is the latent that the first step is given. Pure where `fresh` is.
at::Tensor sample_few_steps(const Prior& prior, const std::vector<FewStep>& course, at::Tensor z,
                            const std::function<at::Tensor(std::size_t)>& fresh);

}  // namespace dwgf
