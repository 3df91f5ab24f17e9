#include "job/restore.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/comm/grid.hpp>

#include "base/log.hpp"
#include "comm/throw_on_all.hpp"
#include "comm/watchdog.hpp"
#include "comm/work_queue.hpp"
#include "flow/diverged.hpp"
#include "job/ahead/rank_facts.hpp"
#include "job/checkpoint_observer.hpp"
#include "job/compute_device.hpp"
#include "job/dry_run.hpp"
#include "job/image_writer.hpp"
#include "job/look_ahead.hpp"
#include "job/open_results.hpp"
#include "job/restore_job.hpp"
#include "job/same_job.hpp"
#include "job/step_clock.hpp"
#include "job/window_crew.hpp"
#include "prior/moments.hpp"
#include "prior/oom_guard.hpp"
#include "prior/windows.hpp"
#include "service/event_log.hpp"
#include "service/heartbeat.hpp"
#include "service/launcher.hpp"
#include "service/progress.hpp"
#include "service/stop_conditions.hpp"

namespace dwgf {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A rank that was asked to end, and is alone with its image, does not finish a long step: what whole steps
/// did is in a checkpoint.
struct EndedInsideStep : std::exception {
  const char* what() const noexcept override { return "ended inside a step, on request"; }
};
constexpr double kStepsGrace = 3.0;  // shorter steps are finished [s]

/// How one image ended.
struct Outcome {
  bool stopped = false;          ///< on request, between two steps
  std::optional<Error> failure;  ///< nothing: committed
};

std::int64_t pixels_of(const ImageEntry& image) {
  return std::max<std::int64_t>(std::int64_t{image.height} * image.width, 1);
}

/// One job's images, as the ranks of one group work on them.
class Restoration {
 public:
  Restoration(const RestoreJob& job, ResultsFile& results, Communicator& group, const ComputeDevice& device,
              EventLog& log, CheckpointContext context, int group_number)
      : job_(job),
        results_(results),
        group_(group),
        tensors_(group, device.device, device.connected),
        watched_(group, context.watchdog),
        crews_(group, device, context.watchdog),
        log_(log),
        context_(context),
        clock_([this] {
          if (group_.size() == 1 && context_.signals.seconds_since_termination() > kStepsGrace)
            throw EndedInsideStep();
        }),
        group_number_(group_number) {
    tensors_.watch(context.watchdog);
  }

  Outcome restore(std::int64_t row) {
    const Clock::time_point start = Clock::now();
    Outcome outcome;
    context_.watchdog.at(name(row), -1);
    context_.progress.image_begins(pixels_of(entry(row)));
    clock_.restart();
    context_.watchdog.enter("reading and measuring an image");
    log_.event("image begins", {{"image", name(row)}, {"row", row}});
    try {
      ImageProblem image;
      throw_on_all<CollectiveError>(watched_, [&] { image = job_.prepare(row); });
      outcome.stopped = !solved_and_written(row, image, start);
    } catch (const CollectiveError& error) {
      outcome.failure = error;
    } catch (const Diverged& error) {
      outcome.failure = error;
    } catch (const EndedInsideStep&) {
      outcome.stopped = true;
    }
    if (outcome.failure && group_.rank() == 0) {
      context_.progress.tell_failure(name(row), outcome.failure->what());
      results_.fail(row, outcome.failure->what(), static_cast<float>(seconds_since(start)));
    }
    log_.event(outcome.failure   ? "image failed"
               : outcome.stopped ? "image interrupted"
                                 : "image done",
               {{"image", name(row)},
                {"row", row},
                {"seconds", seconds_since(start)},
                {"waited", waited_},
                {"writing", writing_},
                {"processors", clock_.processor_seconds()},
                {"denoiser", clock_.seconds()[0]},
                {"encoder", clock_.seconds()[1]},
                {"decoder", clock_.seconds()[2]},
                {"vjp", clock_.seconds()[3]},
                {"operator", clock_.seconds()[4]},
                {"reason", std::string(outcome.failure ? outcome.failure->what() : "")}});
    return outcome;
  }

