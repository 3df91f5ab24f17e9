#include "flow/gathered_rows.hpp"

#include <ATen/ATen.h>

#include "base/precondition.hpp"
#include "flow/tensor_bytes.hpp"

namespace dwgf {

void GatheredRows::begin(const FlowState& state, std::int64_t width,
                         const std::function<at::Tensor(std::size_t)>& row_of) {
  const std::int64_t slots = state.share.batches_per_rank * state.share.micro_batch;
  gathered_ = at::zeros({group_.size() * slots, width}, state.options);           // [ranks slots, width]
  own_ = gathered_.slice(0, group_.rank() * slots, (group_.rank() + 1) * slots);  // [slots, width]
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    const std::int64_t first = static_cast<std::int64_t>(b) * state.share.micro_batch;
    own_.slice(0, first, first + state.share.micro_batch).copy_(row_of(b));
  }
  pending_ = group_.start_all_gather(bytes_of(own_), bytes_of(gathered_));
}

void GatheredRows::begin(const FlowState& state) {
  begin(state, state.latent_elements(), [&](std::size_t b) { return state.batches[b].z.flatten(1); });
}

void GatheredRows::finish(const FlowState& state) {
  precondition(pending_ != nullptr, "rows that are being gathered");
  pending_->wait();
  pending_.reset();
  all_ = gathered_.slice(0, 0, state.share.particles);  // [N, width]
}

}  // namespace dwgf
