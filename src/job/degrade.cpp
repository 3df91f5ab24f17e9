#include "job/degrade.hpp"

#include <atomic>
#include <cstdio>
#include <limits>
#include <optional>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/log.hpp"
#include "comm/throw_on_all.hpp"
#include "flow/tensor_bytes.hpp"
#include "job/operator_files.hpp"
#include "job/problems.hpp"
#include "job/tensors.hpp"
#include "service/heartbeat.hpp"
#include "service/launcher.hpp"
#include "store/measurements.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

DegradeInput checked(DegradeInput input) {
  if (input.out.empty())
    throw UsageError(
        "store.out is not set: name the measurements file to write, for example --store.out y.h5");
  if (is_measurements_file(input.images.data)) {
    throw UsageError("input.data: '{}' holds measurements already; `degrade` takes clean images",
                     input.images.data);
  }
  input.problem.forward = with_module_hashes(input.problem.forward);
  return input;
}

/// The images' measurements as they are written.
class DegradeJob {
 public:
  DegradeJob(const Settings& settings, Communicator& ranks)
      : input_(checked(settings.as<DegradeInput>())),
        ini_(settings.ini()),
        source_(input_.images, input_.problem, input_.seed, ranks) {
    find_shapes();
  }

  std::int64_t count() const { return static_cast<std::int64_t>(source_.images().size()); }
  std::vector<std::string> warnings() const { return source_.warnings(); }
  const std::string& name(std::int64_t row) const {
    return source_.images()[static_cast<std::size_t>(row)].name;
  }

  MeasurementsLayout layout() const {
    MeasurementsLayout layout;
    layout.images = source_.images();
    for (const auto& [path, shape] : rows_) layout.datasets.push_back({path, NumberType::float32, shape});
    layout.constants = shared_;
    layout.sigma = input_.problem.given_sigma();
    layout.image_shape = image_shape_;
    layout.units = source_.units();
    layout.attributes = {{"operator", carried_spec(input_.problem.forward, /*drawn=*/true)},
                         {"noise", input_.problem.noise},
                         {"job", ini_},
                         {"version", version()}};
    return layout;
  }

  /// Writes row `row`: all of it NaN if it cannot be measured, which is thrown on.
  void write(MeasurementsWriter& writer, std::int64_t row) const {
    std::map<std::string, at::Tensor> values;
    std::optional<Error> failure;
    try {
      const ImageProblem problem = source_.read(row, input_.channels);
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
    bool any = false;
    const auto error = visit_sizes(source_.images(), /*others_may_do=*/true, [&](std::int64_t row) {
      const ImageEntry& image = source_.images()[static_cast<std::size_t>(row)];
      const ImageProblem problem = source_.read(row, input_.channels);
      grow(image_shape_, {input_.channels, image.height, image.width});
      grow(rows_[schema::kMeasurement.path], problem.y.sizes());
      for (const auto& array : source_.arrays()) {
        const at::Tensor& values = problem.arrays.at(array.use.name);
        if (array.per_image) {
          grow(rows_[schema::kOperatorArray.named(array.use.name)], values.sizes());
        } else if (!any) {
          const at::Tensor v = values.to(at::kFloat).contiguous();
          shared_[array.use.name] = {v.sizes().vec(), {v.data_ptr<float>(), v.data_ptr<float>() + v.numel()}};
        }
      }
      any = true;
    });
    if (!any) throw *error;
    if (input_.stores_truth) rows_[schema::kTruth.path] = image_shape_;
  }

  DegradeInput input_;
  std::string ini_;
  CleanImages source_;
  std::vector<std::int64_t> image_shape_;
  std::map<std::string, std::vector<std::int64_t>> rows_;  // row shapes by dataset
  std::map<std::string, FloatArray> shared_;
};

}  // namespace

ExitCode degrade(Communicator& world, const Settings& settings) {
  at::set_num_threads(1);
  std::atomic<std::int64_t> measured = -1;  // rows up to here, by the first rank
  std::optional<DegradeJob> job;
  std::optional<Heartbeat> heartbeat;
  if (world.rank() == 0) {
    heartbeat.emplace([&] {
      const std::int64_t rows = measured.load();
      return rows < 0 ? std::string("listing the images, and measuring one of every size")
                      : formatted("{} of {} images measured", rows, job->count());
    });
  }
  throw_on_all<CollectiveError>(world, [&] { job.emplace(settings, world); });
  std::optional<MeasurementsWriter> writer;
  const std::string& path = settings.as<DegradeInput>().out;
  throw_on_all<CollectiveError>(world, [&] { writer.emplace(path, job->layout(), world); });

  if (world.rank() == 0)
    for (const std::string& warning : job->warnings()) log_job(LogLevel::warning, warning);
  std::int64_t failed[1] = {0};
  measured = 0;
  for (std::int64_t row = world.rank(); row < job->count(); row += world.size()) {
    try {
      job->write(*writer, row);
    } catch (const IoError&) {
      throw;
    } catch (const Error& error) {
      log_rank(LogLevel::info, formatted("{}: {}", job->name(row), error.what()));
      ++failed[0];
    }
    measured = std::min<std::int64_t>(row + world.size(), job->count());
  }
  world.all_reduce_sum(failed);
  throw_on_all<CollectiveError>(world, [&] { writer->publish(); });
  log_job(LogLevel::info,
          formatted("{} images to {}, {} of them not measured", job->count(), path, failed[0]));
  return failed[0] == 0 ? ExitCode::ok : ExitCode::some_images_failed;
}

}  // namespace dwgf
