#include "job/from_results.hpp"

#include <cstdio>

#include "comm/throw_on_all.hpp"
#include "input/derived_jobs.hpp"
#include "input/stored_job.hpp"
#include "job/restore.hpp"
#include "store/results.hpp"

namespace dwgf {

namespace {

/// Collective; read by the first rank. Every rank throws what is wrong with the file.
Settings job_of(Communicator& world, const std::string& path) {
  std::string job;
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    const ResultsFile file = ResultsFile::open_for_reading(path);
    stored_job(file.path(), file.layout().attributes);
    job = file.layout().attributes.at("job");
  });
  return parse_job_text(world.broadcast_text(job, 0));
}

/// One line an image; true where all are the same.
bool compare(const std::string& path, const JobInput& again) {
  const ResultsFile before = ResultsFile::open_for_reading(path),
                    after = ResultsFile::open_for_reading(again.store.out);
  if (stored_prior_hash(before.layout().attributes) != stored_prior_hash(after.layout().attributes))
    std::printf("the prior's weights are not those of %s\n", path.c_str());
  const std::int64_t first = again.image.value_or(0);
  bool all = true;
  for (std::size_t k = 0; k < after.layout().images.size(); ++k) {
    const auto row = static_cast<std::int64_t>(k);
    const bool done = after.state(row) == ImageState::committed;
    const bool same = done && after.stored_crc32(row) == before.stored_crc32(first + row);
    std::printf("%-9s %lld  %s\n",
                same   ? "same"
                : done ? "different"
                       : "failed",
                static_cast<long long>(first + row), after.layout().images[k].name.c_str());
    all = all && same;
  }
  if (!all)
    std::printf(
        "other bits come from another kind of processor, version of LibTorch or weights, or from a "
        "fault\n");
  return all;
}

}  // namespace

ExitCode rerun(Communicator& world, const Settings& settings, ScopedSignals& signals) {
  const JobInput& input = settings.as<JobInput>();
  const std::string& path = input.rerun;
  const Settings again = rerun_of(path, job_of(world, path), settings);
  const ExitCode code = restore(world, again, signals);
  if (input.dry_run || (code != ExitCode::ok && code != ExitCode::some_images_failed)) return code;
  std::int64_t same = 0;
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() == 0) same = compare(path, again.as<JobInput>());
  });
  world.broadcast(std::as_writable_bytes(std::span(&same, 1)), 0);
  return code == ExitCode::ok && !same ? ExitCode::some_images_failed : code;
}

Settings resumed_job(Communicator& world, const Settings& given) {
  const std::string& path = given.positionals.front();
  try {
    return resumed(path, job_of(world, path), given);
  } catch (const CollectiveError& error) {
    throw CollectiveError(
        error.code(),
        formatted("{}. `dwgf restore RESULTS` goes on with a results file; images are named by --input.data",
                  error.what()));
  }
}

}  // namespace dwgf
