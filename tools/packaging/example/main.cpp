// Every second row of a picture is seen; the flow restores the others. The operator is this program's own.
#include <cstdio>

#include <ATen/ATen.h>

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

int main(int argc, char** argv) {
  const at::Tensor truth = at::tensor(dwgf::read_picture(argv[argc - 1]).values).view({1, 1, 32, 32});
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
}
