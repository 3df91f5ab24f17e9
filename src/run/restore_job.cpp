#include <algorithm>
#include <optional>
#include <set>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/run/build.hpp>
#include <dwgf/run/launcher.hpp>
#include <dwgf/run/restore_job.hpp>

namespace dwgf {

namespace {

NumberType stored_type(const Settings& settings, const std::string& key) {
  return number_type_from_name(settings.text(key)).value_or(NumberType::none);
}

}  // namespace

RestoreJob::RestoreJob(const Settings& settings) : settings_(settings), flow_(flow_options(settings)) {
  if (settings_.text("input.data").empty()) {
    throw UsageError(
        "input.data is not set: name the images to restore (a folder, a .npy or FILE.h5:/dataset)");
  }
  if (settings_.text("store.out").empty()) {
    throw UsageError(
        "store.out is not set: name the results file to write, for example --store.out results.h5");
  }
  source_ = open_images(settings_.text("input.data"));
  const auto& all = source_->entries();
  const auto total = static_cast<std::int64_t>(all.size());
  const std::int64_t first = settings_.integer("input.first");
  const std::int64_t count = settings_.integer("input.count");
  if (first >= total) {
    throw UsageError(concat("input.first = ", first, " lies behind the last image: '",
                            settings_.text("input.data"), "' has ", total));
  }
  const std::int64_t last = count == 0 ? total : std::min(total, first + count);
  images_.assign(all.begin() + first, all.begin() + last);
  prior_ = build_prior(settings_);

  // One image that fits is enough to start; none means that the job as a whole is wrong.
  std::optional<Error> first_error;
  std::set<std::pair<std::uint32_t, std::uint32_t>> tried;
  bool any = false;
  for (const ImageEntry& image : images_) {
    if (any || !tried.insert({image.height, image.width}).second || image.height == 0) continue;
    try {
      forward_for(image);
      any = true;
    } catch (const Error& error) {
      if (!first_error) first_error = error;
    }
  }
  if (any) return;
  if (first_error) throw *first_error;
  source_->read(first, prior_->geometry().image_channels);  // says why not even the first has a size
  throw DataError(concat("input.data: no image in '", settings_.text("input.data"), "' can be read"));
}

std::shared_ptr<const ForwardOperator> RestoreJob::forward_for(const ImageEntry& image) const {
  try {
    prior_->geometry().canvas(image.height, image.width);
  } catch (const DataError& error) {
    throw DataError(concat("image '", image.name, "': ", error.what()));
  }
  return make_operator(
      settings_.text("problem.operator"),
      {{prior_->geometry().image_channels, image.height, image.width}, flow_.seed, image.id});
}

ResultsLayout RestoreJob::layout(const std::string& system) const {
  const PriorGeometry& geometry = prior_->geometry();
  std::int64_t height = 0, width = 0, latent_height = 0, latent_width = 0;
  std::vector<std::int64_t> measured;
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  for (const ImageEntry& image : images_) {
    height = std::max<std::int64_t>(height, image.height);
    width = std::max<std::int64_t>(width, image.width);
    if (!seen.insert({image.height, image.width}).second) continue;
    try {
      const Canvas canvas = geometry.canvas(image.height, image.width);
      latent_height = std::max(latent_height, canvas.latent_height);
      latent_width = std::max(latent_width, canvas.latent_width);
      const std::vector<std::int64_t> shape = forward_for(image)->measurement_shape();
      measured.resize(std::max(measured.size(), shape.size()), 1);
      for (std::size_t i = 0; i < shape.size(); ++i) measured[i] = std::max(measured[i], shape[i]);
    } catch (const Error&) {
      continue;  // told when the image's turn comes
    }
  }
  const std::vector<std::int64_t> image{geometry.image_channels, height, width};
  const auto records =
      static_cast<std::int64_t>(recorded_steps(step_count(flow_), flow_.record_every).size());

  ResultsLayout layout;
  layout.images = images_;
  layout.datasets = {{"/posterior/mean", NumberType::float32, image},
                     {"/posterior/std", NumberType::float32, image},
                     {"/truth/x", NumberType::float32, image},
                     {"/measurement/y", NumberType::float32, measured}};
  if (const NumberType type = stored_type(settings_, "store.particles"); type != NumberType::none) {
    layout.datasets.push_back({"/particles/x", type, {flow_.particles, image[0], image[1], image[2]}});
  }
  if (const NumberType type = stored_type(settings_, "store.latents"); type != NumberType::none) {
    layout.datasets.push_back(
        {"/particles/z", type, {flow_.particles, geometry.latent_channels, latent_height, latent_width}});
  }
  for (const std::string& name : Diagnostics::names()) {
    layout.datasets.push_back({"/diagnostics/" + name, NumberType::float32, {records}});
  }
  layout.attributes = {{"job", settings_.ini()},
                       {"version", version()},
                       {"prior_sha256", prior_->sha256()},
                       {"system", system}};
  return layout;
}

PreparedImage RestoreJob::prepare(std::int64_t row) const {
  const ImageEntry& image = images_[static_cast<std::size_t>(row)];
  PreparedImage prepared;
  const ImagePixels pixels =
      source_->read(settings_.integer("input.first") + row, prior_->geometry().image_channels);
  prepared.forward = forward_for(image);
  prepared.shape = {pixels.channels, pixels.height, pixels.width};
  prepared.truth = as_tensor(pixels);
  prepared.y =
      measure(*prepared.forward, prepared.truth, settings_.real("problem.sigma"), flow_.seed, image.id);
  return prepared;
}

}  // namespace dwgf
