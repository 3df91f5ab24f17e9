#include "report/truth_images.hpp"

#include <filesystem>
#include <map>
#include <optional>

#include <dwgf/base/error.hpp>

#include "data/images.hpp"
#include "job/tensors.hpp"
#include "store/measurements.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

using Places = std::vector<std::int64_t>;

/// By a key of each; nothing where one of `wanted` has no counterpart, or two of `given` have the same key.
template <class Key>
std::optional<Places> matched_by(const std::vector<ImageEntry>& wanted, const std::vector<ImageEntry>& given,
                                 const Key& key) {
  std::map<decltype(key(given.front())), std::int64_t> places;
  for (std::size_t k = 0; k < given.size(); ++k)
    if (!places.emplace(key(given[k]), static_cast<std::int64_t>(k)).second) return std::nullopt;
  Places found;
  for (const ImageEntry& image : wanted) {
    const auto place = places.find(key(image));
    if (place == places.end()) return std::nullopt;
    found.push_back(place->second);
  }
  return found;
}

std::string without_ending(const ImageEntry& image) {
  return std::filesystem::path(image.name).replace_extension().string();
}

}  // namespace

std::vector<std::int64_t> matched(const std::vector<ImageEntry>& wanted, const std::vector<ImageEntry>& given,
                                  const std::string& what) {
  if (const auto places = matched_by(wanted, given, [](const ImageEntry& image) { return image.id; }))
    return *places;
  if (const auto places = matched_by(wanted, given, without_ending)) return *places;
  if (wanted.size() == given.size()) {
    Places places(wanted.size());
    for (std::size_t k = 0; k < places.size(); ++k) places[k] = static_cast<std::int64_t>(k);
    return places;
  }
  throw DataError(
      "{} has {} images, the results have {}, and they do not go together by name ('{}', ...; the results "
      "have '{}', ...); name the images alike, or give as many in the same order",
      what, given.size(), wanted.size(), given.empty() ? "" : given.front().name,
      wanted.empty() ? "" : wanted.front().name);
}

struct TruthImages::Source {
  std::string what;  // begins messages
  std::int64_t channels = 1;
  std::unique_ptr<ImageSource> images;  // one of the two
  std::optional<MeasurementsFile> measurements;

  Source(const std::string& data, std::int64_t channels_)
      : what("--truth: '" + data + "'"), channels(channels_) {
    if (!is_measurements_file(data)) {
      images = open_images(data);
      return;
    }
    measurements.emplace(data);
    if (!measurements->has_truth())
      throw DataError("{} is a measurements file without a truth (/truth/x); give the clean images", what);
    if (measurements->channels() != channels)
      throw DataError("{} has images of {} channels, the results of {}", what, measurements->channels(),
                      channels);
  }

  const std::vector<ImageEntry>& entries() const {
    return measurements ? measurements->entries() : images->entries();
  }

  at::Tensor read(std::int64_t k) const {
    if (!measurements) return as_tensor(images->read(k, channels));
    const ImageEntry& entry = entries()[static_cast<std::size_t>(k)];
    const FloatArray array = measurements->truth(k);
    const at::Tensor whole = at::tensor(at::ArrayRef<float>(array.values)).view(array.shape);
    return cut(whole, {channels, entry.height, entry.width}).clone();
  }
};

TruthImages::TruthImages(const std::string& data, const std::vector<ImageEntry>& wanted,
                         std::int64_t channels)
    : source_(std::make_unique<Source>(data, channels)),
      place_(matched(wanted, source_->entries(), source_->what)) {
  std::size_t others = 0;
  const ImageEntry *first = nullptr, *of = nullptr;
  for (std::size_t row = 0; row < wanted.size(); ++row) {
    const ImageEntry& truth = source_->entries()[static_cast<std::size_t>(place_[row])];
    const bool unread = truth.height == 0 || wanted[row].height == 0;  // `read` says why, or it failed
    if (unread || (truth.height == wanted[row].height && truth.width == wanted[row].width)) continue;
    if (others++ == 0) first = &truth, of = &wanted[row];
  }
  if (others == 0) return;
  throw DataError(
      "{}: '{}' is {} x {} pixels, where the restored image '{}' is {} x {} ({} of {} images differ); give "
      "the truth in the size that was restored",
      source_->what, first->name, first->height, first->width, of->name, of->height, of->width, others,
      wanted.size());
}

TruthImages::~TruthImages() = default;

at::Tensor TruthImages::read(std::int64_t row) const {
  return source_->read(place_[static_cast<std::size_t>(row)]);
}

void take_truth(StoredImages& stored, const std::string& data) {
  if (data.empty()) return;
  const ResultsLayout& layout = stored.file().layout();
  const auto truth = std::make_shared<const TruthImages>(
      data, layout.images, layout.find(schema::kPosteriorMean.path)->row_shape[0]);
  stored.take_truth([truth](std::int64_t row) { return truth->read(row); });
}

}  // namespace dwgf
