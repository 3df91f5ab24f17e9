#include "report/export.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include <ATen/ATen.h>

#include "base/log.hpp"
#include "data/npy.hpp"
#include "data/png.hpp"
#include "job/stored_image.hpp"
#include "report/contact_sheet.hpp"

namespace dwgf {

namespace {

namespace fs = std::filesystem;

/// The standard deviation that is drawn as white.
constexpr double kWhiteStd = 0.5;

at::Tensor shown(const at::Tensor& image) {
  return image.defined() ? (image + 1.0) * 0.5 : image;
}
at::Tensor shown_std(const at::Tensor& std) {
  return std * (1.0 / kWhiteStd);
}

/// A measurement that looks like an image: [1 or 3, H, W].
bool is_picture(const at::Tensor& image) {
  return image.defined() && image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3);
}

PngImage as_png(const at::Tensor& pixels, int bits) {
  const double white = bits == 16 ? 65535.0 : 255.0;
  const at::Tensor v =
      (pixels.to(at::kDouble).clamp(0.0, 1.0) * white).round().permute({1, 2, 0}).contiguous();  // [H, W, C]
  PngImage image{pixels.size(1), pixels.size(2), static_cast<int>(pixels.size(0)), bits, {}};
  const double* value = v.data_ptr<double>();
  image.samples.assign(value, value + v.numel());
  return image;
}

/// A file name from an image's name: the path's separators and everything unusual become '_', the extension
/// goes.
std::string file_name(const std::string& name, std::int64_t row) {
  std::string plain = fs::path(name).replace_extension().string();
  for (char& c : plain) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') c = '_';
  }
  char number[24];
  std::snprintf(number, sizeof number, "%06lld", static_cast<long long>(row));
  return plain.empty() ? std::string(number) : std::string(number) + "_" + plain;
}

class Exporter {
 public:
  explicit Exporter(const ExportInput& input)
      : folder_(input.to), format_(input.format), overwrite_(input.overwrite) {
    if (folder_.empty()) throw UsageError("--to DIR is missing: name the folder to write to");
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error || !fs::is_directory(folder_)) {
      throw IoError("--to: cannot make the folder '{}' ({})", folder_.string(), error.message());
    }
  }

  void write_array(const std::string& stem, const at::Tensor& values, const at::Tensor& pixels) {
    if (!values.defined()) return;
    if (format_ == ExportFormat::npy) {
      const at::Tensor v = values.to(at::kFloat).contiguous();
      const fs::path path = free_path(stem + ".npy");
      write_npy(path.string(), v.sizes().vec(), {v.data_ptr<float>(), static_cast<std::size_t>(v.numel())});
    } else if (is_picture(pixels)) {
      write_png(free_path(stem + ".png").string(), as_png(pixels, format_ == ExportFormat::png16 ? 16 : 8));
    }
  }

  std::string write_sheet(const PngImage& sheet) {
    const std::string path = free_path("contact_sheet.png").string();
    write_png(path, sheet);
    return path;
  }

  const fs::path& folder() const { return folder_; }

 private:
  fs::path free_path(const std::string& name) const {
    const fs::path path = folder_ / name;
    if (!overwrite_ && fs::exists(path)) {
      throw IoError("'{}' is there already and is left as it is; name another folder, or give --overwrite",
                    path.string());
    }
    return path;
  }

  fs::path folder_;
  ExportFormat format_;
  bool overwrite_;
};

}  // namespace

ExitCode export_command(const Settings& settings) {
  StoredImages stored(settings.positionals.front());
  const ExportInput& input = settings.as<ExportInput>();
  Exporter exporter(input);
  const std::string baseline = stored.baseline_name();
  std::vector<std::string> headings = {"truth", "measurement", baseline.empty() ? "-" : baseline,
                                       "posterior mean", "std deviation"};
  std::vector<SheetRow> rows;
  std::int64_t written = 0;
  for (std::int64_t row = 0; row < stored.count(); ++row) {
    if (stored.file().state(row) != ImageState::committed) continue;
    const StoredImage image = stored.read(row);
    const std::string stem = file_name(image.name, row);
    exporter.write_array(stem + ".truth", image.truth, shown(image.truth));
    exporter.write_array(stem + ".measurement", image.measurement, shown(image.measurement));
    exporter.write_array(stem + ".baseline", image.baseline, shown(image.baseline));
    exporter.write_array(stem + ".mean", image.mean, shown(image.mean));
    exporter.write_array(stem + ".std", image.std, shown_std(image.std));
    ++written;
    if (static_cast<std::int64_t>(rows.size()) >= input.sheet) continue;
    const at::Tensor measured = is_picture(image.measurement) ? shown(image.measurement) : at::Tensor();
    rows.push_back(
        {image.name,
         {shown(image.truth), measured, shown(image.baseline), shown(image.mean), shown_std(image.std)}});
  }
  if (written == 0)
    throw DataError("'{}' holds no committed image yet; `dwgf status` says how far it is",
                    stored.file().path());
  const std::string sheet = rows.empty() ? "" : exporter.write_sheet(contact_sheet(headings, rows));
  log_job(LogLevel::info, formatted("{} images to {}", written, exporter.folder().string()));
  if (!sheet.empty()) std::printf("%s\n", sheet.c_str());
  return ExitCode::ok;
}

}  // namespace dwgf
