/// A flow between two steps as bytes and back: latents, both of Adam's moments, images where the method moves
/// them, the records so far. One piece a micro-batch, numbered along the particle index, so that any number
/// of ranks goes on from the pieces of any other with the same bits. Nothing of random state is needed: every
/// draw has an address.
#pragma once

#include <memory>
#include <vector>

#include <dwgf/base/snapshot.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/state.hpp>

#include "comm/device.hpp"

namespace dwgf {

Snapshot take_snapshot(const FlowState& state, const Monitor& monitor);

/// A snapshot that is on its way from a device: tensors are copied there, by one kernel a micro-batch, and
/// from the copy to pinned memory of the host, which nobody waits for. Of a state on a CPU, the snapshot
/// itself. For one state after another.
class SnapshotCopy {
 public:
  /// Waits for the one before, if nobody has.
  void begin(const FlowState& state, const Monitor& monitor);
  bool begun() const { return begun_; }
  /// Whether `get` would not wait for the device.
  bool arrived();
  /// @pre begun()
  const Snapshot& get();

 private:
  bool begun_ = false;
  Snapshot snapshot_;
  std::vector<at::Tensor> under_way_;  // a micro-batch's tensors end to end, until they have arrived
  std::unique_ptr<StagingBuffer> staging_;
};

/// Puts `state` to where the snapshot was taken; the monitor's part is returned, for Monitor::go_on_from.
/// @pre the snapshot has the pieces of all of the state's batches, in order. Throws DataError, with nothing
/// changed, where its sizes are not those of this flow.
Monitor::State go_on_from(const Snapshot& snapshot, FlowState& state);

}  // namespace dwgf