 private:
  const ImageEntry& entry(std::int64_t row) const { return job_.images()[static_cast<std::size_t>(row)]; }
  const std::string& name(std::int64_t row) const { return entry(row).name; }

  /// The ranks that hold an image's particles, as this rank works with them.
  struct Particles {
    TensorGroup& tensors;
    WatchedCollective& watched;
  };

  /// False when it was stopped.
  bool solved_and_written(std::int64_t row, const ImageProblem& image, Clock::time_point start) {
    Prior prior;
    throw_on_all<CollectiveError>(watched_, [&] { prior = job_.prior_of(row); });
    const OomGuard guard(prior.windows ? without_windows(prior) : prior, job_.flow().micro_batch,
                         says_no_memory);
    const Particles whole_group{tensors_, watched_};
    if (!prior.windows) return solved_and_written(row, image, start, guard, guard.prior(), whole_group);
    const Prior windowed = with_windows(guard.prior(), prior.windows->size);
    const Canvas canvas = windowed.geometry.canvas(image.shape.height, image.shape.width);
    const auto plan = window_plan(windowed, canvas, job_.flow(), group_.size());
    if (!plan || plan->crews.crew == 1)
      return solved_and_written(row, image, start, guard, windowed, whole_group);
    GroupCrews::Crew& crew = crews_.of(plan->crews);
    const auto shared = std::make_shared<const SharedWindows>(crew.tensors.with(crew.watched_ranks));
    if (!crew.leads()) {
      context_.watchdog.enter("computing windows");
      shared->serve(windowed, [&] { context_.stop_flag.stopping(context_.signals.stop_requested()); });
      return told_by_leaders({});
    }
    return told_by_leaders(led(*shared, [&] {
      return solved_and_written(row, image, start, guard, with_crew(windowed, shared),
                                {crew.leader_tensors, crew.watched_leaders});
    }));
  }

  /// What came of an image, as its leaders know it and their helpers have to be told.
  struct Told {
    bool complete = true;
    std::optional<Error> failure = {};
  };

  /// Releases the helpers, whatever comes.
  Told led(const SharedWindows& shared, const std::function<bool()>& image) const {
    Told told;
    try {
      told.complete = image();
    } catch (const CollectiveError& error) {
      told.failure = error;
    } catch (const Diverged& error) {
      told.failure = error;
    }
    shared.release();
    return told;
  }

  /// Collective over the group; its first rank is a leader. False when it was stopped; throws what failed.
  bool told_by_leaders(const Told& told) {
    std::int64_t state[2] = {told.complete, told.failure ? static_cast<int>(told.failure->code()) : 0};
    watched_.broadcast(std::as_writable_bytes(std::span(state)), 0);
    const std::string reason = watched_.broadcast_text(told.failure ? told.failure->what() : "", 0);
    if (state[1] != 0) throw CollectiveError(static_cast<ExitCode>(state[1]), reason);
    return state[0] != 0;
  }

  bool solved_and_written(std::int64_t row, const ImageProblem& image, Clock::time_point start,
                          const OomGuard& guard, const Prior& prior, const Particles& particles) {
    const std::unique_ptr<NoiseModel> noise = job_.noise(image);
    const Prior timed = timed_prior(prior, clock_);
    if (image.forward != forward_) {
      forward_ = image.forward;
      timed_forward_ = timed_operator(forward_, clock_);
    }
    memory_.turn_to(timed_forward_);
    const Unknowns unknowns = job_.unknowns(image);
    const Problem problem{timed,         *timed_forward_, image.y,  image.shape,
                          entry(row).id, noise.get(),     &memory_, &unknowns};
    for (int attempt = 1;; ++attempt) {
      context_.watchdog.enter("computing");
      const auto waited_before = context_.watchdog.waited();
      CheckpointObserver keeper(context_, particles.watched, name(row), checkpoints(row, image));
      try {
        const Solution solution = solved(problem, keeper, particles);
        if (!solution.complete) return false;
        context_.watchdog.enter("writing an image");
        const std::chrono::duration<double> waited = context_.watchdog.waited() - waited_before;
        waited_ = waited.count();
        const Clock::time_point writing = Clock::now();
        write_image(results_, row, prior, found(image, solution), solution, particles.watched,
                    {seconds_since(start), waited.count(), group_number_, clock_.processor_seconds(),
                     clock_.seconds()});
        writing_ = seconds_since(writing);
        keeper.finish();
        return true;
      } catch (const EndedInsideStep&) {
        keeper.keep();
        throw;
      } catch (const Diverged& error) {
        keeper.finish();
        throw_on_all<CollectiveError>(particles.watched, [&] {
          if (guard.shortage()) throw Error(ExitCode::some_images_failed, *guard.shortage());
        });
        // Once more, from the start: what a faulty processor or device made of it does not come again.
        if (attempt == 2) throw;
        context_.progress.tell_people(formatted("{}: {}; trying once more", name(row), error.what()));
      }
    }
  }

