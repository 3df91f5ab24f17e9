/// A flow between two steps as bytes and back: latents, both of Adam's moments, images where the method moves
/// them, the records so far. One piece a micro-batch, numbered along the particle index, so that any number
/// of ranks goes on from the pieces of any other with the same bits. Nothing of random state is needed: every
/// draw has an address.
#pragma once

#include <dwgf/base/snapshot.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/state.hpp>

namespace dwgf {

Snapshot take_snapshot(const FlowState& state, const Monitor& monitor);

/// Puts `state` to where the snapshot was taken; the monitor's part is returned, for Monitor::go_on_from.
/// @pre the snapshot has the pieces of all of the state's batches, in order. Throws DataError, with nothing
/// changed, where its sizes are not those of this flow.
Monitor::State go_on_from(const Snapshot& snapshot, FlowState& state);

}  // namespace dwgf
