#include "flow/snapshot.hpp"

#include <cstring>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "flow/tensor_bytes.hpp"
#include "prior/nn/own_kernels.hpp"

namespace dwgf {

namespace {

void append(std::vector<std::byte>& bytes, const void* from, std::size_t size) {
  const auto* begin = static_cast<const std::byte*>(from);
  bytes.insert(bytes.end(), begin, begin + size);
}

/// Takes values from the front of some bytes.
class Reader {
 public:
  explicit Reader(const std::vector<std::byte>& bytes) : bytes_(bytes) {}

  void take(void* to, std::size_t size) {
    if (size > bytes_.size() - at_) {
      throw DataError("a snapshot has {} bytes where more belong to this flow", bytes_.size());
    }
    std::memcpy(to, bytes_.data() + at_, size);
    at_ += size;
  }
  /// How many doubles there can be.
  std::int64_t left() const { return static_cast<std::int64_t>((bytes_.size() - at_) / sizeof(double)); }
  void require_end() const {
    if (at_ != bytes_.size())
      throw DataError("a snapshot has {} bytes where {} belong to this flow", bytes_.size(), at_);
  }

 private:
  const std::vector<std::byte>& bytes_;
  std::size_t at_ = 0;
};

void append(std::vector<std::byte>& bytes, const UnknownState& unknown) {
  for (const std::vector<double>* values : {&unknown.value, &unknown.recent, &unknown.trace}) {
    const auto count = static_cast<std::int64_t>(values->size());
    append(bytes, &count, sizeof count);
    append(bytes, values->data(), values->size() * sizeof(double));
  }
}

/// Throws DataError where it is none of this unknown.
UnknownState take_unknown(Reader& from, const UnknownState& like) {
  UnknownState taken;
  for (std::vector<double>* values : {&taken.value, &taken.recent, &taken.trace}) {
    std::int64_t count = 0;
    from.take(&count, sizeof count);
    if (count < 0 || count > from.left() || (values == &taken.value && count != std::ssize(like.value)))
      throw DataError("a snapshot has {} numbers of what is unknown where {} belong to this flow", count,
                      like.value.size());
    values->resize(static_cast<std::size_t>(count));
    from.take(values->data(), values->size() * sizeof(double));
  }
  return taken;
}

/// In the order of a snapshot, which has the prior's gradient before the data's.
std::vector<std::vector<double>*> all_series(Diagnostics& diagnostics) {
  std::vector<std::vector<double>*> all;
  for (std::vector<double>& series : diagnostics.series) all.push_back(&series);
  std::swap(all[1], all[2]);
  return all;
}

}  // namespace

namespace {

/// With as many bytes at the front of each piece as `front(batch)` leaves there.
template <class Front>
Snapshot snapshot_with(const FlowState& state, const Monitor& monitor, const Front& front) {
  Monitor::State records = monitor.state();
  Snapshot snapshot{state.step, {}, {}};
  const auto count = static_cast<std::int64_t>(records.diagnostics.records());
  append(snapshot.shared, &count, sizeof count);
  append(snapshot.shared, &records.under_way_step, sizeof records.under_way_step);
  for (const std::vector<double>* series : all_series(records.diagnostics)) {
    append(snapshot.shared, series->data(), series->size() * sizeof(double));
  }

  for (const UnknownState& unknown : state.unknowns) append(snapshot.shared, unknown);

  const auto per_batch = static_cast<std::size_t>(state.share.micro_batch) * Monitor::quantities();
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    Snapshot::Piece piece{state.share.first_batch + static_cast<std::int64_t>(b), {}};
    front(state.batches[b], piece.bytes);
    if (records.under_way_step >= 0)
      append(piece.bytes, records.under_way.data() + b * per_batch, per_batch * sizeof(double));
    snapshot.pieces.push_back(std::move(piece));
  }
  return snapshot;
}

/// A micro-batch's tensors end to end, [bytes].
at::Tensor end_to_end(const ParticleBatch& batch) {
  std::vector<at::Tensor> rows;
  for (const at::Tensor* tensor : batch.tensors()) rows.push_back(tensor->flatten());
  return at::cat(rows).view(at::kByte);
}

}  // namespace