  /// The problem with what was unknown of it.
  static ImageProblem found(ImageProblem image, const Solution& solution) {
    if (solution.estimates.empty()) return image;
    image.forward = solution.parts.forward;
    image.sigma = solution.parts.sigma;
    return image;
  }

  /// Memory that a rank of its own does not find costs its image only; the others of a group would wait for
  /// it. (Where the prior lacks it, which takes by far the most, all go on: see OomGuard.)
  Solution solved(const Problem& problem, CheckpointObserver& keeper, const Particles& particles) {
    try {
      return solve(problem, job_.flow(), particles.tensors.with(particles.watched), keeper);
    } catch (const std::exception& error) {
      const auto shortage = shortage_of_memory(error, job_.flow().micro_batch, says_no_memory);
      if (!shortage) throw;
      if (group_.size() > 1) throw RankError(*shortage);
      throw CollectiveError(ExitCode::some_images_failed, *shortage);
    }
  }

  Checkpoints checkpoints(std::int64_t row, const ImageProblem& image) const {
    const at::Tensor y = image.y.contiguous();
    const std::uint32_t measured = crc32_of({static_cast<const std::byte*>(y.data_ptr()), y.nbytes()});
    const Prior& prior = job_.prior();
    const std::string weights = prior.sha256 + (prior.moments ? prior.moments->sha256() : "");
    const std::uint64_t identity =
        fnv1a(formatted("{}{} {}{}", job_.settings().identity(), weights, measured, entry(row).prompt));
    const FlowOptions& flow = job_.flow();
    return {results_.path(), entry(row).id, identity, 1 + (flow.particles - 1) / flow.micro_batch};
  }

  const RestoreJob& job_;
  ResultsFile& results_;
  Communicator& group_;
  TensorGroup tensors_;
  WatchedCollective watched_;
  GroupCrews crews_;
  EventLog& log_;
  CheckpointContext context_;
  StepClock clock_;
  std::shared_ptr<const ForwardOperator> forward_, timed_forward_;  // of the last image, and with a clock
  MethodMemory memory_;
  double waited_ = 0.0, writing_ = 0.0;  // by this rank, of the last image that was solved [s]
  int group_number_;
};

void print_start(const OpenResults& open, const std::vector<ImageEntry>& images,
                 const ComputeDevice& device) {
  if (!device.why.empty())
    log_job(LogLevel::info, formatted("GPUs exchange through the host's memory: {}", device.why));
  if (!open.other_device.empty()) log_job(LogLevel::warning, open.other_device);
  for (const ResultsShard& shard : open.missing) {
    log_job(LogLevel::info,
            formatted("{} was missing and is made again, with its {} images", shard.path, shard.rows));
  }
  for (const std::int64_t row : open.damaged) {
    log_job(LogLevel::info, formatted("{} does not agree with its checksum and is restored again",
                                      images[static_cast<std::size_t>(row)].name));
  }
  if (const std::size_t done = images.size() - open.rows.size())
    log_job(LogLevel::info,
            formatted("{} of {} images are in {} already", done, images.size(), open.file.path()));
  if (open.lock && !open.lock->held()) {
    log_job(LogLevel::warning,
            formatted("the file system of {} has no locks: see to it yourself that no other job writes there",
                      open.file.path()));
  }
}

/// The lowest rank that complains is the first to speak; the others are ended by then.
[[noreturn]] void end_hanging_job(int rank, const std::string& complaint, EventLog& log) {
  log.event("hangs", {{"text", complaint}});
  std::this_thread::sleep_for(std::chrono::milliseconds(150) * std::min(rank, 20));
  std::fprintf(stderr, "dwgf restore: %s\n", complaint.c_str());
  end_all_ranks(static_cast<int>(ExitCode::rank_failed));
}

/// However long the others' images take: rank 0 hears from them every step, and the rest wait for rank 0.
void wait_for_the_others(const Communicator& world, Progress& progress, Watchdog& watchdog,
                         const std::function<void()>& meanwhile) {
  if (world.rank() == 0) {
    watchdog.enter("waiting for the other groups", true);
  } else {
    watchdog.rest();
  }
  std::int64_t heard = progress.heard();
  progress.finish([&] {
    meanwhile();
    if (std::exchange(heard, progress.heard()) != progress.heard()) watchdog.at("", -1);
  });
  watchdog.rest();
}

/// What a group counted, or all of them.
struct Tally {
  std::int64_t failed = 0, failed_for_input = 0, stopped = 0;
  std::int64_t redone = 0;  ///< network calls, in fp32
};

/// What all parts of a run share.
struct Run {
  Communicator& world;
  const Settings& settings;
  ScopedSignals& signals;
  EventLog& log;
  Watchdog& watchdog;

