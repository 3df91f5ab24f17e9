/// Random walks with independent increments as a prior over signals [1, 1, n], whose denoiser is exact: for
/// studies of posteriors that are neither Gaussian nor a mixture of few, after the benchmark of
/// arXiv 2509.12821.
///
///   x_k = u_1 + ... + u_k,    u independent, of one law (LevyProcess)
///   z_t = a x + s n,          eps(z_t, t) = (z_t - a E[x | z_t]) / s
///
/// with a, s of the noise level. E[x | z_t] is that of a Markov chain seen with noise, by messages that pass
/// along it (src/prior/families/levy_walk.hpp); its derivative is Cov(x | z_t) a / s^2, which is symmetric.
/// Latents are the signals, D and E the identity. Computed in float64, whatever the type of the tensors; to
/// some 1e-6 s / a, or to rounding where a finer lattice is asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

struct LevyProcess {
  std::string law = "gauss";  ///< `gauss`, `laplace`, `bernoulli_laplace` or `student`
  double scale = 1.0;         ///< deviation of gauss, b of both Laplace laws, factor of student; above 0
  double share = 1.0;         ///< of increments that are not 0, of bernoulli_laplace; in (0, 1]
  double freedom = 1.0;       ///< degrees of freedom of student
  std::int64_t length = 64;   ///< n
  double resolution = 1.25;   ///< of the lattice: its error is some tau exp(-pi^2 resolution^2), tau = s / a
  double reach = 7.0;         ///< of the windows around what is seen, in tau
  DdpmScheduleConfig schedule;
};

/// Throws DataError naming what is out of range: resolution within 0.5 ... 3, reach within 4 ... 12, the
/// others as they are described.
std::unique_ptr<Prior> make_levy_process(const LevyProcess& process, const at::TensorOptions& options);

/// Whether a directory has a levy.json.
bool is_levy_process(const std::string& directory);

/// Reads one from the file levy.json of a directory: `_class_name` = LevyProcess, the fields above by their
/// names, and beta_schedule, beta_start, beta_end (linear, 1e-4, 0.02), num_train_timesteps (1000). Throws as
/// PriorFamily has it.
std::unique_ptr<Prior> load_levy_process(const std::string& directory, const PriorOptions& options);

}  // namespace dwgf
