#include <array>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/levy.hpp>

#include "prior/families/levy_walk.hpp"
#include "prior/files/config_file.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/sha256.hpp"

namespace dwgf {
namespace {

constexpr std::array<std::pair<const char*, LevyKind>, 4> kLaws{
    {{"gauss", LevyKind::gauss},
     {"laplace", LevyKind::laplace},
     {"bernoulli_laplace", LevyKind::bernoulli_laplace},
     {"student", LevyKind::student}}};

/// The walks of the levels that were asked for, each made once.
class WalksByLevel {
 public:
  WalksByLevel(const LevyLaw& law, std::int64_t length, WalkAccuracy accuracy)
      : law_(law), length_(length), accuracy_(accuracy) {}

  std::shared_ptr<const NoisyWalk> at(double tau) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::shared_ptr<const NoisyWalk>& walk = walks_[tau];
    if (!walk)
      walk = std::make_shared<const NoisyWalk>(law_, static_cast<std::size_t>(length_), tau, accuracy_);
    return walk;
  }

 private:
  LevyLaw law_;
  std::int64_t length_;
  WalkAccuracy accuracy_;
  mutable std::mutex mutex_;
  mutable std::map<double, std::shared_ptr<const NoisyWalk>> walks_;
};

/// eps(z_t) = (z_t - a E[x | z_t]) / s.
class LevyDenoiser final : public Denoiser {
 public:
  LevyDenoiser(const LevyLaw& law, const LevyProcess& process, const at::TensorOptions& options)
      : walks_(law, process.length, {process.resolution, process.reach}), options_(options) {}

  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    const at::Tensor rows = rows_of(z_t), means = at::empty_like(rows);
    const at::Tensor seen = rows / level.signal;
    const auto walk = walks_.at(level.noise / level.signal);
    for (std::int64_t b = 0; b < rows.size(0); ++b) walk->mean(row(seen, b), row(means, b));
    return as_latents((rows - level.signal * means) / level.noise, z_t);
  }

  /// eps' = (I - Cov(x | z_t) a^2 / s^2) / s.
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& told) const override {
    return {noise(z_t, level, told), [this, level, z_t = z_t.detach()](const at::Tensor& cotangent) {
              const at::Tensor seen = rows_of(z_t) / level.signal, directions = rows_of(cotangent);
              const at::Tensor means = at::empty_like(seen), changes = at::empty_like(seen);
              const double tau = level.noise / level.signal;
              const auto walk = walks_.at(tau);
              for (std::int64_t b = 0; b < seen.size(0); ++b) {
                walk->mean_and_covariance(row(seen, b), row(directions, b), row(means, b), row(changes, b));
              }
              return as_latents((directions - changes / (tau * tau)) / level.noise, z_t);
            }};
  }

 private:
  /// [B, n], float64 on the CPU.
  static at::Tensor rows_of(const at::Tensor& latents) {
    return latents.detach().to(at::TensorOptions(at::kDouble).device(at::kCPU)).flatten(1).contiguous();
  }
  at::Tensor as_latents(const at::Tensor& rows, const at::Tensor& like) const {
    return rows.view_as(like).to(options_);
  }
  static std::span<double> row(const at::Tensor& rows, std::int64_t b) {
    const auto length = static_cast<std::size_t>(rows.size(1));
    return {rows.mutable_data_ptr<double>() + static_cast<std::size_t>(b) * length, length};
  }

  WalksByLevel walks_;
  at::TensorOptions options_;
};

void require(bool good, const char* part, double found, const char* wanted) {
  if (!good) throw DataError("prior: the Lévy process's {} is {}; {}", part, found, wanted);
}

LevyLaw law_of(const LevyProcess& process) {
  for (const auto& [name, kind] : kLaws) {
    if (process.law == name) return {kind, process.scale, process.share, process.freedom};
  }
  throw DataError(
      "prior: the Lévy process's law is '{}'; known are gauss, laplace, bernoulli_laplace and student",
      process.law);
}

std::unique_ptr<Prior> make(const LevyProcess& process, const at::TensorOptions& options) {
  const LevyLaw law = law_of(process);
  require(law.scale > 0 && law.scale < 1e12, "scale", law.scale, "it is a finite number above 0");
  require(law.share > 0 && law.share <= 1, "share", law.share, "it is above 0 and at most 1");
  require(law.freedom > 0 && law.freedom < 1e6, "freedom", law.freedom, "it is a finite number above 0");
  require(process.length >= 1 && process.length <= 65536, "length", static_cast<double>(process.length),
          "it is 1 ... 65536");
  require(process.resolution >= 0.5 && process.resolution <= 3, "resolution", process.resolution,
          "it is 0.5 ... 3");
  require(process.reach >= 4 && process.reach <= 12, "reach", process.reach, "it is 4 ... 12");
  auto prior = std::make_unique<Prior>();
  prior->path = std::make_shared<DdpmSchedule>(process.schedule);
  prior->geometry = {.image_channels = 1, .latent_channels = 1};
  prior->geometry.only = Canvas{1, process.length, 1, process.length};
  prior->codec = std::make_shared<IdentityCodec>();
  prior->denoiser = std::make_shared<LevyDenoiser>(law, process, options);
  prior->options = options;
  prior->sha256 =
      sha256_of(formatted("LevyProcess {} {} {} {} {} {} {}", process.law, process.scale, process.share,
                          process.freedom, process.length, process.resolution, process.reach));
  return prior;
}

std::filesystem::path description_in(const std::string& directory) {
  return std::filesystem::path(directory) / "levy.json";
}

DdpmScheduleConfig schedule_of(const ConfigFile& file) {
  DdpmScheduleConfig config;
  config.beta_schedule = file.text("beta_schedule", "linear", {"linear", "scaled_linear"}) == "linear"
                             ? BetaSchedule::linear
                             : BetaSchedule::scaled_linear;
  config.beta_start = file.real("beta_start", 1e-4, 1e-12, 0.999);
  config.beta_end = file.real("beta_end", 0.02, 1e-12, 0.999);
  config.train_steps = file.integer("num_train_timesteps", 1000, 3, 1'000'000);
  return config;
}

LevyProcess read_process(const std::string& directory) {
  const ConfigFile file(description_in(directory), {"LevyProcess"});
  std::vector<std::string> laws;
  for (const auto& [name, kind] : kLaws) laws.emplace_back(name);
  LevyProcess process;
  process.law = file.text("law", process.law, laws);
  process.scale = file.real("scale", process.scale, 1e-12, 1e12);
  process.share = file.real("share", process.share, 1e-12, 1.0);
  process.freedom = file.real("freedom", process.freedom, 1e-3, 1e6);
  process.length = file.integer("length", process.length, 1, 65536);
  process.resolution = file.real("resolution", process.resolution, 0.5, 3.0);
  process.reach = file.real("reach", process.reach, 4.0, 12.0);
  process.schedule = schedule_of(file);
  return process;
}

}  // namespace

std::unique_ptr<Prior> make_levy_process(const LevyProcess& process, const at::TensorOptions& options) {
  return guarded_load("the Lévy process", [&] { return make(process, options); });
}

bool is_levy_process(const std::string& directory) {
  return config_class(description_in(directory)) == "LevyProcess";
}

std::unique_ptr<Prior> load_levy_process(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] {
    return make(read_process(directory), at::TensorOptions(options.dtype).device(options.device));
  });
}

}  // namespace dwgf