  const JobInput& input() const { return settings.as<JobInput>(); }
};

/// "photo.png: step 3 of 59 for 12 s", "reading the weights and listing the images, for 5 s".
std::string doing_now(const Watchdog& watchdog, std::int64_t steps) {
  const Watchdog::Doing doing = watchdog.doing(Watchdog::Clock::now());
  if (doing.resting) return "";
  const std::string time = "for " + human_duration(doing.seconds);
  if (doing.image.empty()) return formatted("{}, {}", doing.phase, time);
  if (doing.step < 0 || doing.step >= steps) return formatted("{}: {}, {}", doing.image, doing.phase, time);
  const std::string phase = doing.phase == "computing" ? "" : formatted(" ({})", doing.phase);
  return formatted("{}: step {} of {} {}{}", doing.image, doing.step + 1, steps, time, phase);
}

/// Answers the first signal that asks to stop, as long as it lives.
class StopAnswer {
 public:
  StopAnswer(ScopedSignals& signals, const Watchdog& watchdog, bool dry_run) : signals_(signals) {
    signals_.on_stop_asked([&watchdog, dry_run](bool terminates) {
      if (dry_run) {  // there is nothing to keep
        log_job(LogLevel::info, "stopped on request");
        std::fflush(stdout);
        std::_Exit(static_cast<int>(ExitCode::stopped));
      }
      const Watchdog::Doing doing = watchdog.doing(Watchdog::Clock::now());
      const std::string what = doing.step >= 0 ? std::string("this step") : doing.phase;
      const std::string length =
          doing.last_step > 0 ? formatted(" (about {})", human_duration(doing.last_step)) : std::string();
      log_job(LogLevel::info, formatted("stopping after {}{}{}", what, length,
                                        terminates ? "; once more to stop at once" : ""));
    });
  }
  ~StopAnswer() { signals_.on_stop_asked({}); }
  StopAnswer(const StopAnswer&) = delete;
  StopAnswer& operator=(const StopAnswer&) = delete;

