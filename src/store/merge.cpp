#include "store/merge.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <list>
#include <optional>
#include <span>

#include <dwgf/base/error.hpp>

#include "base/replace_file.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

using RowBytes = std::map<std::string, std::vector<std::byte>>;  // by dataset

// Array jobs have thousands of slices, more than a process may have files open.
class OpenSlices {
 public:
  explicit OpenSlices(const std::vector<ResultsSlice>& slices) : slices_(slices) {}

  const ResultsFile& operator[](std::size_t index) {
    const auto found =
        std::find_if(open_.begin(), open_.end(), [&](const auto& entry) { return entry.first == index; });
    if (found != open_.end()) return found->second;
    if (open_.size() == limit) open_.pop_front();
    return open_.emplace_back(index, ResultsFile::open_for_reading(slices_[index].path)).second;
  }

 private:
  static constexpr std::size_t limit = 8;
  const std::vector<ResultsSlice>& slices_;
  std::list<std::pair<std::size_t, ResultsFile>> open_;
};

struct Candidate {
  std::size_t slice = 0;
  std::int64_t row = 0;  // in the slice
  ImageState state = ImageState::not_done;
};

struct MergedRow {
  ImageEntry image;
  std::vector<Candidate> candidates;  // committed ones first
};

// Axis by axis the larger extent.
void widen(DatasetLayout& dataset, const DatasetLayout& other, const std::string& path) {
  if (other.type != dataset.type || other.row_shape.size() != dataset.row_shape.size()) {
    throw DataError(
        "{} of {} has another type or number of axes than in the files before it; merge the results of one "
        "job only",
        dataset.path, path);
  }
  for (std::size_t d = 0; d < dataset.row_shape.size(); ++d)
    dataset.row_shape[d] = std::max(dataset.row_shape[d], other.row_shape[d]);
}

// `whole` starts empty.
void widen(RowLayout& whole, const RowLayout& slice, const std::string& path) {
  if (whole.datasets.empty()) whole.datasets = slice.datasets;
  for (const DatasetLayout& other : slice.datasets) {
    const auto found = std::find_if(whole.datasets.begin(), whole.datasets.end(),
                                    [&](const DatasetLayout& dataset) { return dataset.path == other.path; });
    if (found == whole.datasets.end() || whole.datasets.size() != slice.datasets.size()) {
      throw DataError(
          "{} has other datasets than the files before it ({}); merge the results of one job only", path,
          other.path);
    }
    widen(*found, other, path);
  }
}

std::uint32_t checksum(const RowBytes& bytes, const RowLayout& layout) {
  std::uint32_t crc = crc32_of({});
  for (const DatasetLayout& dataset : checksummed_datasets(layout)) {
    const std::vector<std::byte>& own = bytes.at(dataset.path);
    crc = crc32_combine(crc, crc32_of(own), own.size());
  }
  return crc;
}

// A row of a smaller shape in the first corner of a larger one, NaN elsewhere, as `restore` stores small
// images.
std::vector<std::byte> embedded_row(const std::vector<std::byte>& row, const DatasetLayout& from,
                                    const DatasetLayout& to) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::byte> filler = to_bytes(std::span(&nan, 1), to.type);
  std::vector<std::byte> out(to.row_bytes());
  for (std::size_t at = 0; at < out.size(); at += filler.size())
    std::copy(filler.begin(), filler.end(), out.begin() + static_cast<std::ptrdiff_t>(at));

  const std::size_t axes = from.row_shape.size();
  const auto line = static_cast<std::size_t>(from.row_shape.back());  // values that lie together in both
  std::vector<std::int64_t> place(axes, 0);
  for (std::size_t done = 0; done < row.size(); done += line * filler.size()) {
    std::size_t value = 0;
    for (std::size_t d = 0; d < axes; ++d)
      value = value * static_cast<std::size_t>(to.row_shape[d]) + static_cast<std::size_t>(place[d]);
    std::copy_n(row.begin() + static_cast<std::ptrdiff_t>(done), line * filler.size(),
                out.begin() + static_cast<std::ptrdiff_t>(value * filler.size()));
    for (std::size_t d = axes - 1; d-- > 0;) {
      if (++place[d] < from.row_shape[d]) break;
      place[d] = 0;
    }
  }
  return out;
}

