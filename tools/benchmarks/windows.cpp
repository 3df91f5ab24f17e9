// What windows add to a posterior mean, where the exact one is known: a Gaussian Markov field, whole and in
// windows (tests/support/markov_field.hpp), over the field's correlation, the windows' size and overlap, at
// rest and moving, and how much more neighbours differ across the windows' borders at rest than elsewhere.
//   dwgf_bench_windows [SIDE [STEPS]]      48, 32
// Prints CSV: the error that windows add, as a share of the exact mean's own; seams against the exact mean's.
#include <algorithm>
#include <cstdio>
#include <string>

#include <ATen/ATen.h>

#include "support/markov_field.hpp"

int main(int argc, char** argv) {
  using namespace dwgf;
  const std::int64_t side = argc > 1 ? std::stoll(argv[1]) : 48, steps = argc > 2 ? std::stoll(argv[2]) : 32;
  std::printf("correlation,window,overlap,error at rest,seam at rest,error moving,seam moving\n");
  for (const double rho : {0.5, 0.8, 0.95}) {
    at::manual_seed(1);
    const test::FieldProblem problem(rho, side);
    for (const std::int64_t window : {8, 16, 32}) {
      for (const std::int64_t overlap : {window / 8, window / 4, window / 2}) {
        const test::WindowEffect at_rest = problem.effect(window, overlap),
                                 moving = problem.effect(window, overlap, steps);
        std::printf("%g,%lld,%lld,%.4f,%.3f,%.4f,%.3f\n", rho, static_cast<long long>(window),
                    static_cast<long long>(overlap), at_rest.added_error, at_rest.seam, moving.added_error,
                    moving.seam);
        std::fflush(stdout);
      }
    }
  }
}
