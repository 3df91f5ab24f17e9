// What the C++ prior's denoiser makes of the inputs in a file, against what that file says
// (tools/check_full_size_sd3.py makes it with diffusers). Prints `name relative-error` lines; errors are
// relative L2.
//   compare_transformer PRIOR NETWORKS.safetensors
#include <cstdio>
#include <string>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "prior/files/safetensors.hpp"

int main(int argc, char** argv) {
  using namespace dwgf;
  if (argc != 3) {
    std::fprintf(stderr, "usage: compare_transformer PRIOR NETWORKS.safetensors\n");
    return static_cast<int>(ExitCode::usage);
  }
  try {
    at::set_num_threads(static_cast<int>(std::thread::hardware_concurrency()));
    const SafetensorsFile file(argv[2]);
    at::Tensor z, context, pooled;
    for (const StoredTensor& tensor : file.tensors()) {
      if (tensor.name == "z") z = file.view(tensor).clone();
      if (tensor.name == "context") context = file.view(tensor).clone();
      if (tensor.name == "pooled") pooled = file.view(tensor).clone();
    }
    const auto prior = load_prior(argv[1], {.context = context});
    prior->conditioning.pooled = pooled;
    const std::string prefix = "velocity.";
    for (const StoredTensor& tensor : file.tensors()) {
      if (!tensor.name.starts_with(prefix)) continue;
      // At s = 1 the clean latent is z_t - v, whatever the time that is told.
      const Level level{0.0, 1.0, std::stod(tensor.name.substr(prefix.size()))};
      const at::Tensor expected = file.view(tensor).to(at::kDouble);
      const at::Tensor velocity = z - prior->clean(z, level);
      const double error = ((velocity.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
      std::printf("%s %.3e\n", tensor.name.c_str(), error);
      std::fflush(stdout);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
