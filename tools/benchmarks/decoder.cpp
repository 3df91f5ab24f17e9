// What a small autoencoder saves: decoding with its vector-Jacobian product, by AutoencoderKL in the shapes of
// Stable Diffusion and by AutoencoderTiny in those of TAESD, random weights, by turns in one run.
//   dwgf_bench_decoder [SIDE [ROUNDS]]      512, 3
// Prints Markdown: seconds a call of one image, median (least to most), and the ratio of medians.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "prior/models/autoencoder.hpp"
#include "prior/models/autoencoder_codec.hpp"
#include "prior/models/decoder_vjp.hpp"
#include "prior/models/tiny_autoencoder.hpp"

namespace dwgf {
namespace {

template <class Network, class Config>
struct Contender {
  explicit Contender(const Config& config) : config(config), network(config, at::TensorOptions(at::kFloat)) {
    for (auto& parameter : network.parameters()) {
      const double inputs = parameter.dim() > 1 ? static_cast<double>(parameter[0].numel()) : 100.0;
      parameter.normal_().div_(std::sqrt(inputs));
    }
  }

  void time(const at::Tensor& z, const at::Tensor& cotangent) {
    const auto begin = std::chrono::steady_clock::now();
    const CallSize size{z.size(0), z.size(2), z.size(3), 4};
    const Vjp decoded = decoder_vjp(network.decoder_stages(), z, chosen_gradient(config, std::nullopt, size));
    decoded.pull(cotangent);
    const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (counted) times.push_back(taken);
    counted = true;  // the first call brings the weights into their format
  }

  double median() {
    std::ranges::sort(times);
    return times[times.size() / 2];
  }

  Config config;
  Network network;
  std::vector<double> times;
  bool counted = false;
};

void print(const char* name, double median, const std::vector<double>& times) {
  std::printf("| %s | %.3f (%.3f to %.3f) |\n", name, median, times.front(), times.back());
}

}  // namespace
}  // namespace dwgf

int main(int argc, char** argv) {
  using namespace dwgf;
  const std::int64_t side = argc > 1 ? std::stoll(argv[1]) : 512;
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 3;
  const at::NoGradGuard no_grad;
  at::manual_seed(0);
  Contender<Autoencoder, AutoencoderConfig> full({.channels = {128, 256, 512, 512}, .layers = 2});
  Contender<TinyAutoencoder, TinyAutoencoderConfig> tiny(
      {.encoder_blocks = {1, 3, 3, 3}, .decoder_blocks = {3, 3, 3, 1}});
  const at::Tensor z = at::randn({1, 4, side / 8, side / 8}), cotangent = at::randn({1, 3, side, side});
  for (int round = 0; round <= rounds; ++round) {
    full.time(z, cotangent);
    tiny.time(z, cotangent);
  }
  std::printf("| decoder with its vector-Jacobian product, %lld x %lld | seconds |\n|---|---|\n",
              static_cast<long long>(side), static_cast<long long>(side));
  const double slow = full.median(), fast = tiny.median();
  print("AutoencoderKL", slow, full.times);
  print("AutoencoderTiny", fast, tiny.times);
  std::printf("| ratio | %.1f |\n", slow / fast);
}
