#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/run/build.hpp>
#include <dwgf/run/stored_image.hpp>

namespace dwgf {

namespace {

/// Beyond this size the dense linear estimate is not worth its memory.
constexpr std::int64_t kLargestLinearMmse = 4096;

at::Tensor cut(const at::Tensor& array, at::IntArrayRef shape) {
  at::Tensor view = array;
  const std::int64_t skipped = array.dim() - static_cast<std::int64_t>(shape.size());
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    view = view.narrow(skipped + static_cast<std::int64_t>(dim), 0, shape[dim]);
  }
  return view.contiguous();
}

std::optional<GaussianImages> statistics_of(const Settings& job) {
  try {
    return image_statistics(job.text("prior.path"));
  } catch (const NotFoundError&) {
    return std::nullopt;  // the prior has moved since: its statistics are not to be had
  }
}

}  // namespace

StoredImages::StoredImages(const std::string& path)
    : file_(ResultsFile::open_for_reading(path)),
      job_(parse_job_text(file_.layout().attributes.at("job"))),
      statistics_(statistics_of(job_)) {}

StoredImages::~StoredImages() = default;

std::shared_ptr<const ForwardOperator> StoredImages::forward_for(const ImageEntry& image,
                                                                 std::int64_t channels) const {
  return make_operator(job_.text("problem.operator"),
                       {{channels, image.height, image.width}, job_.unsigned_integer("flow.seed"), image.id});
}

std::string StoredImages::baseline_name() const {
  const std::int64_t channels = file_.layout().find("/posterior/mean")->row_shape[0];
  for (const ImageEntry& image : file_.layout().images) {
    try {
      return forward_for(image, channels)->trivial_inverse_name();
    } catch (const Error&) {
      continue;
    }
  }
  return {};
}

at::Tensor StoredImages::array(const std::string& dataset, std::int64_t row) const {
  const DatasetLayout* layout = file_.layout().find(dataset);
  if (!layout) return {};
  const std::vector<float> values = file_.read_floats(dataset, row);
  return at::tensor(at::ArrayRef<float>(values)).reshape(layout->row_shape);
}

StoredImage StoredImages::read(std::int64_t row) {
  const ImageEntry& entry = file_.layout().images[static_cast<std::size_t>(row)];
  StoredImage image{entry.id, entry.name, {}, {}, {}, {}, {}, {}, {}};
  const std::int64_t channels = file_.layout().find("/posterior/mean")->row_shape[0];
  const std::int64_t size[3] = {channels, entry.height, entry.width};
  image.mean = cut(array("/posterior/mean", row), size);
  image.std = cut(array("/posterior/std", row), size);
  if (const at::Tensor truth = array("/truth/x", row); truth.defined()) image.truth = cut(truth, size);
  if (const at::Tensor particles = array("/particles/x", row); particles.defined())
    image.particles = cut(particles, size);

  const auto forward = forward_for(entry, channels);
  image.measurement = cut(array("/measurement/y", row), forward->measurement_shape());
  if (const at::Tensor baseline =
          forward->trivial_inverse(image.measurement.unsqueeze(0), job_.real("problem.sigma"));
      baseline.defined()) {
    image.baseline = baseline.squeeze(0);
  }
  if (statistics_ && forward->is_linear() && image.mean.numel() <= kLargestLinearMmse &&
      statistics_->mean.sizes() == image.mean.sizes()) {
    const std::string& spec = job_.text("problem.operator");
    const std::string key = depends_on_image(spec) ? concat(spec, " ", entry.id) : spec;
    if (!linear_mmse_ || key != linear_mmse_key_) {
      linear_mmse_.emplace(*statistics_, forward, job_.real("problem.sigma"));
      linear_mmse_key_ = key;
    }
    image.linear_mmse = linear_mmse_->estimate(image.measurement).to(at::kFloat);
  }
  return image;
}

}  // namespace dwgf
