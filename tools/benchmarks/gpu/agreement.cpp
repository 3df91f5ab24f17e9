#include <ATen/ATen.h>

#include <dwgf/base/format.hpp>

#include "gpu/checks.hpp"
#include "gpu/network_calls.hpp"

namespace dwgf::gpu {
namespace {

NetworkResults results_of(const std::string& path, const std::string& precision, const at::Device& device,
                          std::int64_t edge) {
  const auto prior = load_prior(path, prior_options(precision, device));
  return {*prior, NetworkInputs(*prior, edge, 1)};
}

void compare(const std::string& what, const NetworkResults& found, const NetworkResults& expected,
             double limit, Table& table) {
  for (const auto& [call, a, b] : {std::tuple("U-Net", found.noise, expected.noise),
                                   {"decode", found.decoded, expected.decoded},
                                   {"decode's vjp", found.pulled, expected.pulled},
                                   {"encode", found.mean, expected.mean}}) {
    const at::Tensor reference = b.cpu().to(at::kDouble);
    const double error = ((a.cpu().to(at::kDouble) - reference).norm() / reference.norm()).item<double>();
    table.check(formatted("{}: {}", call, what), error, "relative L2", error <= limit);
  }
}

}  // namespace

void check_agreement(CheckedDevice& checked, const std::string& prior, std::int64_t edge, Table& table) {
  const NetworkResults exact = results_of(prior, "fp32", checked.device(), edge);
  {
    const NetworkResults host = results_of(prior, "fp32", at::kCPU, edge);
    compare("fp32 on the device against the host", exact, host, 1e-4, table);
  }
  for (const auto& [precision, limit] : {std::pair("tf32", 0.02), {"bf16", 0.1}, {"fp16", 0.02}}) {
    compare(formatted("{} against fp32, on the device", precision),
            results_of(prior, precision, checked.device(), edge), exact, limit, table);
  }
}

}  // namespace dwgf::gpu
