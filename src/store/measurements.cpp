#include "store/measurements.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <dwgf/base/error.hpp>

#include "data/image_prompt.hpp"
#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/hdf5_types.hpp"
#include "hdf5/text_column.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

constexpr const char* kMark = "dwgf_measurements";
constexpr std::int64_t kKnownFormat = 1;

bool has_attribute(hid_t file, const char* name) {
  return H5Aexists(file, name) > 0;
}

/// A number, or a list of them.
std::vector<double> numbers(hid_t file, const std::string& name, const std::string& path,
                            std::size_t longest = 16) {
  std::vector<double> values = read_number_attribute(file, name, path, longest);
  if (values.empty())
    throw DataError("{}: the attribute {} is not a number or a short list of them", path, name);
  return values;
}

std::optional<std::string> text(hid_t file, const std::string& name, const std::string& path) {
  if (!has_attribute(file, name.c_str())) return std::nullopt;
  auto value = read_text_attribute(file, name, path);
  if (!value) throw DataError("{}: the attribute {} is not a text", path, name);
  return value;
}

/// Complex numbers as h5py stores them: parts "r" and "i" of floating point.
bool is_complex(hid_t type) {
  if (H5Tget_class(type) != H5T_COMPOUND || H5Tget_nmembers(type) != 2) return false;
  for (const unsigned part : {0u, 1u}) {
    const std::unique_ptr<char, void (*)(void*)> name(H5Tget_member_name(type, part),
                                                      [](void* text) { H5free_memory(text); });
    const auto number = handle_of(H5Tget_member_type(type, part), H5Tclose, "reading a type");
    if (!name || std::string_view(name.get()) != (part == 0 ? "r" : "i") || !is_plain_number(number.id()) ||
        H5Tget_class(number.id()) != H5T_FLOAT)
      return false;
  }
  return true;
}

/// A dataset of numbers, h5py's booleans and complex numbers among them.
class Numbers {
 public:
  Numbers(hid_t file, const std::string& name, const std::string& path)
      : data_(file, name, path), what_(formatted("{}: {}", path, name)) {
    const H5T_class_t kind = H5Tget_class(data_.type());
    flags_ = kind == H5T_ENUM;
    complex_ = is_complex(data_.type());
    if (kind != H5T_FLOAT && kind != H5T_INTEGER && !flags_ && !complex_)
      throw DataError(
          "{} does not hold numbers; write it as float32, complex numbers as complex64 or as "
          "[n, 2, ...] of real and imaginary parts",
          what_);
  }

  std::vector<std::int64_t> shape() const {
    std::vector<std::int64_t> shape(data_.shape().begin(), data_.shape().end());
    if (complex_) shape.insert(shape.begin() + (shape.empty() ? 0 : 1), 2);
    return shape;
  }
  bool has_levels() const {
    return H5Tget_class(data_.type()) == H5T_INTEGER && data_.value_bytes() == 1 &&
           H5Tget_sign(data_.type()) == H5T_SGN_NONE;
  }

  /// Row k of its first axis.
  FloatArray row(std::int64_t k) const {
    FloatArray array{shape(), {}};
    array.shape.erase(array.shape.begin());  // of complex numbers [2, ...], as they are read
    const hsize_t values = data_.size() / std::max<hsize_t>(data_.shape().front(), 1);
    array.values = read(static_cast<hsize_t>(k) * values, values);
    return array;
  }
  FloatArray whole() const {
    std::vector<std::int64_t> shape(data_.shape().begin(), data_.shape().end());
    if (complex_) shape.insert(shape.begin(), 2);  // as they are read
    return {std::move(shape), read(0, data_.size())};
  }

 private:
  static constexpr hsize_t kMostValues = hsize_t{1} << 31;

  std::vector<float> read(hsize_t first, hsize_t count) const {
    if (count > kMostValues)
      throw DataError("{} has {} values to read at once; {} are taken at most", what_, count, kMostValues);
    if (complex_) return read_complex(first, count);
    if (!flags_) return data_.read_floats(first, count);
    std::vector<std::byte> bytes(count * data_.value_bytes());
    data_.read(first, bytes);
    std::vector<float> values(count);
    for (hsize_t i = 0; i < count; ++i)
      values[i] = bytes[i * data_.value_bytes()] == std::byte{0} ? 0.0f : 1.0f;
    return values;
  }

