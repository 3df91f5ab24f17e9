/// What a report shows of a results file, read image by image: memory does not grow with the number of images
/// beyond a few numbers each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "input/job_words.hpp"
#include "job/stored_image.hpp"
#include "report/evaluate.hpp"
#include "report/reliability.hpp"
#include "report/verdicts.hpp"
#include "store/time_shares.hpp"

namespace dwgf {

struct ReportLimits {
  std::int64_t pictures = 12;   ///< images whose pictures are shown
  std::int64_t sample = 2000;   ///< images that are measured, evenly spaced; 0: all
  std::int64_t curves = 200;    ///< of them, whose diagnostics are drawn
  std::int64_t timed = 100000;  ///< images whose timing is added up
};

struct Picture {
  std::string caption;
  std::string uri;  ///< data:image/png;base64,...
  std::int64_t height = 0, width = 0;
};

struct ShownImage {
  std::int64_t row = 0;
  std::string why;  ///< "worst", "slowest", "evenly spaced"; empty where all are shown
  ImageEvaluation evaluation;
  std::vector<Picture> pictures;
  std::string prompt;  ///< its own; empty where no image has one
};

/// A number of one image, for lists of the worst and the slowest.
struct RankedImage {
  std::int64_t row = 0;
  std::string name;
  double value = 0.0;
};

/// Median and central 80 % over images, by record.
struct Curve {
  std::vector<double> lower, median, upper;
};

struct GroupTiming {
  std::int64_t images = 0;
  double seconds = 0.0;  ///< summed over its images
  double slowest = 0.0;
  double waited = 0.0;  ///< mean over its ranks, summed over its images
};

struct ReportData {
  std::string path, label;
  std::map<std::string, std::string> attributes;
  Settings job;
  JobWords words;  ///< of it
  std::string baseline_name;
  std::vector<QualityMetric> quality;
  std::vector<PosteriorMetric> posterior;
  PosteriorContext context;

  std::int64_t total = 0, done = 0, failed = 0;
  Summary summary;
  std::vector<Verdict> verdicts = {};  ///< of the images that are measured
  std::vector<ShownImage> shown = {};
  std::string worst_by = {};  ///< the number that `worst` lists
  std::vector<RankedImage> worst = {}, slowest = {};
  std::vector<std::pair<std::string, std::string>> failures = {};  ///< name and reason, the first of them

  std::vector<std::int64_t> steps = {};  ///< of the records
  std::map<std::string, Curve> curves = {};
  std::int64_t curve_images = 0;

  std::vector<std::pair<double, MeanOverImages>> coverage = {};  ///< by nominal level, of stored particles
  std::vector<ReliabilityClass> reliability = {};                ///< by predicted deviation

  std::map<std::int64_t, GroupTiming> groups = {};  ///< none where the file does not say
  std::int64_t timed_images = 0;
  TimeShares shares = {};
  std::vector<std::pair<double, double>> seconds_by_row = {};  ///< some, evenly spaced
};

/// @param label  of the file among several; empty for one alone, of which more pictures are shown
/// @param like   whose shown images, by identity, are shown of this file too; nullptr: chosen here
ReportData read_report_data(const std::string& path, const std::string& label, const JudgeInput& judge,
                            const ReportLimits& limits, const ReportData* like);

}  // namespace dwgf
