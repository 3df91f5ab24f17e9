#include "report/export.hpp"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>

#include <ATen/ATen.h>

#include "base/log.hpp"
#include "base/printable.hpp"
#include "data/npy.hpp"
#include "data/png.hpp"
#include "data/pyramid_tiff.hpp"
#include "data/tiff_writer.hpp"
#include "job/measured_units.hpp"
#include "job/posterior_products.hpp"
#include "job/stored_image.hpp"
#include "report/contact_sheet.hpp"
#include "service/heartbeat.hpp"
#include "store/value_units.hpp"

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

/// Numbers on [0, white] as samples, [H, W, C].
PngImage as_png(const at::Tensor& numbers, double white, int bits) {
  const at::Tensor v =
      numbers.to(at::kDouble).clamp(0.0, white).round().permute({1, 2, 0}).contiguous();  // [H, W, C]
  PngImage image{numbers.size(1), numbers.size(2), static_cast<int>(numbers.size(0)), bits, {}};
  const double* value = v.data_ptr<double>();
  image.samples.assign(value, value + v.numel());
  image.colours.srgb = true;
  return image;
}

/// Whether a character beyond ASCII may stand in a file's name: those that turn the direction of a line or
/// end it may not.
bool is_for_names(std::string_view character) {
  return !(character >= "\u2028" && character <= "\u202e") &&
         !(character >= "\u2066" && character <= "\u2069") && character != "\ufeff";
}

/// A file name from an image's name: the path's separators and everything unusual become '_', the extension
/// goes; letters of any script stay. Short enough for what is put behind it.
std::string file_name(const std::string& name, std::int64_t row) {
  constexpr std::size_t longest = 180;
  const std::string plain = fs::path(name).replace_extension().string();
  std::string kept;
  for (std::string_view rest = plain; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(character_length(rest), 1);
    const std::string_view character = rest.substr(0, length);
    const bool plain_letter = length == 1 && (std::isalnum(static_cast<unsigned char>(character[0])) ||
                                              character[0] == '-' || character[0] == '_');
    const bool other = length > 1 && is_for_names(character);
    if (kept.size() + length > longest) break;
    if (plain_letter || other) {
      kept += character;
    } else {
      kept += '_';
    }
    rest.remove_prefix(length);
  }
  const std::string number = formatted("{}", row);
  const std::string padded = std::string(6 - std::min<std::size_t>(number.size(), 6), '0') + number;
  return kept.empty() ? padded : padded + "_" + kept;
}

/// One of the arrays of an image, as it is written.
struct Piece {
  enum class Kind { image, deviation, measurement, particles };
  std::string name;  ///< "mean"
  at::Tensor values;
  Kind kind = Kind::image;
};

std::vector<Piece> pieces_of(const StoredImage& image) {
  std::vector<Piece> pieces = {{"truth", image.truth},
                               {"measurement", image.measurement, Piece::Kind::measurement},
                               {"baseline", image.baseline},
                               {"mean", image.mean},
                               {"std", image.std, Piece::Kind::deviation}};
  for (const auto& [probability, values] : image.quantiles)
    pieces.push_back({"quantile_" + quantile_name(probability), values});
  pieces.push_back({"particles", image.particles, Piece::Kind::particles});
  return pieces;
}

/// Whether `what` asks for a piece of this name.
bool asked_for(const std::vector<std::string>& what, const std::string& name) {
  const bool quantile = name.starts_with("quantile_");
  return std::ranges::count(what, quantile ? "quantiles" : name) > 0;
}

