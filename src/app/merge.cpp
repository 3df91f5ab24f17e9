#include "app/merge.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <dwgf/base/text.hpp>

#include "input/derived_jobs.hpp"
#include "input/stored_job.hpp"
#include "store/merge.hpp"

namespace dwgf {

namespace {

/// One of the files, as far as its job goes.
struct Part {
  ResultsSlice slice;
  std::int64_t images = 0;
  std::map<std::string, std::string> attributes;
  Settings job;
};

Part read_part(const std::string& path) {
  const ResultsFile results = ResultsFile::open_for_reading(path);
  const ResultsLayout& layout = results.layout();
  const Settings settings = stored_job(results.path(), layout.attributes);
  const std::int64_t first = settings.as<JobInput>().images.first;
  return {{path, first}, static_cast<std::int64_t>(layout.images.size()), layout.attributes, settings};
}

void require_same_job(const Part& first, const Part& other) {
  const std::string text = job_differences(slice_of(first.job, 0, 0), first.attributes,
                                           slice_of(other.job, 0, 0), other.attributes);
  if (text.empty()) return;
  throw UsageError(
      "'{}' (here) and '{}' (there) hold results of different jobs; nothing was written. These differ:{}",
      first.slice.path, other.slice.path, text);
}

/// One file twice adds nothing, and was not meant.
void require_different(const std::vector<std::string>& paths) {
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    const auto other = std::find_if(paths.begin(), path, [&](const std::string& earlier) {
      std::error_code ignored;
      return earlier == *path || std::filesystem::equivalent(earlier, *path, ignored);
    });
    if (other == path) continue;
    throw UsageError("'{}' is named twice{}; name each part of the results once", *path,
                     *other == *path ? "" : formatted(" (it is '{}' too)", *other));
  }
}

}  // namespace

ExitCode merge_command(const Settings& settings) {
  const std::string target = settings.as<MergeInput>().to;
  if (target.empty()) throw UsageError("--to is not set: name the results file to write");
  require_different(settings.positionals);
  std::vector<Part> parts;
  for (const std::string& path : settings.positionals) {
    parts.push_back(read_part(path));
    require_same_job(parts.front(), parts.back());
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.slice.first < b.slice.first; });
  std::vector<ResultsSlice> slices;
  std::int64_t first = parts.front().slice.first, last = first;
  for (const Part& part : parts) {
    slices.push_back(part.slice);
    last = std::max(last, part.slice.first + part.images);
  }

  // The slice that the merged file is the result of; everything else is the same in all parts.
  std::map<std::string, std::string> attributes = parts.front().attributes;
  attributes["job"] = slice_of(parts.front().job, first, last - first).ini();
  attributes["system"] =
      formatted("merged from {}{}{}", parts.size(), parts.size() == 1 ? " file; " : " files; ",
                parts.front().attributes["system"]);

  const MergeReport report = merge_results(slices, target, attributes);
  for (const RowRange& gap : report.gaps) {
    std::printf(
        "gap      rows %lld ... %lld: no file has them; restore them with --input.first %lld "
        "--input.count %lld, and merge again\n",
        static_cast<long long>(gap.first), static_cast<long long>(gap.last - 1),
        static_cast<long long>(gap.first), static_cast<long long>(gap.last - gap.first));
  }
  for (const DamagedImage& image : report.damaged) {
    std::printf("damaged  %s row %lld  %s: not carried over\n", image.path.c_str(),
                static_cast<long long>(image.row), image.name.c_str());
  }
  std::printf(
      "%s: rows %lld ... %lld of the data set from %zu files: %lld committed, %lld failed, %lld missing\n",
      target.c_str(), static_cast<long long>(first), static_cast<long long>(last - 1), parts.size(),
      static_cast<long long>(report.committed), static_cast<long long>(report.failed),
      static_cast<long long>(report.missing));
  if (!report.damaged.empty()) return ExitCode::bad_data;
  return report.gaps.empty() && report.failed == 0 && report.missing == 0 ? ExitCode::ok
                                                                          : ExitCode::some_images_failed;
}

}  // namespace dwgf
