// Every second row of a picture is seen; the flow restores the others. The operator is this program's own.
#include <cstdio>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/data/picture.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/metric/image_quality.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

struct EverySecondRow final : dwgf::LinearOperator {
  at::Tensor apply(const at::Tensor& x) const override { return x.slice(2, 0, 32, 2); }
  at::Tensor adjoint(const at::Tensor& r) const override {
    at::Tensor x = at::zeros({r.size(0), 1, 32, 32}, r.options());
    x.slice(2, 0, 32, 2).copy_(r);
    return x;
  }
  std::vector<std::int64_t> measurement_shape() const override { return {1, 16, 32}; }
};

/// [1, 1, 32, 32] of a grey picture of that size. Throws dwgf::Error for any other.
at::Tensor read_grey(const char* path) {
  const auto picture = dwgf::read_picture(path);
  if (picture.values.size() != 32 * 32)
    throw dwgf::DataError("{}: this example takes a grey picture of 32 x 32", path);
  return at::tensor(picture.values).view({1, 1, 32, 32});
}

int solve_and_print(const char* path) {
  const at::Tensor truth = read_grey(path);
  const auto prior = dwgf::load_stable_diffusion(PRIOR, {});
  const EverySecondRow rows;
  const dwgf::Problem problem{*prior, rows, rows.apply(truth)[0], {1, 32, 32}};
  const dwgf::FlowOptions options{.grid = 60, .micro_batch = 4, .weight = 0.05, .data = {.consistency = 0.0}};
  dwgf::SelfCollective alone;
  const dwgf::Solution solution = dwgf::solve(problem, options, alone);
  const at::Tensor mean = prior->codec->decode(solution.state.batches[0].z).mean(0, true);
  std::printf("PSNR of rows repeated %.2f dB, of the flow %.2f dB\n",
              dwgf::psnr(rows.apply(truth).repeat_interleave(2, 2)[0], truth[0]),
              dwgf::psnr(mean[0], truth[0]));
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: every_second_row PICTURE, a grey one of 32 x 32\n");
    return 64;
  }
  try {
    return solve_and_print(argv[1]);
  } catch (const dwgf::Error& error) {
    std::fprintf(stderr, "every_second_row: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
