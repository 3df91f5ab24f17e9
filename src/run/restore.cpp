#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <dwgf/base/text.hpp>
#include <dwgf/comm/grid.hpp>
#include <dwgf/flow/diverged.hpp>
#include <dwgf/run/dry_run.hpp>
#include <dwgf/run/image_writer.hpp>
#include <dwgf/run/progress.hpp>
#include <dwgf/run/restore.hpp>
#include <dwgf/run/restore_job.hpp>
#include <dwgf/run/together.hpp>

namespace dwgf {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string describe_system(const Communicator& world) {
  return concat("host ", host_name(), "; ", world.size(), " ranks; LibTorch ", TORCH_VERSION, ", ",
                at::get_cpu_capability(), ", ", at::get_num_threads(), " threads a rank");
}

/// Refuses to go on with a file that another job, prior or data set made.
void require_same_job(const ResultsFile& results, const RestoreJob& job, const ResultsLayout& wanted) {
  const ResultsLayout& found = results.layout();
  std::vector<std::string> differences =
      job.settings().differences(parse_job_text(found.attributes.at("job")));
  if (found.attributes.at("prior_sha256") != wanted.attributes.at("prior_sha256"))
    differences.push_back("the prior's weights");
  const auto same = [](const ImageEntry& a, const ImageEntry& b) {
    return a.id == b.id && a.height == b.height && a.width == b.width;
  };
  if (!std::equal(found.images.begin(), found.images.end(), wanted.images.begin(), wanted.images.end(),
                  same)) {
    differences.push_back("the list of images");
  }
  if (differences.empty()) return;
  std::string text;
  for (const std::string& difference : differences) text += "\n  " + difference;
  throw UsageError(
      concat("store.out: '", results.path(),
             "' holds the results of a different job; it is left as it is. These differ:", text,
             "\nName another store.out, or set the options as they were to go on with this one"));
}

ResultsFile open_results(Communicator& world, const RestoreJob& job) {
  const std::string path = job.settings().text("store.out");
  const ResultsLayout layout = job.layout(describe_system(world));
  std::int64_t exists = 0;
  together(world, [&] {
    if (world.rank() != 0) return;
    std::error_code error;
    const std::filesystem::file_type type = std::filesystem::status(path, error).type();
    if (type == std::filesystem::file_type::none) {
      throw IoError(
          concat("store.out: '", path, "' cannot be looked at (", error.message(), "); name another file"));
    }
    exists = type != std::filesystem::file_type::not_found;
  });
  world.broadcast(std::as_writable_bytes(std::span(&exists, 1)), 0);
  std::optional<ResultsFile> results;
  if (exists) {
    together(world, [&] {
      try {
        results = ResultsFile::open_for_writing(path, world);
      } catch (const DataError& error) {
        throw DataError(
            concat("store.out: ", error.what(), ". The file is left as it is; name another store.out"));
      }
    });
    together(world, [&] { require_same_job(*results, job, layout); });
  } else {
    together(world, [&] { results = ResultsFile::create(path, layout, world); });
  }
  return std::move(*results);
}

/// The rows that are not committed, as rank 0 sees them: failed ones are tried again.
std::vector<std::int64_t> rows_to_do(Communicator& world, const ResultsFile& results) {
  std::vector<std::int64_t> done(results.layout().images.size());
  if (world.rank() == 0) {
    const std::vector<ImageState> states = results.states();
    std::transform(states.begin(), states.end(), done.begin(),
                   [](ImageState state) { return state == ImageState::committed ? 1 : 0; });
  }
  world.broadcast(std::as_writable_bytes(std::span(done)), 0);
  std::vector<std::int64_t> rows;
  for (std::size_t row = 0; row < done.size(); ++row) {
    if (!done[row]) rows.push_back(static_cast<std::int64_t>(row));
  }
  return rows;
}

/// Solves and stores one image. Returns the error that made it fail, or nothing.
std::optional<Error> restore_image(ResultsFile& results, std::int64_t row, const RestoreJob& job,
                                   Communicator& group, Progress& progress) {
  const Clock::time_point start = Clock::now();
  std::optional<Error> failure;
  try {
    PreparedImage image;
    together(group, [&] { image = job.prepare(row); });
    const Problem problem{job.prior(), *image.forward, image.y, image.shape,
                          job.images()[static_cast<std::size_t>(row)].id};
    const Solution solution =
        solve(problem, job.flow(), group, [&](std::int64_t, std::int64_t) { progress.step_done(); });
    write_image(results, row, job, image, solution, group, seconds_since(start));
  } catch (const AgreedError& error) {
    failure = error;
  } catch (const Diverged& error) {
    failure = error;
  }
  if (failure && group.rank() == 0) {
    progress.tell_failure(job.images()[static_cast<std::size_t>(row)].name, failure->what());
    results.fail(row, failure->what(), static_cast<float>(seconds_since(start)));
  }
  return failure;
}

}  // namespace

ExitCode restore(Communicator& world, const Settings& settings) {
  at::set_num_threads(static_cast<int>(settings.integer("run.threads")));
  std::optional<RestoreJob> job;
  together(world, [&] { job.emplace(settings); });
  ProcessGrid grid(
      world, static_cast<int>(std::min<std::int64_t>(settings.integer("run.ranks_per_image"), world.size())));
  const GridPlace& place = grid.place();
  if (settings.flag("dry-run")) {
    together(world, [&] {
      if (world.rank() == 0) print_plan(*job, place, world.size());
    });
    return ExitCode::ok;
  }

  ResultsFile results = open_results(world, *job);
  const std::vector<std::int64_t> rows = rows_to_do(world, results);
  if (world.rank() == 0) {
    print_warnings(*job, place);
    const std::size_t done = job->images().size() - rows.size();
    if (done)
      std::fprintf(stderr, "restore: %zu of %zu images are in %s already\n", done, job->images().size(),
                   results.path().c_str());
  }

  Progress progress(world, place.groups, place.group, place.group_rank == 0,
                    static_cast<std::int64_t>(rows.size()), step_count(job->flow()));
  std::int64_t outcome[2] = {0, 0};  // failed, failed for bad input; counted by the groups' first ranks
  for (std::size_t i = static_cast<std::size_t>(place.group); i < rows.size();
       i += static_cast<std::size_t>(place.groups)) {
    const std::optional<Error> failure = restore_image(results, rows[i], *job, grid.group(), progress);
    if (failure && place.group_rank == 0) {
      ++outcome[0];
      outcome[1] += failure->code() != ExitCode::some_images_failed;
    }
    progress.image_done(failure.has_value());
  }
  progress.finish();
  world.all_reduce_sum(outcome);
  results.close();

  if (outcome[0] == 0) return ExitCode::ok;
  const bool all_bad = outcome[1] == static_cast<std::int64_t>(job->images().size());
  return all_bad ? ExitCode::bad_data : ExitCode::some_images_failed;
}

}  // namespace dwgf