  /// All real parts, then all imaginary ones.
  std::vector<float> read_complex(hsize_t first, hsize_t count) const {
    struct Pair {
      float parts[2];
    };
    const std::string what = "converting " + what_;
    const auto type = handle_of(H5Tcreate(H5T_COMPOUND, sizeof(Pair)), H5Tclose, what);
    checked(H5Tinsert(type.id(), "r", 0, H5T_NATIVE_FLOAT), what);
    checked(H5Tinsert(type.id(), "i", sizeof(float), H5T_NATIVE_FLOAT), what);
    std::vector<std::byte> bytes(count * std::max(data_.value_bytes(), sizeof(Pair))),
        stored(count * data_.value_bytes());
    data_.read(first, stored);
    std::copy(stored.begin(), stored.end(), bytes.begin());
    checked(H5Tconvert(data_.type(), type.id(), count, bytes.data(), nullptr, H5P_DEFAULT), what);
    std::vector<float> values(2 * count);
    for (hsize_t k = 0; k < count; ++k) {
      Pair pair;
      std::memcpy(&pair, bytes.data() + k * sizeof(Pair), sizeof(Pair));
      values[k] = pair.parts[0];
      values[count + k] = pair.parts[1];
    }
    return values;
  }

  FlatDataset data_;
  std::string what_;
  bool flags_ = false, complex_ = false;
};

/// One number an image, from an optional dataset.
template <class Value>
std::vector<Value> column(hid_t file, const std::string& name, hid_t type, hsize_t images,
                          const std::string& path) {
  if (!has_link(file, name)) return {};
  const FlatDataset data(file, name, path);
  if (data.shape() != std::vector<hsize_t>{images} || H5Tget_class(data.type()) != H5T_INTEGER ||
      !is_plain_number(data.type()))
    throw DataError("{}: {} is not one integer for each of the {} images", path, name, images);
  std::vector<Value> values(images);
  checked(H5Dread(data.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
          formatted("reading {} of {}", name, path));
  return values;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string list;
  for (const std::int64_t extent : shape) list += formatted("{}{}", list.empty() ? "[" : ", ", extent);
  return list + "]";
}

}  // namespace

bool is_measurements_file(const std::string& path) {
  prepare_hdf5();
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  try {
    const Hdf5Handle file = open_hdf5(path);
    return has_attribute(file.id(), kMark);
  } catch (const Error&) {
    return false;
  }
}

struct MeasurementsFile::Impl {
  std::string path;
  Hdf5Handle file;  // before its datasets, so that they close first
  std::unique_ptr<Numbers> y, truth;
  std::vector<ImageEntry> entries;
  std::vector<std::int64_t> image_shape;
  std::optional<std::string> spec, noise;
  std::optional<double> sigma;
  std::vector<double> sigmas;
  std::optional<ValueUnits> units;

  void read_sigma();
  void read_units();
  std::int64_t images() const { return y->shape().front(); }
  void read_shape();
  void read_entries();
};

void MeasurementsFile::Impl::read_shape() {
  if (has_attribute(file.id(), "image_shape")) {
    for (const double extent : numbers(file.id(), "image_shape", path))
      image_shape.push_back(static_cast<std::int64_t>(extent));
  } else if (truth) {
    image_shape = truth->shape();
    image_shape.erase(image_shape.begin());
  } else {
    throw DataError("{}: the attribute image_shape is missing; write the images' [C, H, W] there", path);
  }
  constexpr std::int64_t longest_side = 1 << 16;
  const bool good = image_shape.size() == 3 && (image_shape[0] == 1 || image_shape[0] == 3) &&
                    std::all_of(image_shape.begin(), image_shape.end(),
                                [](std::int64_t extent) { return extent >= 1 && extent <= longest_side; });
  if (!good) {
    throw DataError("{}: the images' shape is {}; it must be [C, H, W] with C = 1 or 3", path,
                    shape_text(image_shape));
  }
  if (truth) {
    std::vector<std::int64_t> wanted = image_shape;
    wanted.insert(wanted.begin(), images());
    if (truth->shape() != wanted)
      throw DataError("{}: {} is {}; it must be {}", path, schema::kTruth.path, shape_text(truth->shape()),
                      shape_text(wanted));
  }
}

