#include "job/checkpoint_observer.hpp"

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

#include <dwgf/base/error.hpp>

#include "base/log.hpp"
#include "comm/throw_on_all.hpp"

namespace dwgf {

namespace {

/// For a copy of a device that may hang.
constexpr std::chrono::seconds kPatience(5);

/// The list of the group's first rank on all of them.
std::vector<std::int64_t> broadcast_list(std::vector<std::int64_t> list, Collective& group) {
  std::int64_t count = static_cast<std::int64_t>(list.size());
  group.broadcast(std::as_writable_bytes(std::span(&count, 1)), 0);
  list.resize(static_cast<std::size_t>(count));
  group.broadcast(std::as_writable_bytes(std::span(list)), 0);
  return list;
}

}  // namespace

CheckpointObserver::CheckpointObserver(CheckpointContext context, Collective& group, std::string name,
                                       Checkpoints checkpoints)
    : context_(context),
      group_(group),
      name_(std::move(name)),
      checkpoints_(std::move(checkpoints)),
      requests_seen_(context.signals.checkpoints_requested()) {
  context_.signals.on_terminate([this] { write_on_termination(); });
}

CheckpointObserver::~CheckpointObserver() {
  context_.signals.on_terminate({});
}

void CheckpointObserver::begin(FlowState& state, Monitor& monitor) {
  context_.watchdog.at(name_, 0);
  context_.progress.goes_on_after(0);
  std::vector<std::int64_t> steps;
  if (group_.rank() == 0) steps = checkpoints_.steps();
  steps = broadcast_list(std::move(steps), group_);
  for (const std::int64_t step : steps) {
    FlowState found = state;
    Monitor::State records;
    try {
      throw_on_all(group_, [&] {
        records = go_on_from(checkpoints_.read(step, state.share.first_batch, state.share.batches), found);
      });
    } catch (const Error& error) {
      context_.progress.tell_people(
          formatted("{}: the checkpoint after step {} cannot be used ({}); going on from {}", name_, step,
                    error.what(), step == steps.back() ? "the start" : "the one before"));
      continue;
    }
    state = std::move(found);
    context_.progress.goes_on_after(state.step);
    context_.watchdog.at(name_, state.step);
    monitor.go_on_from(std::move(records), state);
    context_.progress.tell_people(formatted("{}: goes on after step {}", name_, state.step));
    return;
  }
}

bool CheckpointObserver::at_step_boundary(const FlowState& state, const Monitor& monitor) {
  context_.progress.step_done();
  context_.watchdog.at(name_, state.step);
  std::int64_t outcome[votes] = {0, 0};
  if (pending_) {
    std::exchange(pending_, nullptr)->wait();
    std::copy(std::begin(vote_), std::end(vote_), outcome);
  }
  {
    const std::lock_guard lock(mutex_);
    std::swap(before_, newest_);
    newest_.begin(state, monitor);
  }
  if (outcome[checkpoint] || outcome[stop]) write_newest();
  if (outcome[stop]) return false;
  start_vote();
  return true;
}

void CheckpointObserver::start_vote() {
  const std::int64_t requests = context_.signals.checkpoints_requested();
  const bool asked = std::exchange(requests_seen_, requests) != requests;
  const std::chrono::duration<double> since = Clock::now() - written_;
  // Clocks differ; the first rank's counts.
  const bool due =
      group_.rank() == 0 && context_.checkpoint_seconds > 0 && since.count() >= context_.checkpoint_seconds;
  vote_[stop] = context_.stop_flag.stopping(context_.signals.stop_requested());
  vote_[checkpoint] = asked || due;
  pending_ = group_.start_all_reduce_max(vote_);
}

void CheckpointObserver::write_newest() {
  written_ = Clock::now();
  const std::lock_guard lock(mutex_);
  write(newest_.get());
  if (!terminating_) checkpoints_.remove_older();
}

void CheckpointObserver::keep() {
  const std::lock_guard lock(mutex_);
  if (newest_.begun()) write(newest_.get());
}

// Older ones stay from here on: these are of other steps than those of ranks that heard of it earlier or
// later, or are killed before they have written any.
void CheckpointObserver::write_on_termination() {
  const std::lock_guard lock(mutex_);
  terminating_ = true;
  if (before_.begun()) write(before_.get());
  if (!newest_.begun()) return;
  for (const auto end = Clock::now() + kPatience; !newest_.arrived() && Clock::now() < end;)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (newest_.arrived()) write(newest_.get());
}

// A checkpoint that cannot be written costs the work since the last one, and no more: the job goes on.
void CheckpointObserver::write(const Snapshot& snapshot) {
  try {
    checkpoints_.write(snapshot);
  } catch (const Error& error) {
    if (!std::exchange(told_failure_, true))
      log_rank(LogLevel::warning, formatted("{}: no checkpoint could be written: {}", name_, error.what()));
  }
}

void CheckpointObserver::finish() {
  context_.signals.on_terminate({});
  if (group_.rank() == 0) checkpoints_.remove();
}

}  // namespace dwgf