class Merge {
 public:
  explicit Merge(const std::vector<ResultsSlice>& slices) : slices_(slices), open_(slices) {
    for (std::size_t k = 0; k < slices.size(); ++k) add(k);
    if (rows_.empty()) throw InternalError("nothing to merge");
    for (auto& [row, merged] : rows_) {
      std::stable_sort(merged.candidates.begin(), merged.candidates.end(),
                       [](const Candidate& a, const Candidate& b) { return rank_of(a) < rank_of(b); });
    }
    require_agreement();
  }

  MergeReport write(const std::string& path, const std::map<std::string, std::string>& attributes) {
    require_absent(path);
    std::error_code ignored;
    const std::string aside = path + ".merging";
    std::filesystem::remove(aside, ignored);
    try {
      ResultsFile target = ResultsFile::create(aside, layout(attributes), Communicator::self(),
                                               Durability::kill_safe);  // synced as a whole, below
      std::int64_t place = 0;
      for (const auto& [row, merged] : rows_) carry_over(merged, place++, target);
      target.sync();
      target.close();
      publish_file(aside, path);
    } catch (const Error&) {
      std::filesystem::remove(aside, ignored);
      throw;
    }
    report_.gaps = gaps();
    return report_;
  }

 private:
  static int rank_of(const Candidate& candidate) {
    return candidate.state == ImageState::committed ? 0 : candidate.state == ImageState::failed ? 1 : 2;
  }

  void add(std::size_t index) {
    const ResultsFile& slice = open_[index];
    const ResultsLayout& layout = slice.layout();
    widen(whole_, layout, slice.path());
    std::map<std::string, FloatArray> constants;
    for (const auto& [name, array] : layout.constants) constants[name] = slice.read_constant(name);
    if (index == 0) whole_.constants = constants;
    require_same_constants(constants, slice.path());
    const std::vector<ImageState> states = slice.states();
    for (std::size_t k = 0; k < states.size(); ++k) {
      const std::int64_t row = slices_[index].first + static_cast<std::int64_t>(k);
      const auto [at, is_new] = rows_.try_emplace(row, MergedRow{layout.images[k], {}});
      const ImageEntry &known = at->second.image, &image = layout.images[k];
      if (image.id != known.id || image.height != known.height || image.width != known.width ||
          image.prompt != known.prompt) {
        throw DataError(
            "row {} of the data set is '{}' ({} x {}) in {}, but '{}' ({} x {}) in {}; the data set changed "
            "between them",
            row, image.name, image.height, image.width, slice.path(), known.name, known.height, known.width,
            slices_[at->second.candidates.front().slice].path);
      }
      at->second.candidates.push_back({index, static_cast<std::int64_t>(k), states[k]});
    }
  }

  // A mask or kernel that changed between two slices, under the same name.
  void require_same_constants(const std::map<std::string, FloatArray>& constants,
                              const std::string& path) const {
    const auto same = [](const auto& a, const auto& b) {
      return a.first == b.first && a.second.shape == b.second.shape && a.second.values == b.second.values;
    };
    const std::map<std::string, FloatArray>& first = whole_.constants;
    if (std::equal(constants.begin(), constants.end(), first.begin(), first.end(), same)) return;
    throw DataError(
        "{} was measured by another operator (mask, kernel or matrix) than {}; merge the results of one job "
        "only",
        path, slices_.front().path);
  }

  ResultsLayout layout(const std::map<std::string, std::string>& attributes) const {
    ResultsLayout layout{whole_};
    for (const auto& [row, merged] : rows_) layout.images.push_back(merged.image);
    layout.attributes = attributes;
    return layout;
  }