void MeasurementsFile::Impl::read_entries() {
  const auto count = static_cast<hsize_t>(images());
  const auto ids = column<std::uint64_t>(file.id(), schema::kImageId.path, H5T_NATIVE_UINT64, count, path);
  const auto heights =
      column<std::uint32_t>(file.id(), schema::kImageHeight.path, H5T_NATIVE_UINT32, count, path);
  const auto widths =
      column<std::uint32_t>(file.id(), schema::kImageWidth.path, H5T_NATIVE_UINT32, count, path);
  const auto titles = read_text_column(file.id(), schema::kImageName.path, count, path);
  const auto prompts = read_text_column(file.id(), schema::kImagePrompt.path, count, path);
  const std::string base = std::filesystem::path(path).filename().string();
  for (std::size_t k = 0; k < count; ++k) {
    ImageEntry entry{ids.empty() ? k : ids[k], titles.empty() ? formatted("{}[{}]", base, k) : titles[k],
                     heights.empty() ? static_cast<std::uint32_t>(image_shape[1]) : heights[k],
                     widths.empty() ? static_cast<std::uint32_t>(image_shape[2]) : widths[k],
                     prompts.empty() ? "" : prompts[k]};
    require_prompt_fits(entry, path);
    if (entry.height > image_shape[1] || entry.width > image_shape[2]) {
      throw DataError("{}: image {} is {} x {}, larger than image_shape {} says", path, k, entry.height,
                      entry.width, shape_text(image_shape));
    }
    entries.push_back(std::move(entry));
  }
}

void MeasurementsFile::Impl::read_sigma() {
  constexpr std::size_t longest = 8192;  // an attribute has 64 KB
  if (!has_attribute(file.id(), "sigma")) return;
  std::vector<double> values;
  try {
    values = numbers(file.id(), "sigma", path, longest);
  } catch (const DataError& error) {
    throw DataError("{}; to have it estimated, leave it out and set problem.sigma = estimate", error.what());
  }
  for (const double value : values) {
    if (!(value >= 0 && value < 1e6))
      throw DataError("{}: sigma is {}; it must be a standard deviation, 0 or more", path, value);
  }
  if (std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); })) {
    sigma = values.front();
    return;
  }
  if (std::ssize(values) != images()) {
    throw DataError(
        "{}: the attribute sigma has {} values that differ, for {} images; give one, or one an image", path,
        values.size(), images());
  }
  sigmas = std::move(values);
}

void MeasurementsFile::Impl::read_units() {
  const bool scale = has_attribute(file.id(), "value_scale"),
             offset = has_attribute(file.id(), "value_offset");
  if (!scale && !offset) return;
  units.emplace();
  if (scale) units->scale = numbers(file.id(), "value_scale", path).front();
  if (offset) units->offset = numbers(file.id(), "value_offset", path).front();
  if (!(units->scale != 0 && std::isfinite(units->scale) && std::isfinite(units->offset))) {
    throw DataError(
        "{}: value_scale is {} and value_offset {}; a value in its unit is value_scale x + value_offset",
        path, units->scale, units->offset);
  }
  units->unit = text(file.id(), "unit", path).value_or("");
}

MeasurementsFile::MeasurementsFile(const std::string& path)
    : impl_(new Impl{path, open_hdf5(path), nullptr, nullptr, {}, {}, {}, {}, {}, {}, {}}) {
  const hid_t file = impl_->file.id();
  if (!has_attribute(file, kMark))
    throw DataError("{} is not a measurements file (it has no attribute {})", path, kMark);
  if (const auto format = numbers(file, kMark, path); format != std::vector<double>{kKnownFormat}) {
    throw DataError("{} has measurements format {}, but this program knows {}", path, format.front(),
                    kKnownFormat);
  }
  if (!has_link(file, schema::kMeasurement.path))
    throw DataError("{} has no dataset {}, [n, ...] of what was measured", path, schema::kMeasurement.path);
  impl_->y = std::make_unique<Numbers>(file, schema::kMeasurement.path, path);
  if (const auto shape = impl_->y->shape();
      shape.size() < 2 || *std::min_element(shape.begin(), shape.end()) < 1) {
    throw DataError("{}: {} is {}; it must be [n, ...], one row an image", path, schema::kMeasurement.path,
                    shape_text(shape));
  }
  if (has_link(file, schema::kTruth.path))
    impl_->truth = std::make_unique<Numbers>(file, schema::kTruth.path, path);
  impl_->read_shape();
  impl_->read_entries();
  impl_->spec = text(file, "operator", path);
  impl_->noise = text(file, "noise", path);
  impl_->read_sigma();
  impl_->read_units();
}

