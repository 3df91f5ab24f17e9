#include "store/schema.hpp"

#include <algorithm>
#include <string_view>

#include <dwgf/base/error.hpp>

namespace dwgf::schema {

std::optional<std::string> Dataset::name_in(const std::string& dataset) const {
  if (!dataset.starts_with(path)) return std::nullopt;
  return dataset.substr(std::string_view(path).size());
}

std::span<const Dataset* const> datasets() {
  static constexpr const Dataset* all[] = {
      &kImageId,          &kImageName,    &kImageHeight, &kImageWidth,    &kImageState,    &kImageCrc32,
      &kImageSeconds,     &kImageReason,  &kImagePrompt, &kPosteriorMean, &kPosteriorStd,  &kQuantile,
      &kDiversity,        &kCrps,         &kRanks,       &kChiSquared,    &kKsd,           &kKsdP,
      &kAutoencoder,      &kParticles,    &kLatents,     &kMeasurement,   &kDiagnostic,    &kTruth,
      &kOperatorArray,    &kProblemArray, &kSigma,       &kEstimated,     &kTimingCompute, &kTimingWait,
      &kTimingProcessors, &kTimingStep,   &kTimingGroup};
  return all;
}

bool is_record(const std::string& dataset) {
  if (dataset == kImagePrompt.path) return true;
  return std::any_of(std::begin(kRecords), std::end(kRecords),
                     [&](const Dataset* record) { return dataset == record->path; });
}

std::optional<std::size_t> checksum_group(const std::string& dataset) {
  constexpr std::string_view groups[] = {"/posterior/", "/particles/", "/measurement/", "/diagnostics/"};
  for (std::size_t k = 0; k < std::size(groups); ++k)
    if (dataset.starts_with(groups[k])) return k;
  return std::nullopt;
}

bool is_reproducible(const std::string& dataset) {
  return !dataset.starts_with("/timing/") && dataset != kImageSeconds.path;
}

DatasetLayout Extents::layout(const Dataset& dataset, const std::string& name, NumberType stored) const {
  const auto of_particles = [&](std::vector<std::int64_t> row) {
    row.insert(row.begin(), particles);
    return row;
  };
  const NumberType type = dataset.type == Type::stored ? stored : NumberType::float32;
  const std::string path = dataset.named(name);
  switch (dataset.row) {
    case Row::number:
      return {path, type, {}};
    case Row::pair:
      return {path, type, {2}};
    case Row::image:
      return {path, type, image};
    case Row::measurement:
      return {path, type, measurement};
    case Row::particles:
      return {path, type, of_particles(image)};
    case Row::latents:
      return {path, type, of_particles(latent)};
    case Row::bins:
      return {path, type, {std::min(particles + 1, kMostBins)}};
    case Row::records:
      return {path, type, {records}};
    default:
      throw InternalError("the rows of {} have no shape that follows from the job", path);
  }
}

}  // namespace dwgf::schema
