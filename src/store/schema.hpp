/// The datasets of results files and of measurements files: the only place that knows their paths. The layout
/// of a job's file follows from these rows, and so does the table in this folder's README.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/row_layout.hpp"

namespace dwgf::schema {

/// The numbers or texts of a dataset. `stored`: as `store.particles` or `store.latents` asks for.
enum class Type { uint8, uint32, uint64, float32, name, reason, prompt, stored };

/// What one image's row is shaped like. `array`: an array of the operator that each image has of its own;
/// `shared`: one for all images, without rows.
enum class Row { number, pair, image, measurement, particles, latents, records, bins, array, shared };

/// When a row is written: with the file; by the image's ranks; by the commit that follows.
enum class Written { at_creation, with_image, at_commit };

struct Dataset {
  const char* path;  ///< of a family: what its members' names follow
  Type type;
  Row row;
  Written written;
  const char* meaning;
  const char* member = "";  ///< of a family: what stands for the name of a member

  /// Returns the path of a member of this family.
  std::string named(const std::string& name) const { return path + name; }
  /// Returns the name of the member that `dataset` is; nothing for another dataset.
  std::optional<std::string> name_in(const std::string& dataset) const;
};

inline constexpr std::size_t kNameBytes = 256, kReasonBytes = 128, kPromptBytes = kLongestPrompt;
inline constexpr std::int64_t kMostBins = 20;  ///< of ranks; N + 1 where that is less

inline constexpr Dataset kImageId{"/image/id", Type::uint64, Row::number, Written::at_creation,
                                  "identity: the row, or FNV-1a of the relative path"};
inline constexpr Dataset kImageName{"/image/name", Type::name, Row::number, Written::at_creation,
                                    "relative path; of a longer one the tail"};
inline constexpr Dataset kImageHeight{"/image/height", Type::uint32, Row::number, Written::at_creation,
                                      "true size: rows are filled from the top left, NaN elsewhere"};
inline constexpr Dataset kImageWidth{"/image/width", Type::uint32, Row::number, Written::at_creation,
                                     "true size; arrays have the largest"};
inline constexpr Dataset kImageState{"/image/state", Type::uint8, Row::number, Written::at_commit,
                                     "0 not done, 1 committed, 2 failed"};
inline constexpr Dataset kImageCrc32{"/image/crc32", Type::uint32, Row::number, Written::at_commit,
                                     "zlib's CRC-32 over the image's rows of what is marked with *"};
inline constexpr Dataset kImageSeconds{"/image/seconds", Type::float32, Row::number, Written::at_commit,
                                       "from reading the image to its commit"};
inline constexpr Dataset kImageReason{"/image/reason", Type::reason, Row::number, Written::at_commit,
                                      "why it failed"};
inline constexpr Dataset kImagePrompt{"/image/prompt", Type::prompt, Row::number, Written::at_creation,
                                      "what it was conditioned on, where any image has a prompt of its own"};
inline constexpr Dataset kPosteriorMean{"/posterior/mean", Type::float32, Row::image, Written::with_image,
                                        "over the particles"};
inline constexpr Dataset kPosteriorStd{"/posterior/std", Type::float32, Row::image, Written::with_image,
                                       "over the particles; unbiased, 0 for one particle"};
inline constexpr Dataset kQuantile{"/posterior/quantile_",
                                   Type::float32,
                                   Row::image,
                                   Written::with_image,
                                   "those of `store.quantiles`, in percent",
                                   "05"};
inline constexpr Dataset kDiversity{"/posterior/diversity", Type::float32, Row::number, Written::with_image,
                                    "mean difference of two particles"};
inline constexpr Dataset kCrps{"/posterior/crps", Type::float32, Row::number, Written::with_image,
                               "CRPS over pixels, where the truth is known"};
inline constexpr Dataset kRanks{"/posterior/ranks", Type::float32, Row::bins, Written::with_image,
                                "share of pixels by the truth's rank among the particles"};
inline constexpr Dataset kChiSquared{"/posterior/chi_squared", Type::float32, Row::number,
                                     Written::with_image, "of the particles, where the noise is Gaussian"};
inline constexpr Dataset kKsd{"/posterior/ksd", Type::float32, Row::number, Written::with_image,
                              "kernel Stein discrepancy, if `store.ksd = yes`"};
inline constexpr Dataset kKsdP{"/posterior/ksd_p", Type::float32, Row::number, Written::with_image,
                               "how often its bootstrap is as large"};
inline constexpr Dataset kAutoencoder{"/posterior/autoencoder", Type::float32, Row::number,
                                      Written::with_image,
                                      "chi-squared of D(E(x)), x the truth, else the trivial inverse"};
inline constexpr Dataset kParticles{"/particles/x", Type::stored, Row::particles, Written::with_image,
                                    "the restored images, if `store.particles` asks for them"};
inline constexpr Dataset kLatents{"/particles/z", Type::stored, Row::latents, Written::with_image,
                                  "on the U-Net's scale, if `store.latents` asks for them"};
inline constexpr Dataset kMeasurement{"/measurement/y", Type::float32, Row::measurement, Written::with_image,
                                      "what was measured"};
inline constexpr Dataset kDiagnostic{"/diagnostics/",
                                     Type::float32,
                                     Row::records,
                                     Written::with_image,
                                     "every `store.diagnostics_every`-th step and the last",
                                     "NAME"};
inline constexpr Dataset kTruth{"/truth/x", Type::float32, Row::image, Written::with_image,
                                "the clean image, where it is known"};
inline constexpr Dataset kOperatorArray{"/operator/",
                                        Type::float32,
                                        Row::shared,
                                        Written::at_creation,
                                        "mask, kernel or matrix that all images share",
                                        "NAME"};
inline constexpr Dataset kProblemArray{
    "/problem/", Type::float32, Row::array, Written::with_image, "mask or kernel that differs between images",
    "NAME"};
inline constexpr Dataset kSigma{"/problem/sigma", Type::float32, Row::number, Written::with_image,
                                "the noise level, where each image has its own"};
inline constexpr Dataset kEstimated{"/estimated/",
                                    Type::float32,
                                    Row::array,
                                    Written::with_image,
                                    "what was unknown and is estimated with the image: mean over the last "
                                    "steps; NAME_spread: deviation over them; NAME_trace: after every step",
                                    "NAME"};
inline constexpr Dataset kTimingCompute{"/timing/compute", Type::float32, Row::pair, Written::with_image,
                                        "seconds of computing: mean and largest of its ranks"};
inline constexpr Dataset kTimingWait{"/timing/wait", Type::float32, Row::pair, Written::with_image,
                                     "seconds of waiting for each other: mean and largest of its ranks"};
inline constexpr Dataset kTimingProcessors{
    "/timing/processors", Type::float32, Row::pair, Written::with_image,
    "seconds of processors, all threads: mean and largest of its ranks"};
inline constexpr Dataset kTimingStep{
    "/timing/step_",
    Type::float32,
    Row::pair,
    Written::with_image,
    "seconds in denoiser, encoder, decoder, vjp (what is pulled back through "
    "them) and operator: mean and largest of its ranks",
    "NAME"};
inline constexpr Dataset kTimingGroup{"/timing/group", Type::float32, Row::number, Written::with_image,
                                      "the group of ranks that restored it"};

/// All of the above, in this order: families by their prefix.
std::span<const Dataset* const> datasets();

/// What every results file says of its images, in the order of creation.
inline constexpr const Dataset* kRecords[] = {&kImageId,    &kImageName,  &kImageHeight,  &kImageWidth,
                                              &kImageState, &kImageCrc32, &kImageSeconds, &kImageReason};

/// Whether the dataset is one of kRecords, or kImagePrompt.
bool is_record(const std::string& dataset);
/// The place of the dataset's group in the checksum of an image; nothing for what it does not cover.
std::optional<std::size_t> checksum_group(const std::string& dataset);
/// Whether the dataset is the same in every run of a job.
bool is_reproducible(const std::string& dataset);

/// The sizes that the rows of a job's file have.
struct Extents {
  std::vector<std::int64_t> image;        ///< [C, H, W], the largest
  std::vector<std::int64_t> measurement;  ///< the largest
  std::vector<std::int64_t> latent;       ///< [c, h, w], the largest
  std::int64_t particles = 1;
  std::int64_t records = 1;  ///< of a diagnostic

  /// Returns the layout of the dataset, of a family that of its member `name`.
  /// @pre a row of its own, neither `array` nor `shared` (checked)
  DatasetLayout layout(const Dataset& dataset, const std::string& name = "",
                       NumberType stored = NumberType::float32) const;
};

}  // namespace dwgf::schema
