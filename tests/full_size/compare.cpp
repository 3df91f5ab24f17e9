// What the C++ prior and the first step of the flow make of the inputs in a file, against what that file says
// (tools/check_full_size.py makes it with diffusers). Prints `name relative-error` lines; errors are relative
// L2.
//   compare_full_size PRIOR NETWORKS.safetensors FLOW.safetensors OPERATOR
//   compare_full_size PRIOR NETWORKS.safetensors              # of any family, the networks alone
// A network whose results the file does not have is left out.
#include <cstdio>
#include <map>
#include <string>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <dwgf/base/error.hpp>
#include <dwgf/operators/operator.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "flow/draws.hpp"
#include "flow/terms/data_term.hpp"
#include "flow/terms/interaction.hpp"
#include "flow/terms/regulariser.hpp"
#include "prior/files/safetensors.hpp"

namespace {

using namespace dwgf;
using Tensors = std::map<std::string, at::Tensor>;

Tensors read(const std::string& path) {
  const SafetensorsFile file(path);
  Tensors tensors;
  for (const StoredTensor& tensor : file.tensors()) tensors[tensor.name] = file.view(tensor).clone();
  return tensors;
}

void report(const std::string& name, const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor exact = expected.to(at::kDouble);
  const double error = ((got.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
  std::printf("%s %.3e\n", name.c_str(), error);
  std::fflush(stdout);
}

/// What the file says that the denoiser was told.
Conditioning told(const Tensors& t) {
  const auto given = [&](const char* name) { return t.contains(name) ? t.at(name) : at::Tensor(); };
  return {.tokens = given("context"), .pooled = given("pooled"), .sizes = given("sizes")};
}

void compare_networks(const Prior& prior, const Tensors& t) {
  const at::Tensor& z = t.at("z");
  for (const char* time : {"999", "500", "1"}) {
    const std::string name = formatted("unet.{}", time);
    if (!t.contains(name)) continue;
    const Level level = dynamic_cast<const DdpmSchedule&>(*prior.path).level(std::stol(time));
    report(name, prior.denoiser->noise(z, level, told(t)), t.at(name));
  }
  if (!t.contains("decoded")) return;
  const Vjp decoded = prior.codec->decode_vjp(z);
  report("decoded", decoded.value, t.at("decoded"));
  report("gradient", decoded.pull(t.at("cotangent")), t.at("gradient"));
  const LatentDistribution code = prior.codec->encode(t.at("x"));
  report("encoded.mean", code.mean, t.at("mean"));
  report("encoded.std", code.std, t.at("std"));
}

/// The gradient of the flow's first step, as solve() forms it: particles and measurement as
/// tools/flow_reference.py has them.
void compare_first_gradient(const Prior& prior, const Tensors& networks, const Tensors& flow,
                            const std::string& spec) {
  FlowOptions options;
  options.particles = flow.at("z").size(0);
  options.data.encode = EncodeMode::sample;
  const at::Tensor& image = networks.at("x");  // [1, C, H, W]
  const ImageShape shape{image.size(1), image.size(2), image.size(3)};
  const auto forward = make_operator(spec, {shape, options.seed, 0});
  const Problem problem{prior, *forward, flow.at("y"), shape, 0};
  FlowState state = initial_state(share_particles(options.particles, 1, 0, 1), flow.at("z")[0].sizes().vec(),
                                  options.seed, 0, prior.options);
  SelfCollective self;
  const auto interaction = make_interaction(options.interaction, self);
  const DataTerm data_term(problem, options.data, options.seed);
  const Level level = prior.path->levels(options.grid).front();
  interaction->begin(state);
  interaction->finish(state);
  std::vector<at::Tensor> gradients;
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    const ParticleBatch& batch = state.batches[b];
    const NoisedBatch noised = add_noise(batch, level, {options.seed, 0, 0, 0, Purpose::noising});
    const at::Tensor predicted = prior.noise(noised.z_t, level);
    const InteractionScore score = interaction->score(state, b, noised);
    gradients.push_back(data_term.gradient(batch.z, batch.first, 0).gradient +
                        regulariser_gradient(score.score, predicted, noised, options.weight));
  }
  report("first_gradient", at::cat(gradients), flow.at("first_gradient"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 3) {
    std::fputs("usage: compare_full_size PRIOR NETWORKS.safetensors [FLOW.safetensors OPERATOR]\n", stderr);
    return static_cast<int>(ExitCode::usage);
  }
  try {
    at::set_num_threads(static_cast<int>(std::thread::hardware_concurrency()));
    const Tensors networks = read(argv[2]);
    if (argc == 3) {
      compare_networks(*load_prior(argv[1], {}), networks);
      return 0;
    }
    const Tensors flow = read(argv[3]);
    PriorOptions options{.context = networks.at("context"), .decoder_gradient = DecoderGradient::plain};
    {
      const auto prior = load_stable_diffusion(argv[1], options);
      compare_networks(*prior, networks);
      compare_first_gradient(*prior, networks, flow, argv[4]);
    }
    options.decoder_gradient = DecoderGradient::recompute;
    const auto prior = load_stable_diffusion(argv[1], options);
    const Vjp decoded = prior->codec->decode_vjp(networks.at("z"));
    report("recomputed_gradient", decoded.pull(networks.at("cotangent")), networks.at("gradient"));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compare_full_size: %s\n", error.what());
    return static_cast<int>(ExitCode::internal);
  }
  return 0;
}
