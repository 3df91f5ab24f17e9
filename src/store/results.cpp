#include "store/results.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <ranges>

#include <dwgf/base/error.hpp>

#include "comm/mpi_handle.hpp"
#include "comm/throw_on_all.hpp"
#include "hdf5/hdf5_open.hpp"
#include "store/detail/results_impl.hpp"

namespace dwgf {
namespace {

ImageState state_from(std::uint8_t code, std::int64_t row, const std::string& path) {
  if (code <= static_cast<std::uint8_t>(ImageState::failed)) return static_cast<ImageState>(code);
  throw DataError("{} of {} has {} in row {}; 0, 1 and 2 are known: the file is damaged",
                  schema::kImageState.path, path, int{code}, row);
}

}  // namespace

ResultsFile::ResultsFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ResultsFile::ResultsFile(ResultsFile&&) noexcept = default;
ResultsFile& ResultsFile::operator=(ResultsFile&&) noexcept = default;
ResultsFile::~ResultsFile() = default;

const std::string& ResultsFile::path() const {
  return impl_->path;
}
const ResultsLayout& ResultsFile::layout() const {
  return impl_->layout;
}

// Closing is collective where ranks write together, and one that leaves by an error is alone: it ends the job
// next.
ResultsFile::Impl::~Impl() {
  if (!group || group->size() == 1 || std::uncaught_exceptions() == 0) return;
  for (Part& part : parts) part.file.abandon();
}

ResultsFile::Impl::Part& ResultsFile::Impl::part_of(std::int64_t row) {
  require_row(row);
  const auto after = std::upper_bound(parts.begin(), parts.end(), row,
                                      [](std::int64_t r, const Part& part) { return r < part.shard.first; });
  return *std::prev(after);
}

ResultsFile::Impl::Place ResultsFile::Impl::place(const std::string& name, std::int64_t row) {
  Part& part = part_of(row);
  if (!part.shard.problem.empty()) {
    throw DataError("row {} of {} lies in {}, which {}", row, path, part.shard.path, part.shard.problem);
  }
  return {opened(part).dataset(name), static_cast<hsize_t>(row - part.shard.first)};
}

RowFile& ResultsFile::Impl::opened(Part& part) {
  part.used = ++uses;
  if (part.file.is_open()) return part.file;
  const auto is_open = [](const Part& other) { return other.file.is_open(); };
  if (static_cast<std::size_t>(std::ranges::count_if(parts, is_open)) >= kMostOpenShards) {
    auto open = parts | std::views::filter(is_open);
    Part& oldest = *std::ranges::min_element(open, {}, &Part::used);
    if (group && durability == Durability::power_safe) oldest.sync_file.sync();
    oldest.file.close(oldest.shard.path);
    oldest.sync_file = PosixFile();
  }
  if (group) {
    part.sync_file = PosixFile::open_for_writing(part.shard.path);
    const Communicator self = Communicator::self();
    part.file = RowFile::open_for_writing(part.shard.path, self.handle().value);
  } else {
    part.file = RowFile(open_hdf5(part.shard.path, /*cache_chunks=*/false));
  }
  part.file.open_datasets(schema::kRecords, layout.datasets, part.shard.path);
  return part.file;
}

const DatasetLayout& ResultsFile::Impl::described(const std::string& name) const {
  if (const auto* found = layout.find(name)) return *found;
  throw InternalError("{} has no dataset {}", path, name);
}

void ResultsFile::Impl::require_row(std::int64_t row) const {
  if (row >= 0 && row < static_cast<std::int64_t>(layout.images.size())) return;
  throw InternalError("row {} of {}, which has {} images", row, path, layout.images.size());
}

void ResultsFile::Impl::require_writable() const {
  if (!group) throw InternalError("{} was opened for reading", path);
}

template <class Value>
Value ResultsFile::Impl::field(const char* name, std::int64_t row) {
  Value value{};
  const Place at = place(name, row);
  at.dataset.read(at.row, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

template <class Value>
void ResultsFile::Impl::set_field(const char* name, std::int64_t row, Value value) {
  const Place at = place(name, row);
  at.dataset.write(at.row, std::as_bytes(std::span(&value, 1)));
}

void ResultsFile::Impl::read_column(const char* name, std::span<std::byte> all, std::size_t value_bytes) {
  for (Part& part : parts) {
    if (!part.shard.problem.empty()) continue;
    const auto first = static_cast<std::size_t>(part.shard.first),
               rows = static_cast<std::size_t>(part.shard.rows);
    opened(part).dataset(name).read(0, all.subspan(first * value_bytes, rows * value_bytes));
  }
}

std::vector<ResultsShard> ResultsFile::shards() const {
  std::vector<ResultsShard> shards;
  for (const Impl::Part& part : impl_->parts) shards.push_back(part.shard);
  return shards;
}

std::vector<ImageState> ResultsFile::states() const {
  std::vector<std::uint8_t> codes(layout().images.size(), static_cast<std::uint8_t>(ImageState::not_done));
  impl_->read_column(schema::kImageState.path, std::as_writable_bytes(std::span(codes)), 1);
  std::vector<ImageState> states;
  states.reserve(codes.size());
  for (const std::uint8_t code : codes) {
    states.push_back(state_from(code, static_cast<std::int64_t>(states.size()), path()));
  }
  return states;
}

ImageState ResultsFile::state(std::int64_t row) const {
  if (!impl_->part_of(row).shard.problem.empty()) return ImageState::not_done;
  return state_from(impl_->field<std::uint8_t>(schema::kImageState.path, row), row, path());
}

std::string ResultsFile::reason(std::int64_t row) const {
  const auto field = impl_->field<std::array<char, schema::kReasonBytes>>(schema::kImageReason.path, row);
  return text_of_field(field.data(), field.size());
}

std::uint32_t ResultsFile::stored_crc32(std::int64_t row) const {
  return impl_->field<std::uint32_t>(schema::kImageCrc32.path, row);
}
float ResultsFile::seconds(std::int64_t row) const {
  return impl_->field<float>(schema::kImageSeconds.path, row);
}

std::vector<float> ResultsFile::seconds() const {
  std::vector<float> all(layout().images.size());
  impl_->read_column(schema::kImageSeconds.path, std::as_writable_bytes(std::span(all)), sizeof(float));
  return all;
}

void ResultsFile::write(const std::string& dataset, std::int64_t row, std::int64_t offset,
                        std::span<const std::byte> bytes) {
  impl_->require_writable();
  impl_->require_row(row);
  const DatasetLayout& described = impl_->described(dataset);
  const std::int64_t values = described.row_values();
  const auto count = static_cast<std::int64_t>(bytes.size() / size_of(described.type));
  if (bytes.size() % size_of(described.type) != 0 || offset < 0 || offset > values ||
      count > values - offset) {
    throw InternalError("{} bytes from value {} on do not fit the rows of {}, which have {} values of {}",
                        bytes.size(), offset, dataset, values, name_of(described.type));
  }
  const Impl::Place at = impl_->place(dataset, row);
  at.dataset.write(at.row * static_cast<hsize_t>(values) + static_cast<hsize_t>(offset), bytes);
}

std::vector<std::byte> ResultsFile::read(const std::string& dataset, std::int64_t row) const {
  impl_->require_row(row);
  const DatasetLayout& described = impl_->described(dataset);
  std::vector<std::byte> bytes(described.row_bytes());
  const Impl::Place at = impl_->place(dataset, row);
  at.dataset.read(at.row * static_cast<hsize_t>(described.row_values()), bytes);
  return bytes;
}

FloatArray ResultsFile::read_constant(const std::string& name) const {
  Hdf5Handle master;  // of shards that are written, PATH is open on no rank
  if (impl_->in_shards && !impl_->master) master = open_hdf5(impl_->path, /*cache_chunks=*/false);
  const hid_t file = master             ? master.id()
                     : impl_->in_shards ? impl_->master.id()
                                        : impl_->parts.front().file.id();
  const FlatDataset constant(file, schema::kOperatorArray.named(name), impl_->path);
  return {{constant.shape().begin(), constant.shape().end()}, constant.read_floats(0, constant.size())};
}

std::vector<float> ResultsFile::read_floats(const std::string& dataset, std::int64_t row) const {
  return from_bytes(read(dataset, row), impl_->described(dataset).type);
}

void ResultsFile::Impl::finish(std::int64_t row, std::uint32_t crc32, float seconds,
                               const std::string& reason, ImageState state) {
  require_writable();
  Part& part = part_of(row);
  opened(part);
  const PosixFile& sync_file = part.sync_file;
  sync_file.require_in_place();
  set_field(schema::kImageCrc32.path, row, crc32);
  set_field(schema::kImageSeconds.path, row, seconds);
  const std::string text = fixed_text(reason, schema::kReasonBytes, false);
  const Place at = place(schema::kImageReason.path, row);
  at.dataset.write(at.row, std::as_bytes(std::span(text)));
  if (durability == Durability::power_safe) sync_file.sync();
  set_field(schema::kImageState.path, row, static_cast<std::uint8_t>(state));
}

void ResultsFile::commit(std::int64_t row, std::uint32_t crc32, float seconds) {
  impl_->finish(row, crc32, seconds, "", ImageState::committed);
}

void ResultsFile::fail(std::int64_t row, const std::string& reason, float seconds) {
  impl_->finish(row, 0, seconds, reason, ImageState::failed);
}

void ResultsFile::withdraw(std::int64_t row) {
  impl_->require_writable();
  impl_->require_row(row);
  impl_->set_field(schema::kImageState.path, row, static_cast<std::uint8_t>(ImageState::not_done));
  if (impl_->durability == Durability::power_safe) sync(row);
}

void ResultsFile::sync() const {
  impl_->require_writable();
  for (const Impl::Part& part : impl_->parts)
    if (part.file.is_open()) part.sync_file.sync();
}

void ResultsFile::sync(std::int64_t row) const {
  impl_->require_writable();
  const Impl::Part& part = impl_->part_of(row);
  if (part.file.is_open()) part.sync_file.sync();
}

std::uint32_t ResultsFile::compute_crc32(std::int64_t row) const {
  impl_->require_row(row);
  constexpr std::size_t piece = std::size_t{1} << 24;  // bytes, a multiple of every number's size
  std::uint32_t crc = crc32_of({});
  std::vector<std::byte> bytes;
  for (const DatasetLayout& described : checksummed_datasets(layout())) {
    const std::size_t all = described.row_bytes(), value = size_of(described.type);
    for (std::size_t first = 0; first < all; first += piece) {
      bytes.resize(std::min(piece, all - first));
      const Impl::Place at = impl_->place(described.path, row);
      at.dataset.read(at.row * (all / value) + first / value, bytes);
      crc = crc32_combine(crc, crc32_of(bytes), bytes.size());
    }
  }
  return crc;
}

void ResultsFile::close() {
  Impl& impl = *impl_;
  // Of a single file closing is collective: a rank whose disk fails there leaves the others inside, so that
  // its error ends the job at once, without a vote.
  for (Impl::Part& part : impl.parts)
    if (part.file.is_open()) part.file.close(part.shard.path);
  impl.master.close(formatted("closing {}", impl.path));
  if (impl.group) impl.group->barrier();
}

}  // namespace dwgf
