/// A job as values: one struct a section of an INI file. The option table says which key fills which field,
/// with its range and its help; the defaults stand here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <dwgf/base/value_range.hpp>
#include <dwgf/catalogue/method_options.hpp>

#include "base/number_type.hpp"

namespace dwgf {

/// What pictures and arrays are: images to measure, or what was measured of images.
enum class ImagesKind { clean, measured };

/// Where the images are, which of them, and how their values are read.
struct ImagesInput {
  std::string data;  ///< a folder, a picture, a pattern, a .npy, FILE.h5:/dataset or a file of measurements
  ImagesKind kind = ImagesKind::clean;
  std::optional<ValueRange> range;                  ///< nothing: as the type of the numbers says
  std::optional<std::array<double, 3>> background;  ///< sRGB on [-1, 1]; nothing: transparency is refused
  std::int64_t first = 0;                           ///< of the slice [row]
  std::int64_t count = 0;                           ///< 0: to the end
};

/// The noise level is estimated from each measurement.
struct Estimate {};
/// Each image has its own, which stands in the measurements file.
struct FromFile {};
/// Estimated together with the image, step by step (flow/unknowns/noise_level.hpp).
struct InFlow {};
using Sigma = std::variant<double, Estimate, FromFile, InFlow>;

struct ProblemInput {
  std::string forward = "identity";  ///< the spec of the forward operator
  Sigma sigma = 0.05;                ///< standard deviation of the noise, on the [-1, 1] scale
  std::string noise = "gaussian";    ///< the spec of the noise model

  bool estimates_sigma() const { return std::holds_alternative<Estimate>(sigma); }
  bool lists_sigma() const { return std::holds_alternative<FromFile>(sigma); }
  bool finds_sigma() const { return std::holds_alternative<InFlow>(sigma); }
  /// Whether each image has a level of its own.
  bool has_own_sigmas() const { return !std::holds_alternative<double>(sigma); }
  /// The level that was given; 0 where each image has its own.
  double given_sigma() const { return has_own_sigmas() ? 0.0 : std::get<double>(sigma); }
  /// Whether the noise is Gaussian of a level above 0, so that the likelihood has a score.
  bool has_gaussian_likelihood() const {
    return noise == "gaussian" && (has_own_sigmas() || given_sigma() > 0);
  }
};

/// Number formats of the networks. tf32 is a way of GPUs to multiply fp32.
enum class Precision { fp64, fp32, tf32, bf16, fp16 };

/// What the decoder's gradient keeps in memory.
enum class DecoderMemory { automatic, plain, recompute, tiled };

struct PriorInput {
  std::string path = "builtin:fashion";
  std::string prompt;
  double guidance = 1.0;  ///< from the negative prompt towards the prompt; 1: none
  std::string negative_prompt;
  std::string context;                      ///< a .npy in place of a prompt
  std::optional<Precision> unet_precision;  ///< nothing: that of the flow
  std::optional<Precision> autoencoder_precision;
  DecoderMemory decoder_gradient = DecoderMemory::automatic;
  std::string codec;                ///< a folder whose autoencoder takes the place of the prior's own
  std::vector<std::int64_t> times;  ///< at which the denoiser may be called; empty: as the prior says
  std::string moments;              ///< a file of the prior's moments; empty: beside the prior, if there
  std::optional<std::int64_t> window = 0;  ///< latent pixels; 0: off; nothing: as the prior was trained
  std::optional<std::int64_t> overlap;     ///< of windows [latent pixels]; nothing: a quarter of one
  bool windows_move = true;                ///< from step to step
};

struct MethodInput {
  /// The published scheme.
  static FlowOptions published() {
    FlowOptions options;
    options.data.encode = EncodeMode::sample;
    return options;
  }

