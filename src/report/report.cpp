#include "report/report.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include <dwgf/base/text.hpp>

#include "base/log.hpp"
#include "report/report_page.hpp"

namespace dwgf {

namespace {

namespace fs = std::filesystem;

/// A short name for each file: its own, or the path where two are alike; empty for one alone.
std::vector<std::string> labels_of(const std::vector<std::string>& paths) {
  if (paths.size() == 1) return {""};
  std::set<std::string> stems;
  for (const std::string& path : paths) stems.insert(fs::path(path).stem().string());
  std::vector<std::string> labels;
  for (const std::string& path : paths)
    labels.push_back(stems.size() == paths.size() ? fs::path(path).stem().string() : path);
  return labels;
}

std::string target_of(const std::vector<std::string>& files, const std::string& named) {
  const std::string target =
      named.empty() ? fs::path(files.front()).replace_extension(".html").string() : named;
  std::error_code ignored;
  for (const std::string& file : files) {
    if (target == file || fs::equivalent(target, file, ignored))
      throw UsageError("--to '{}' is one of the results files; name another file", target);
  }
  if (fs::is_directory(target, ignored))
    throw UsageError("--to '{}' is a folder; name the file to write", target);
  return target;
}

/// Aside, and renamed.
void write_page(const std::string& target, const std::string& page) {
  const std::string aside = target + ".writing";
  const auto refuse = [&] {
    const int error = errno;
    std::error_code ignored;
    fs::remove(aside, ignored);
    throw IoError("'{}' cannot be written ({}); name another file by --to, or make room", target,
                  std::strerror(error));
  };
  errno = 0;
  std::ofstream out(aside, std::ios::binary);
  out << page;
  out.close();
  if (!out) refuse();
  if (std::rename(aside.c_str(), target.c_str()) != 0) refuse();
}

}  // namespace

ExitCode report_command(const Settings& settings) {
  const ReportInput& input = settings.as<ReportInput>();
  const std::string target = target_of(settings.positionals, input.to);
  ReportLimits limits;
  limits.pictures = input.pictures;
  limits.sample = input.sample;
  const std::vector<std::string> labels = labels_of(settings.positionals);
  std::vector<ReportData> results;
  for (std::size_t k = 0; k < labels.size(); ++k) {
    const std::string& path = settings.positionals[k];
    results.push_back(
        read_report_data(path, labels[k], input.judge, limits, results.empty() ? nullptr : &results.front()));
  }
  const std::string page = report_page(results);
  write_page(target, page);
  log_job(LogLevel::info, human_bytes(page.size()));
  std::printf("%s\n", target.c_str());
  return ExitCode::ok;
}

}  // namespace dwgf
