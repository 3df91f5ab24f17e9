#include "prior/models/decoder_vjp.hpp"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

using Pull = std::function<at::Tensor(const at::Tensor&)>;

/// Calls the stages' products from the last to the first, each once, and lets go of it.
Vjp chained(const at::Tensor& value, std::shared_ptr<std::vector<Pull>> pulls) {
  return {value, [pulls = std::move(pulls)](at::Tensor cotangent) {
            if (pulls->empty()) throw InternalError("prior: a vector-Jacobian product serves once");
            const c10::InferenceMode recording(false);
            const at::NoGradGuard no_grad;
            for (; !pulls->empty(); pulls->pop_back()) cotangent = pulls->back()(cotangent);
            return cotangent;
          }};
}

}  // namespace

Vjp decoder_vjp(const std::vector<DecoderStage>& stages, const at::Tensor& z, DecoderGradient how) {
  const c10::InferenceMode recording(false);
  const at::NoGradGuard no_grad;
  auto pulls = std::make_shared<std::vector<Pull>>();
  at::Tensor h = z.detach().clone();
  for (const DecoderStage& stage : stages) {
    if (how == DecoderGradient::plain) {
      Vjp part = stage.vjp(h);
      h = part.value;
      pulls->push_back(std::move(part.pull));
    } else {
      pulls->push_back([&stage, h](const at::Tensor& cotangent) { return stage.vjp(h).pull(cotangent); });
      h = stage.forward(h);
    }
  }
  return chained(h, std::move(pulls));
}

}  // namespace dwgf
