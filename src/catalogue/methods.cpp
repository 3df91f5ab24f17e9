#include "catalogue/methods.hpp"

#include <algorithm>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

const std::vector<std::string> kFlowKeys = {
    "objective",   "integrator", "data_steps", "spacing", "settle",      "stop",
    "interaction", "repulsion",  "covariance", "weight",  "consistency", "consistency_every",
    "decoder_std", "lr",         "encode",     "start",   "start_time"};

/// Of the methods whose rest is the posterior.
Values posterior_defaults(const Values& more) {
  Values values = {{"objective", "bayes"}, {"grid", "40"},       {"spacing", "log"},
                   {"settle", "1"},        {"weight", "1"},      {"interaction", "gaussian"},
                   {"consistency", "0"},   {"decoder_std", "0"}, {"encode", "mean"}};
  values.insert(values.end(), more.begin(), more.end());
  return values;
}

template <class Matches>
const MethodEntry& find_entry(const Matches& matches) {
  const std::vector<MethodEntry>& all = method_entries();
  const auto found = std::find_if(all.begin(), all.end(), matches);
  if (found == all.end()) throw InternalError("no such method");
  return *found;
}

}  // namespace

const std::vector<MethodEntry>& method_entries() {
  static const std::vector<MethodEntry> entries = {
      {.method = Method::dwgf,
       .name = "dwgf",
       .summary = "the gradient flow, moved by Adam as published",
       .keys = kFlowKeys},
      {.method = Method::affine,
       .name = "affine",
       .summary =
           "a flow preconditioned by the ensemble's covariance, for more particles than latent entries",
       .keys = kFlowKeys,
       .defaults = posterior_defaults({{"covariance", "full"}, {"lr", "0.5"}})},
      {.method = Method::gibbs,
       .name = "gibbs",
       .summary = "a split Gibbs sampler, for any number",
       .keys = kFlowKeys,
       .defaults = posterior_defaults({})},
      {.method = Method::rlsd,
       .name = "rlsd",
       .summary = "repulsive latent score distillation",
       .keys = {"stop", "weight", "lr", "repulsion", "coupling", "image_lr"},
       .defaults = {{"weight", "0.1"}, {"lr", "0.2"}, {"repulsion", "50"}},
       .moves_images = true},
      {.method = Method::psld,
       .name = "psld",
       .summary = "posterior sampling with latent diffusion, for linear operators",
       .keys = {"guidance", "gluing", "eta"},
       .linear_only = true,
       .keeps_graph = true},
      {.method = Method::latent_dps,
       .name = "latent-dps",
       .summary = "diffusion posterior sampling in latent space",
       .keys = {"guidance", "eta"},
       .defaults = {{"guidance", "0.3"}, {"eta", "1"}},
       .keeps_graph = true},
      {.method = Method::kalman,
       .name = "kalman",
       .summary = "a few steps of denoising, each corrected by a gain measured once per prior",
       .keys = {"relaxation", "renoise", "lag", "sampled", "gain_iterations"},
       .defaults = {{"grid", "9"}},
       .needs_likelihood = true,
       .own_levels = true,
       .moves_images = true},
      {.method = Method::latino,
       .name = "latino",
       .summary = "a few steps of denoising, each brought to the measurement in pixels and encoded again",
       .keys = {"delta"},
       .defaults = {{"grid", "9"}},
       .needs_likelihood = true,
       .own_levels = true}};
  return entries;
}

const MethodEntry& entry_of(Method method) {
  return find_entry([&](const MethodEntry& entry) { return entry.method == method; });
}

const MethodEntry& entry_of(const std::string& name) {
  return find_entry([&](const MethodEntry& entry) { return entry.name == name; });
}

}  // namespace dwgf
