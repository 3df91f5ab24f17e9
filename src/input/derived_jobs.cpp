#include "input/derived_jobs.hpp"

#include <functional>

#include <dwgf/base/error.hpp>

#include "input/detail/rows.hpp"

namespace dwgf {

namespace {

/// What a file says stands, unless the user says something else.
void take(Settings& job, const std::string& key, const std::string& value, const std::string& path,
          bool may_differ) {
  if (!job.given(key)) {
    job.set(key, value, path);
  } else if (!may_differ && job.text(key) != value) {
    throw UsageError("{} = '{}', but {} was measured with '{}'; leave the option out", key, job.text(key),
                     path, value);
  }
}

/// Sets what `given` gives and what decides nothing of a result; refuses the rest.
void lay_out(Settings& job, const Settings& given, const std::function<void(const std::string&)>& refuse) {
  for (const OptionSpec& option : given.command().options) {
    if (!given.given(option.key)) continue;
    if (option.identity || option.key.starts_with("input.")) refuse(option.key);
    job.set(option.key, given.text(option.key), "command line");
  }
}

}  // namespace

void take_measured(Settings& job, const MeasuredWith& file) {
  if (file.forward) {
    const bool leaves_open = job.text("problem.operator").find('?') != std::string::npos;
    take(job, "problem.operator", *file.forward, file.path, /*may_differ=*/leaves_open);
  } else if (!job.given("problem.operator")) {
    throw UsageError(
        "{} does not say by which operator it was measured (attribute operator); set problem.operator",
        file.path);
  }
  if (file.noise) take(job, "problem.noise", *file.noise, file.path, /*may_differ=*/false);
  if (file.lists_sigma) {
    take(job, "problem.sigma", "file", file.path, /*may_differ=*/true);
  } else if (job.text("problem.sigma") == "file") {
    throw UsageError(
        "problem.sigma = file: {} does not list a level an image (attribute sigma, one value each); set a "
        "number, or estimate",
        file.path);
  } else if (file.sigma) {
    take(job, "problem.sigma", number_text(*file.sigma), file.path, /*may_differ=*/true);
  } else if (!job.given("problem.sigma")) {
    throw UsageError(
        "{} does not say how much noise it has (attribute sigma); set problem.sigma, to 'estimate' for an "
        "estimate from each image",
        file.path);
  }
}

Settings rerun_of(const std::string& path, Settings stored, const Settings& given) {
  stored.set("store.out", path + ".rerun.h5", "rerun");
  lay_out(stored, given, [&](const std::string& key) {
    throw UsageError("{} cannot be given with --rerun, which takes it from {}; leave it out", key, path);
  });
  return stored;
}

Settings resumed(const std::string& path, Settings stored, const Settings& given) {
  const auto refuse = [&](const std::string& key) {
    throw UsageError("{} cannot be given beside the results file {}, whose job says it; leave it out", key,
                     path);
  };
  for (const char* key : {"store.out", "rerun", "image"})
    if (given.given(key)) refuse(key);
  lay_out(stored, given, refuse);
  stored.set("store.out", path, "command line");
  return stored;
}

Settings slice_of(Settings job, std::int64_t first, std::int64_t count) {
  job.set("input.first", number_text(first), "slice");
  job.set("input.count", number_text(count), "slice");
  return job;
}

}  // namespace dwgf
