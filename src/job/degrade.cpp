#include "job/degrade.hpp"

#include <cstdio>
#include <limits>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/log.hpp"
#include "comm/throw_on_all.hpp"
#include "job/operator_files.hpp"
#include "job/problem_source.hpp"
#include "service/launcher.hpp"
#include "store/measurements.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

std::span<const std::byte> bytes_of(const at::Tensor& values) {
  return std::as_bytes(std::span(values.data_ptr<float>(), static_cast<std::size_t>(values.numel())));
}

void grow(std::vector<std::int64_t>& shape, at::IntArrayRef other) {
  shape.resize(std::max(shape.size(), other.size()), 1);
  for (std::size_t d = 0; d < other.size(); ++d) shape[d] = std::max(shape[d], other[d]);
}

/// The images' measurements as they are written.
class DegradeJob {
 public:
  DegradeJob(const Settings& given, Communicator& ranks) : settings_(given), source_(settings_, ranks) {
    if (settings_.text("store.out").empty())
      throw UsageError(
          "store.out is not set: name the measurements file to write, for example --store.out y.h5");
    if (source_.channels()) {
      throw UsageError(concat("input.data: '", settings_.text("input.data"),
                              "' holds measurements already; `degrade` takes clean images"));
    }
    channels_ = settings_.integer("input.channels");
    keeps_truth_ = settings_.text("store.truth") == "yes";
    find_shapes();
  }

  const Settings& settings() const { return settings_; }
  std::int64_t count() const { return static_cast<std::int64_t>(source_.images().size()); }
  const std::string& name(std::int64_t row) const {
    return source_.images()[static_cast<std::size_t>(row)].name;
  }

  MeasurementsLayout layout() const {
    MeasurementsLayout layout;
    layout.images = source_.images();
    for (const auto& [path, shape] : rows_) layout.datasets.push_back({path, NumberType::float32, shape});
    layout.constants = shared_;
    layout.sigma = settings_.real("problem.sigma");
    layout.image_shape = image_shape_;
    layout.attributes = {{"operator", carried_spec(settings_.text("problem.operator"), /*drawn=*/true)},
                         {"noise", settings_.text("problem.noise")},
                         {"job", settings_.ini()},
                         {"version", version()}};
    return layout;
  }

  /// Writes row `row`: all of it NaN if it cannot be measured, which is thrown on.
  void write(MeasurementsWriter& writer, std::int64_t row) const {
    std::map<std::string, at::Tensor> values;
    std::optional<Error> failure;
    try {
      const ImageProblem problem = source_.read(row, channels_);
      values[schema::kMeasurement.path] = problem.y;
      values[schema::kTruth.path] = problem.truth;
      for (const auto& [name, array] : problem.arrays)
        values[schema::kOperatorArray.named(name)] = array.to(at::kFloat);
    } catch (const Error& error) {
      failure = error;
    }
    for (const auto& [path, shape] : rows_) {
      const at::Tensor stored = failure ? at::full(shape, std::numeric_limits<float>::quiet_NaN())
                                        : embedded(values.at(path).contiguous(), shape);
      writer.write(path, row, bytes_of(stored));
    }
    if (failure) throw *failure;
  }

 private:
  /// The largest shapes, from one image of every size; shared arrays from the first that works.
  void find_shapes() {
    std::optional<Error> first_error;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
    bool any = false;
    for (std::int64_t row = 0; row < count(); ++row) {
      const ImageEntry& image = source_.images()[static_cast<std::size_t>(row)];
      const std::pair size{image.height, image.width};
      if (std::find(seen.begin(), seen.end(), size) != seen.end()) continue;
      try {
        const ImageProblem problem = source_.read(row, channels_);
        seen.push_back(size);
        grow(image_shape_, {channels_, image.height, image.width});
        grow(rows_[schema::kMeasurement.path], problem.y.sizes());
        for (const auto& array : source_.arrays()) {
          const at::Tensor& values = problem.arrays.at(array.use.name);
          if (array.per_image) {
            grow(rows_[schema::kOperatorArray.named(array.use.name)], values.sizes());
          } else if (!any) {
            const at::Tensor v = values.to(at::kFloat).contiguous();
            shared_[array.use.name] = {v.sizes().vec(),
                                       {v.data_ptr<float>(), v.data_ptr<float>() + v.numel()}};
          }
        }
        any = true;
      } catch (const Error& error) {
        if (!first_error) first_error = error;
      }
    }
    if (!any) throw *first_error;
    if (keeps_truth_) rows_[schema::kTruth.path] = image_shape_;
  }

  Settings settings_;
  ProblemSource source_;
  std::int64_t channels_ = 1;
  bool keeps_truth_ = true;
  std::vector<std::int64_t> image_shape_;
  std::map<std::string, std::vector<std::int64_t>> rows_;  // row shapes by dataset
  std::map<std::string, FloatArray> shared_;
};

}  // namespace

ExitCode degrade(Communicator& world, const Settings& settings) {
  at::set_num_threads(1);
  std::optional<DegradeJob> job;
  throw_on_all<CollectiveError>(world, [&] { job.emplace(settings, world); });
  std::optional<MeasurementsWriter> writer;
  const std::string path = job->settings().text("store.out");
  throw_on_all<CollectiveError>(world, [&] { writer.emplace(path, job->layout(), world); });

  std::int64_t failed[1] = {0};
  for (std::int64_t row = world.rank(); row < job->count(); row += world.size()) {
    try {
      job->write(*writer, row);
    } catch (const IoError&) {
      throw;
    } catch (const Error& error) {
      log_rank(LogLevel::info, concat(job->name(row), ": ", error.what()));
      ++failed[0];
    }
  }
  world.all_reduce_sum(failed);
  throw_on_all<CollectiveError>(world, [&] { writer->publish(); });
  log_job(LogLevel::info,
          concat(job->count(), " images to ", path, ", ", failed[0], " of them not measured"));
  return failed[0] == 0 ? ExitCode::ok : ExitCode::some_images_failed;
}

}  // namespace dwgf