  // A committed image as the merged file is to have it; nothing, and noted, where it is damaged.
  std::optional<RowBytes> sound_bytes(const Candidate& candidate) {
    const ResultsFile& slice = open_[candidate.slice];
    RowBytes bytes;
    for (const DatasetLayout& dataset : slice.layout().datasets)
      bytes[dataset.path] = slice.read(dataset.path, candidate.row);
    if (checksum(bytes, slice.layout()) != slice.stored_crc32(candidate.row)) {
      note_damage(
          {slice.path(), candidate.row, slice.layout().images[static_cast<std::size_t>(candidate.row)].name});
      return std::nullopt;
    }
    for (const DatasetLayout& dataset : slice.layout().datasets) {
      const DatasetLayout& wanted = *whole_.find(dataset.path);
      if (wanted.row_shape != dataset.row_shape)
        bytes[dataset.path] = embedded_row(bytes[dataset.path], dataset, wanted);
    }
    return bytes;
  }

  void note_damage(const DamagedImage& image) {
    const auto same = [&](const DamagedImage& known) {
      return known.path == image.path && known.row == image.row;
    };
    if (std::none_of(report_.damaged.begin(), report_.damaged.end(), same)) report_.damaged.push_back(image);
  }

  // Before anything is written: several results of one image have to be the same one.
  void require_agreement() {
    for (const auto& [row, merged] : rows_) {
      if (merged.candidates.size() < 2 || merged.candidates[1].state != ImageState::committed) continue;
      std::optional<RowBytes> reference;
      std::string reference_path;
      for (const Candidate& candidate : merged.candidates) {
        if (candidate.state != ImageState::committed) break;
        std::optional<RowBytes> bytes = sound_bytes(candidate);
        if (!bytes) continue;
        if (!reference) {
          reference = std::move(bytes);
          reference_path = slices_[candidate.slice].path;
          continue;
        }
        for (const auto& [dataset, own] : *bytes) {
          if (!schema::is_reproducible(dataset) || own == reference->at(dataset)) continue;
          throw DataError(
              "row {} ('{}') has different results in {} and in {}: {} differs. They come from different "
              "kinds of processor or versions; leave one of the two out",
              row, merged.image.name, reference_path, slices_[candidate.slice].path, dataset);
        }
      }
    }
  }

  void carry_over(const MergedRow& merged, std::int64_t place, ResultsFile& target) {
    ++report_.images;
    for (const Candidate& candidate : merged.candidates) {
      if (candidate.state == ImageState::not_done) break;
      if (candidate.state == ImageState::failed) {
        const ResultsFile& slice = open_[candidate.slice];
        target.fail(place, slice.reason(candidate.row), slice.seconds(candidate.row));
        ++report_.failed;
        return;
      }
      const std::optional<RowBytes> bytes = sound_bytes(candidate);
      if (!bytes) continue;
      for (const auto& [dataset, own] : *bytes) target.write(dataset, place, 0, own);
      target.commit(place, checksum(*bytes, target.layout()), open_[candidate.slice].seconds(candidate.row));
      ++report_.committed;
      return;
    }
    ++report_.missing;
  }

  std::vector<RowRange> gaps() const {
    std::vector<RowRange> gaps;
    std::int64_t next = rows_.begin()->first;
    for (const auto& [row, merged] : rows_) {
      if (row != next) gaps.push_back({next, row});
      next = row + 1;
    }
    return gaps;
  }

  const std::vector<ResultsSlice>& slices_;
  OpenSlices open_;
  RowLayout whole_;                         // what all slices have in common; its images are in rows_
  std::map<std::int64_t, MergedRow> rows_;  // by row of the data set
  MergeReport report_;
};

}  // namespace

MergeReport merge_results(const std::vector<ResultsSlice>& slices, const std::string& path,
                          const std::map<std::string, std::string>& attributes) {
  return Merge(slices).write(path, attributes);
}

}  // namespace dwgf