MeasurementsFile::MeasurementsFile(MeasurementsFile&&) noexcept = default;
MeasurementsFile::~MeasurementsFile() = default;

const std::string& MeasurementsFile::path() const {
  return impl_->path;
}
const std::vector<ImageEntry>& MeasurementsFile::entries() const {
  return impl_->entries;
}
std::int64_t MeasurementsFile::channels() const {
  return impl_->image_shape[0];
}
const std::optional<std::string>& MeasurementsFile::operator_spec() const {
  return impl_->spec;
}
const std::optional<std::string>& MeasurementsFile::noise() const {
  return impl_->noise;
}
std::optional<double> MeasurementsFile::sigma() const {
  return impl_->sigma;
}
const std::vector<double>& MeasurementsFile::sigmas() const {
  return impl_->sigmas;
}
const std::optional<ValueUnits>& MeasurementsFile::units() const {
  return impl_->units;
}
bool MeasurementsFile::has_levels() const {
  return impl_->y->has_levels();
}
bool MeasurementsFile::has_truth() const {
  return impl_->truth != nullptr;
}
FloatArray MeasurementsFile::measurement(std::int64_t k) const {
  return impl_->y->row(k);
}
FloatArray MeasurementsFile::truth(std::int64_t k) const {
  return impl_->truth->row(k);
}

bool MeasurementsFile::has_array(const std::string& name) const {
  return has_link(impl_->file.id(), schema::kOperatorArray.named(name));
}

namespace {

/// How an operator's array is stored: with so many axes for all images; one more for each.
struct ArrayForm {
  const char* kind;
  std::size_t axes;
  const char* text;
};

/// Complex numbers count as two parts along an axis.
const ArrayForm& form_of(const std::string& kind) {
  static constexpr ArrayForm forms[] = {
      {"matrix", 2, "a matrix is [m, C H W]"},
      {"mask", 2, "a mask is [H, W] for all images, or [n, H, W] or [n, C, H, W]"},
      {"kernel", 2, "a kernel is [h, w] for all images, or [n, h, w]"},
      {"coils", 4, "coil maps are complex [J, H, W], or real [2, J, H, W], for all images; or [n, ...]"},
      {"angles", 1, "angles are [views] for all images, or [n, views]"}};
  const auto* found = std::ranges::find(forms, kind, &ArrayForm::kind);
  if (found == std::end(forms)) throw InternalError("an operator's array of the kind " + kind);
  return *found;
}

}  // namespace

bool MeasurementsFile::is_per_image(const std::string& kind, const std::string& name) const {
  const ArrayForm& form = form_of(kind);
  const std::vector<std::int64_t> shape =
      Numbers(impl_->file.id(), schema::kOperatorArray.named(name), impl_->path).shape();
  if (shape.size() == form.axes) return false;
  const bool row_each =
      kind != "matrix" &&
      (shape.size() == form.axes + 1 || (kind == "mask" && shape.size() == form.axes + 2)) &&
      shape.front() == impl_->images();
  if (row_each) return true;
  throw DataError("{}: {} is {}; {}, with n = {} images", impl_->path, schema::kOperatorArray.named(name),
                  shape_text(shape), form.text, impl_->images());
}

FloatArray MeasurementsFile::array(const std::string& kind, const std::string& name, std::int64_t k) const {
  if (!has_array(name)) {
    throw DataError("{} has no dataset {}, which its operator '{}' uses", impl_->path,
                    schema::kOperatorArray.named(name), impl_->spec.value_or(""));
  }
  const Numbers data(impl_->file.id(), schema::kOperatorArray.named(name), impl_->path);
  return is_per_image(kind, name) ? data.row(k) : data.whole();
}

}  // namespace dwgf
