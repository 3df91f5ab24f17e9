// What a step of every preset and method asks of a device, counted on one whose memory the host cannot touch
// (tests/support/guarded_device.hpp): kernels to be launched, those of them that are the networks', views,
// waits of the host, copies to the device. Prints a Markdown table; counts, so that what else the machine
// does is of no matter. Started by `tools/bench ops`.
//   dwgf_bench_ops PRIOR fp32|bf16
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <support/guarded_device.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "catalogue/methods.hpp"
#include "input/settings.hpp"
#include "job/build.hpp"

namespace {

using namespace dwgf;

struct Counts {
  std::int64_t kernels = 0, of_networks = 0, views = 0, waits = 0, uploads = 0;
  Counts operator-(const Counts& b) const {
    return {kernels - b.kernels, of_networks - b.of_networks, views - b.views, waits - b.waits,
            uploads - b.uploads};
  }
};

std::int64_t kernels_of_networks = 0;

/// Adds the kernels of a call to those of the networks.
template <class Call>
auto counted(const Call& call) {
  const std::uint64_t before = guarded::counts().operators;
  auto result = call();
  kernels_of_networks += static_cast<std::int64_t>(guarded::counts().operators - before);
  return result;
}

Vjp counted_vjp(Vjp vjp) {
  return {vjp.value, [pull = vjp.pull](const at::Tensor& c) { return counted([&] { return pull(c); }); }};
}

class CountedDenoiser final : public Denoiser {
 public:
  explicit CountedDenoiser(std::shared_ptr<const Denoiser> inner) : inner_(std::move(inner)) {}
  at::Tensor noise(const at::Tensor& z, const Level& level, const Conditioning& told) const override {
    return counted([&] { return inner_->noise(z, level, told); });
  }
  Vjp noise_vjp(const at::Tensor& z, const Level& level, const Conditioning& told) const override {
    return counted_vjp(counted([&] { return inner_->noise_vjp(z, level, told); }));
  }

 private:
  std::shared_ptr<const Denoiser> inner_;
};

class CountedCodec final : public Codec {
 public:
  explicit CountedCodec(std::shared_ptr<const Codec> inner) : inner_(std::move(inner)) {}
  at::Tensor decode(const at::Tensor& z) const override {
    return counted([&] { return inner_->decode(z); });
  }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return counted_vjp(counted([&] { return inner_->decode_vjp(z); }));
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    return counted([&] { return inner_->encode(x); });
  }
  Vjp encode_vjp(const at::Tensor& x) const override {
    return counted_vjp(counted([&] { return inner_->encode_vjp(x); }));
  }

 private:
  std::shared_ptr<const Codec> inner_;
};

/// A job as users name it.
struct Case {
  std::string name;
  std::vector<std::string> words;
  std::int64_t micro_batch = 2;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* preset : {"paper", "fast", "bayes"})
    all.push_back({std::string("preset ") + preset, {"--flow.preset", preset}});
  for (const MethodEntry& method : method_entries()) {
    if (method.method == Method::dwgf || method.method == Method::gibbs) continue;  // the presets'
    Case one{"method " + method.name, {"--flow.method", method.name}};
    if (method.method == Method::affine) one.micro_batch = 256;  // more particles than a latent has entries
    all.push_back(one);
  }
  return all;
}

Counts counts_of(const Case& one, const Prior& prior, std::int64_t batches, std::int64_t steps) {
  std::vector<std::string> words = one.words;
  for (const auto& [key, value] : {std::pair("--flow.grid", std::int64_t{20}),
                                   {"--flow.steps", steps},
                                   {"--flow.micro_batch", one.micro_batch},
                                   {"--flow.particles", one.micro_batch * batches}}) {
    words.push_back(key);
    words.push_back(std::to_string(value));
  }
  const FlowOptions options = flow_options(parse_settings(*find_command("restore"), words).as<JobInput>());
  const ImageShape shape{prior.geometry.image_channels, 28, 28};
  const auto forward = make_operator("mean:4", {.image_shape = shape});
  const auto noise = make_noise_model("gaussian", 0.05, *forward);
  const at::Tensor y = at::linspace(-1, 1, shape.channels * 49, at::kFloat).view({shape.channels, 7, 7});
  SelfCollective self;
  guarded::reset_counts();
  kernels_of_networks = 0;
  solve(Problem{prior, *forward, y, shape, 0, noise.get()}, options, self);
  const guarded::Counts seen = guarded::counts();
  const auto number = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
  return {number(seen.operators), kernels_of_networks, number(seen.views), number(seen.syncs),
          number(seen.uploads)};
}

/// Of one step in mid-run, without beginning and end.
Counts step_counts(const Case& one, const Prior& prior, std::int64_t batches) {
  return counts_of(one, prior, batches, 3) - counts_of(one, prior, batches, 2);
}

void print_row(const Case& one, const Prior& prior) {
  counts_of(one, prior, 1, 1);  // what is made once, at the first call
  const Counts single = step_counts(one, prior, 1), more = step_counts(one, prior, 2) - single;
  const auto print = [](const Counts& c) {
    std::printf(" %lld | %lld | %lld | %lld | %lld |", static_cast<long long>(c.kernels),
                static_cast<long long>(c.of_networks), static_cast<long long>(c.views),
                static_cast<long long>(c.waits), static_cast<long long>(c.uploads));
  };
  std::printf("| %s |", one.name.c_str());
  print(single);
  print(more);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  MpiSession session(argc, argv);
  try {
    PriorOptions options;
    options.device = guarded::device();
    if (std::string(argv[2]) == "bf16") options.unet_type = options.autoencoder_type = at::kBFloat16;
    const auto prior = load_prior(prior_files(argv[1]), options);
    prior->denoiser = std::make_shared<CountedDenoiser>(prior->denoiser);
    prior->codec = std::make_shared<CountedCodec>(prior->codec);
    std::printf(
        "| | kernels a step | of networks | views | waits | uploads | kernels for each further micro-batch "
        "| of networks | views | waits | uploads |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (const Case& one : cases()) print_row(one, *prior);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