Snapshot take_snapshot(const FlowState& state, const Monitor& monitor) {
  return snapshot_with(state, monitor, [](const ParticleBatch& batch, std::vector<std::byte>& bytes) {
    for (const at::Tensor* tensor : batch.tensors()) {
      const at::Tensor values = tensor->cpu().contiguous();  // [M, ...]
      append(bytes, values.data_ptr(), values.nbytes());
    }
  });
}

void SnapshotCopy::begin(const FlowState& state, const Monitor& monitor) {
  if (begun_) get();
  const at::Device device = state.options.device();
  begun_ = true;
  if (device.is_cpu()) {
    snapshot_ = take_snapshot(state, monitor);
    return;
  }
  std::size_t bytes = 0;
  snapshot_ = snapshot_with(state, monitor, [&](const ParticleBatch& batch, std::vector<std::byte>& front) {
    under_way_.push_back(end_to_end(batch));
    front.resize(under_way_.back().nbytes());
    bytes += front.size();
  });
  if (bytes == 0) return;
  if (!staging_ || staging_->host().size() != bytes)
    staging_ = device_backend().staging(device.index(), bytes, [device] { return stream_of(device); });
  std::size_t first = 0;
  for (const at::Tensor& values : under_way_) {
    staging_->fetch(bytes_of(values), first);
    first += values.nbytes();
  }
}

bool SnapshotCopy::arrived() {
  return under_way_.empty() || !staging_ || staging_->done();
}

const Snapshot& SnapshotCopy::get() {
  if (under_way_.empty()) return snapshot_;
  if (staging_) staging_->wait();
  std::size_t first = 0;
  for (std::size_t b = 0; b < under_way_.size(); ++b) {
    const std::size_t size = under_way_[b].nbytes();
    if (size > 0) std::memcpy(snapshot_.pieces[b].bytes.data(), staging_->host().data() + first, size);
    first += size;
  }
  under_way_.clear();
  return snapshot_;
}

Monitor::State go_on_from(const Snapshot& snapshot, FlowState& state) {
  Monitor::State records;
  Reader shared(snapshot.shared);
  std::int64_t count = 0;
  shared.take(&count, sizeof count);
  shared.take(&records.under_way_step, sizeof records.under_way_step);
  if (count < 0 || count > snapshot.step)
    throw DataError("a snapshot after step {} claims {} records", snapshot.step, count);
  for (std::vector<double>* series : all_series(records.diagnostics)) {
    series->resize(static_cast<std::size_t>(count));
    shared.take(series->data(), series->size() * sizeof(double));
  }
  std::vector<UnknownState> unknowns;
  for (const UnknownState& unknown : state.unknowns) unknowns.push_back(take_unknown(shared, unknown));
  shared.require_end();

  if (snapshot.pieces.size() != state.batches.size()) {
    throw DataError("a snapshot has {} pieces for the {} micro-batches of this rank", snapshot.pieces.size(),
                    state.batches.size());
  }
  const auto per_batch = static_cast<std::size_t>(state.share.micro_batch) * Monitor::quantities();
  std::vector<ParticleBatch> batches = state.batches;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    if (snapshot.pieces[b].number != state.share.first_batch + static_cast<std::int64_t>(b))
      throw DataError("a snapshot has piece {} out of its place", snapshot.pieces[b].number);
    Reader piece(snapshot.pieces[b].bytes);
    for (at::Tensor* tensor : batches[b].tensors()) {
      at::Tensor values = at::empty(tensor->sizes(), at::TensorOptions().dtype(tensor->dtype()));
      piece.take(values.data_ptr(), values.nbytes());
      *tensor = values.to(state.options);  // [M, ...]
    }
    if (records.under_way_step >= 0) {
      records.under_way.resize((b + 1) * per_batch);
      piece.take(records.under_way.data() + b * per_batch, per_batch * sizeof(double));
    }
    piece.require_end();
  }

  state.batches = std::move(batches);
  state.unknowns = std::move(unknowns);
  state.step = snapshot.step;
  return records;
}

}  // namespace dwgf