 private:
  ScopedSignals& signals_;
};

/// What `run.time_limit` and the file RESULTS.stop ask for; the file is looked for by the first rank, which
/// tells the others.
StopConditions::Limits stop_limits(const Communicator& world, const JobInput& input) {
  StopConditions::Limits limits;
  if (input.dry_run) return limits;
  if (world.rank() == 0) limits.file = stop_file_of(input.store.out);
  const TimeLimit& limit = input.layout.time_limit;
  if (const double* seconds = std::get_if<double>(&limit)) limits.seconds = *seconds;
  if (std::holds_alternative<LimitOfSlurm>(limit)) limits.seconds = slurm_seconds_left();
  return limits;
}

/// What a step takes, by the last one and the one under way [s].
double step_seconds(const Watchdog& watchdog) {
  const Watchdog::Doing doing = watchdog.doing(Watchdog::Clock::now());
  return doing.step < 0 ? 0.0 : std::max(doing.last_step, doing.seconds);
}

/// 1. The job: its weights are read and its images listed.
std::unique_ptr<RestoreJob> load_job(const Run& run, const ComputeDevice& device) {
  run.watchdog.enter("reading the weights and listing the images");
  std::unique_ptr<RestoreJob> job;
  throw_on_all<CollectiveError>(
      run.world, [&] { job = std::make_unique<RestoreJob>(run.settings, run.world, device.device); });
  return job;
}

/// What can be said of it before it works. On rank 0; none on the others.
std::vector<Finding> findings_of(const Run& run, const RestoreJob& job, const GridPlace& place) {
  run.watchdog.enter("looking ahead");
  const std::vector<RankFacts> ranks = facts_of_all(run.world);
  std::vector<Finding> findings;
  throw_on_all<CollectiveError>(run.world, [&] {
    if (run.world.rank() != 0) return;
    findings = diagnose_binding(ranks, static_cast<int>(run.input().layout.threads));
    for (Finding& finding : look_ahead(job, {place.groups, place.group_size, ranks}))
      findings.push_back(std::move(finding));
  });
  return findings;
}

/// 2. The file that it goes on with.
OpenResults open_for(const Run& run, const RestoreJob& job, const GridPlace& place,
                     const ComputeDevice& device) {
  run.watchdog.enter("opening the results file");
  OpenResults open = open_results(run.world, job, place.groups);
  if (run.world.rank() == 0) print_start(open, job.images(), device);
  return open;
}

/// Over the world, counted by the groups' first ranks.
Tally summed(const Run& run, const Tally& tally, bool counts, StopFlag& stop_flag) {
  std::int64_t sums[4] = {counts * tally.failed, counts * tally.failed_for_input, counts * tally.stopped,
                          tally.redone};
  // A rank that has nothing left to do may be the one that is asked to stop the others.
  const auto counted = run.world.start_all_reduce_sum(sums);
  while (!counted->advance()) {
    stop_flag.stopping(run.signals.stop_requested());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {sums[0], sums[1], sums[2], sums[3]};
}

/// 3. The images, from one queue, until all are done or someone asks to stop. @return what all
/// groups counted
Tally restore_images(const Run& run, const RestoreJob& job, OpenResults& open, ProcessGrid& grid,
                     const ComputeDevice& device, StopFlag& stop_flag) {
  const GridPlace& place = grid.place();
  ProgressWork work{static_cast<std::int64_t>(open.rows.size()), step_count(job.flow())};
  for (const std::int64_t row : open.rows)
    work.pixels += pixels_of(job.images()[static_cast<std::size_t>(row)]);
  Progress progress(run.world, place.groups, place.group, place.group_rank == 0, work,
                    [&](const std::string& text) { open.lock->say(text); });
  WorkQueue queue(run.world, static_cast<std::int64_t>(open.rows.size()));
  Restoration restoration(
      job, open.file, grid.group(), device, run.log,
      {run.signals, stop_flag, progress, run.watchdog, run.input().layout.checkpoint_seconds}, place.group);
  Tally tally;
  for (;;) {
    run.watchdog.enter("taking an image from the queue", true);
    std::int64_t stop[1] = {stop_flag.stopping(run.signals.stop_requested())};
    grid.group().all_reduce_max(stop);
    if (stop[0]) {
      ++tally.stopped;
      break;
    }
    const std::optional<std::int64_t> item = take_collectively(queue, grid.group());
    if (!item) break;
    const Outcome outcome = restoration.restore(open.rows[static_cast<std::size_t>(*item)]);
    tally.stopped += outcome.stopped;
    if (outcome.stopped) break;
    tally.failed += outcome.failure.has_value();
    tally.failed_for_input += outcome.failure && outcome.failure->code() != ExitCode::some_images_failed;
    progress.image_done(outcome.failure.has_value());
  }
  wait_for_the_others(run.world, progress, run.watchdog,
                      [&] { stop_flag.stopping(run.signals.stop_requested()); });
  tally.redone = job.prior().retries->total();
  return summed(run, tally, place.group_rank == 0, stop_flag);
}

/// 4. What came of it.
ExitCode conclude(const Tally& tally, std::size_t images) {
  if (tally.redone > 0) {
    log_job(LogLevel::info,
            formatted("{} network calls left the range of half precision and were redone in fp32, which is "
                      "slower; the results hold the fp32 values (/diagnostics/redone says where). A wider "
                      "prior.unet_precision or prior.autoencoder_precision avoids it",
                      tally.redone));
  }
  if (tally.stopped) {
    log_job(LogLevel::info, "stopped on request; the same command goes on from there");
    return ExitCode::stopped;
  }
  if (tally.failed == 0) return ExitCode::ok;
  const bool all_bad = tally.failed_for_input == static_cast<std::int64_t>(images);
  return all_bad ? ExitCode::bad_data : ExitCode::some_images_failed;
}

ExitCode restore_logged(const Run& run) {
  Communicator& world = run.world;
  const WatchdogThread watching(
      run.watchdog, [&](const std::string& complaint) { end_hanging_job(world.rank(), complaint, run.log); });
  const StopAnswer answer(run.signals, run.watchdog, run.input().dry_run);
  StopConditions::Limits limits;
  throw_on_all<CollectiveError>(world, [&] { limits = stop_limits(world, run.input()); });
  const StopConditions stops(
      limits, [&] { return step_seconds(run.watchdog); },
      [&](const std::string& reason) {
        log_job(LogLevel::info, reason);
        run.signals.request_stop();
      });
  const std::int64_t steps = step_count(run.input().method.options);
  std::optional<Heartbeat> heartbeat;
  if (world.rank() == 0) heartbeat.emplace([&run, steps] { return doing_now(run.watchdog, steps); });
  const LayoutInput& layout = run.input().layout;
  const ComputeDevice device = compute_device(world, layout.device, layout.exchange);
  const std::unique_ptr<RestoreJob> job = load_job(run, device);
  ProcessGrid grid(
      world, static_cast<int>(std::min<std::int64_t>(run.input().layout.ranks_per_image, world.size())));
  const std::vector<Finding> findings = findings_of(run, *job, grid.place());
  if (run.input().dry_run) {
    run.watchdog.enter("measuring what a step takes");
    throw_on_all<CollectiveError>(world, [&] {
      if (world.rank() == 0) print_plan(*job, grid.place(), world.size(), device, findings);
    });
    return conclusion(findings);
  }
  throw_on_all<CollectiveError>(world, [&] {
    tell_findings(findings);
    for (const std::string& note : notes_on(*job)) log_job(LogLevel::info, note);
  });
  OpenResults open = open_for(run, *job, grid.place(), device);
  StopFlag stop_flag(world);
  const Tally tally = restore_images(run, *job, open, grid, device, stop_flag);
  close_results(world, open);
  return conclude(tally, job->images().size());
}

}  // namespace

ExitCode restore(Communicator& world, const Settings& settings, ScopedSignals& signals) {
  require_same_job(world, settings);
  const JobInput& input = settings.as<JobInput>();
  at::set_num_threads(static_cast<int>(input.layout.threads));
  std::optional<EventLog> log;
  throw_on_all<CollectiveError>(world, [&] { log.emplace(input.log_file, world.rank(), host_name()); });
  log->event("begins", {{"version", version()},
                        {"started_by", launcher_identity()},
                        {"ranks", std::int64_t{world.size()}},
                        {"results", input.store.out}});
  try {
    Watchdog watchdog({world.rank(), world.size(), host_name()},
                      Watchdog::Seconds(60.0 * input.layout.watchdog_minutes));
    const ExitCode code = restore_logged({world, settings, signals, *log, watchdog});
    log->event("ends", {{"code", std::int64_t{static_cast<int>(code)}}});
    return code;
  } catch (const std::exception& error) {
    log->event("error", {{"text", first_line(error.what())}});
    throw;
  }
}

}  // namespace dwgf
