#include "prior/few_step_sampling.hpp"

#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor sample_few_steps(const Prior& prior, const std::vector<FewStep>& course, at::Tensor z,
                            const std::function<at::Tensor(std::size_t)>& fresh) {
  for (std::size_t k = 0; k < course.size(); ++k) {
    const FewStep& step = course[k];
    const at::Tensor noise = prior.noise(z, step.at);  // [B, c, h, w]
    at::Tensor clean = (z - step.at.noise * noise) / step.at.signal;
    if (step.kept != 0.0) clean = step.taken * clean + step.kept * z;
    z = step.lands.noise == 0.0 ? step.lands.signal * clean
                                : step.lands.signal * clean + step.lands.noise * noise;
    const double ratio = step.next.signal / step.lands.signal;
    if (ratio != 1.0) z = ratio * z + std::sqrt(1.0 - ratio * ratio) * fresh(k);
  }
  return z;
}

}  // namespace dwgf