class Exporter {
 public:
  Exporter(const ExportInput& input, const StoredImages& stored)
      : input_(input), folder_(input.to), units_(units_in(stored.file().layout().attributes)) {
    if (input_.to.empty()) throw UsageError("--to DIR is missing: name the folder to write to");
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error || !fs::is_directory(folder_)) {
      throw IoError("--to: cannot make the folder '{}' ({})", folder_.string(), error.message());
    }
    if (!input_.overwrite) require_nothing_there(stored);
  }

  void write(const StoredImage& image, std::int64_t row) const {
    for (const Piece& piece : pieces_of(image)) {
      if (!piece.values.defined() || !asked_for(input_.what, piece.name)) continue;
      const std::string stem = file_name(image.name, row) + "." + piece.name;
      if (piece.kind != Piece::Kind::particles || input_.format == ExportFormat::npy) {
        write(stem, piece, image);
        continue;
      }
      for (std::int64_t n = 0; n < piece.values.size(0); ++n)
        write(formatted("{}_{}", stem.substr(0, stem.size() - 1), n), {piece.name, piece.values[n]}, image);
    }
  }

  std::string write_sheet(const PngImage& sheet) const {
    const std::string path = (folder_ / kSheet).string();
    write_png(path, sheet);
    return path;
  }

  const fs::path& folder() const { return folder_; }

 private:
  static constexpr const char* kSheet = "contact_sheet.png";

  std::string ending() const {
    return input_.format == ExportFormat::npy    ? ".npy"
           : input_.format == ExportFormat::tiff ? ".tif"
                                                 : ".png";
  }

  /// Before anything is written.
  void require_nothing_there(const StoredImages& stored) const {
    std::set<std::string> there;
    for (const auto& file : fs::directory_iterator(folder_)) there.insert(file.path().filename().string());
    const auto require_free = [&](const std::string& name) {
      if (!there.contains(name)) return;
      throw IoError("'{}' is there already and is left as it is; name another folder, or give --overwrite",
                    (folder_ / name).string());
    };
    if (input_.sheet > 0) require_free(kSheet);
    if (there.empty()) return;
    for (std::int64_t row = 0; row < stored.count(); ++row) {
      const std::string& name = stored.file().layout().images[static_cast<std::size_t>(row)].name;
      const std::string stem = file_name(name, row) + ".";
      for (auto file = there.lower_bound(stem); file != there.end() && file->starts_with(stem); ++file) {
        const std::string rest = file->substr(stem.size());
        const std::size_t dot = rest.rfind('.');
        const std::string piece = rest.starts_with("particle") ? "particles" : rest.substr(0, dot);
        if (dot != std::string::npos && rest.substr(dot) == ending() && asked_for(input_.what, piece))
          require_free(*file);
      }
    }
  }

  /// The numbers in the units of the input; as they are where it has none, or none that follow.
  at::Tensor in_units(const Piece& piece, const StoredImage& image) const {
    if (!units_) return piece.values;
    if (piece.kind == Piece::Kind::deviation) return piece.values * std::abs(units_->scale);
    if (piece.kind != Piece::Kind::measurement) return piece.values * units_->scale + units_->offset;
    if (!follows_scale(*image.forward)) return piece.values;
    return measured_on_scale(piece.values, units_->scale, units_->offset, *image.forward,
                             {image.mean.size(0), image.mean.size(1), image.mean.size(2)});
  }

  /// Whether 16 bits hold the input's own numbers, from 0 on.
  bool whole_numbers() const {
    if (!units_ || input_.format != ExportFormat::png16) return false;
    const double low = units_->offset - units_->scale, high = units_->offset + units_->scale;
    return low == 0 && high > 255 && high <= 65535;
  }

  void write(const std::string& stem, const Piece& piece, const StoredImage& image) const {
    const std::string path = (folder_ / (stem + ending())).string();
    if (input_.format == ExportFormat::npy || input_.format == ExportFormat::tiff) {
      const at::Tensor v = in_units(piece, image).to(at::kFloat).contiguous();
      const std::span<const float> values(v.data_ptr<float>(), static_cast<std::size_t>(v.numel()));
      if (input_.format == ExportFormat::npy) write_npy(path, v.sizes().vec(), values);
      if (input_.format == ExportFormat::tiff && is_picture(v)) {
        const auto write_picture = v.size(1) * v.size(2) < kLargePicture ? write_tiff : write_pyramid_tiff;
        write_picture(path, v.size(0), v.size(1), v.size(2), values);
      }
      return;
    }
    if (!is_picture(piece.values)) return;
    const int bits = input_.format == ExportFormat::png16 ? 16 : 8;
    const double white = bits == 16 ? 65535.0 : 255.0;
    if (piece.kind == Piece::Kind::deviation) {
      write_png(path, as_png(shown_std(piece.values) * white, white, bits));
    } else if (whole_numbers()) {
      write_png(path, as_png(in_units(piece, image), white, bits));
    } else {
      write_png(path, as_png(shown(piece.values) * white, white, bits));
    }
  }

  const ExportInput& input_;
  fs::path folder_;
  std::optional<ValueUnits> units_;
};

/// The columns of which at least one row has a picture.
PngImage sheet_of(std::vector<std::string> headings, std::vector<SheetRow> rows) {
  for (std::size_t column = headings.size(); column-- > 0;) {
    const auto at = static_cast<std::ptrdiff_t>(column);
    if (std::ranges::any_of(rows, [&](const SheetRow& row) { return row.cells[column].defined(); })) continue;
    headings.erase(headings.begin() + at);
    for (SheetRow& row : rows) row.cells.erase(row.cells.begin() + at);
  }
  return contact_sheet(headings, rows);
}

}  // namespace

ExitCode export_command(const Settings& settings) {
  StoredImages stored(settings.positionals.front());
  const ExportInput& input = settings.as<ExportInput>();
  const Exporter exporter(input, stored);
  std::vector<SheetRow> rows;
  std::atomic<std::int64_t> written = 0;
  const Heartbeat heartbeat(
      [&] { return formatted("{} of {} images written", written.load(), stored.count()); });
  for (std::int64_t row = 0; row < stored.count(); ++row) {
    if (stored.file().state(row) != ImageState::committed) continue;
    const StoredImage image = stored.read(row);
    exporter.write(image, row);
    ++written;
    if (static_cast<std::int64_t>(rows.size()) >= input.sheet) continue;
    const at::Tensor measured = is_picture(image.measurement) ? shown(image.measurement) : at::Tensor();
    rows.push_back(
        {legible_name(image.name, row),
         {shown(image.truth), measured, shown(image.baseline), shown(image.mean), shown_std(image.std)}});
  }
  if (written == 0)
    throw DataError("'{}' holds no committed image yet; `dwgf status` says how far it is",
                    stored.file().path());
  const std::vector<std::string> headings = {"truth", "measurement", stored.baseline_name(), "posterior mean",
                                             "std deviation"};
  const std::string sheet = rows.empty() ? "" : exporter.write_sheet(sheet_of(headings, std::move(rows)));
  log_job(LogLevel::info, formatted("{} images to {}", written.load(), exporter.folder().string()));
  if (!sheet.empty()) std::printf("%s\n", sheet.c_str());
  return ExitCode::ok;
}

}  // namespace dwgf