  std::string preset = "paper";
  Precision precision = Precision::fp32;
  FlowOptions options = published();
  Method integrator = Method::dwgf;  ///< another spelling of options.method, with which it agrees
};

/// `device`: of the kind that this build knows (comm/device.hpp).
enum class ComputeOn { cpu, device, automatic };

/// How the tensors of ranks that share an image are exchanged where they compute on GPUs: directly, through
/// the host's memory, or directly where that can be.
enum class ExchangeBy { automatic, nccl, host };

/// When a job stops by itself: after so many seconds, in time for the end of its Slurm job, or never.
struct NoLimit {};
struct LimitOfSlurm {};
using TimeLimit = std::variant<NoLimit, LimitOfSlurm, double>;

/// How the work is laid out over ranks and devices. Nothing of it but `threads` decides what a result is.
struct LayoutInput {
  std::int64_t ranks_per_image = 1;
  ComputeOn device = ComputeOn::automatic;
  ExchangeBy exchange = ExchangeBy::automatic;
  std::int64_t threads = 1;         ///< a rank
  double watchdog_minutes = 30;     ///< 0: never
  double checkpoint_seconds = 300;  ///< 0: only when a signal asks for one
  TimeLimit time_limit = {};        ///< [s]
  bool checks_memory = true;        ///< a job that needs more than its hosts have is refused
};

struct StoreInput {
  std::string out;
  std::uint64_t alignment = 0;             ///< [bytes]; 0: as it comes
  std::uint64_t chunk = 0;                 ///< [bytes]; 0: each dataset in one piece
  std::optional<std::int64_t> shards = 1;  ///< nothing: one a group of ranks
  bool verify = true;                      ///< committed images are compared with their checksums first
  NumberType particles = NumberType::none;
  NumberType latents = NumberType::none;
  std::vector<double> quantiles = {0.05, 0.95};  ///< ascending probabilities
  bool ksd = false;
};

/// Of `restore` and `doctor`.
struct JobInput {
  ImagesInput images;
  ProblemInput problem;
  PriorInput prior;
  MethodInput method;
  LayoutInput layout;
  StoreInput store;
  std::string log_file;
  bool dry_run = false;
  std::string rerun;                  ///< a results file whose images are done over again
  std::optional<std::int64_t> image;  ///< of it; nothing: all

  Precision unet_precision() const { return prior.unet_precision.value_or(method.precision); }
  Precision autoencoder_precision() const { return prior.autoencoder_precision.value_or(method.precision); }
};

struct DegradeInput {
  ImagesInput images;
  ProblemInput problem;
  std::int64_t channels = 1;
  std::uint64_t seed = 0;
  std::string out;
  bool stores_truth = true;
};

enum class MomentForm { automatic, full, shift_invariant };

/// Of `calibrate-prior`.
struct CalibrateInput {
  ImagesInput images;
  PriorInput prior;
  MethodInput method;                            ///< its precision alone
  LayoutInput layout{.checkpoint_seconds = 60};  ///< of it device, threads and that time
  std::string to;                                ///< empty: moments.safetensors beside the prior
  std::int64_t samples = 0, size = 0;
  std::uint64_t seed = 0;
  std::int64_t batch = 64;
  MomentForm form = MomentForm::automatic;
  std::int64_t rank = 256, radius = 8;
  double mix = 0.3;
  /// log(s / a), ascending: of Stable Diffusion's times 10, 40, 120, 250, 400, 550, 700 and 850
  std::vector<double> levels = {-2.32, -1.614, -0.945, -0.363, 0.152, 0.651, 1.204, 1.868};

  /// The job whose prior this is.
  JobInput job() const {
    JobInput job;
    job.prior = prior;
    job.method = method;
    job.layout = layout;
    return job;
  }
};

/// Of `priors`.
struct PriorsInput {
  bool measure = false, json = false;
  MethodInput method;     ///< its precision alone
  std::int64_t size = 0;  ///< of the images to measure with [pixels]; 0: as the prior was trained
};

/// What both `evaluate` and `report` measure with.
struct JudgeInput {
  std::string truth;          ///< images, or empty: what the results carry
  std::string decoder_error;  ///< a number, images to measure it on, `none`, or empty
  std::string lpips;          ///< weights, or empty
};

struct EvaluateInput {
  bool json = false, csv = false;
  JudgeInput judge;
  std::string fid;  ///< weights, or empty
};

struct ReportInput {
  std::string to;  ///< empty: beside the first results file
  std::int64_t pictures = 12;
  std::int64_t sample = 2000;  ///< 0: all
  JudgeInput judge;
};

enum class ExportFormat { png8, png16, tiff, npy };

struct ExportInput {
  std::string to;
  ExportFormat format = ExportFormat::png8;
  /// Of truth, measurement, baseline, mean, std, quantiles and particles.
  std::vector<std::string> what = {"truth", "measurement", "baseline", "mean", "std"};
  std::int64_t sheet = 16;  ///< rows
  bool overwrite = false;
};

struct StatusInput {
  bool json = false;
};

struct MergeInput {
  std::string to;
};

}  // namespace dwgf
