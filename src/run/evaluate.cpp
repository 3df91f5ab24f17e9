#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include <dwgf/metric/image_quality.hpp>
#include <dwgf/run/evaluate.hpp>
#include <dwgf/run/stored_image.hpp>

namespace dwgf {

namespace {

using Metric = double (*)(const at::Tensor&, const at::Tensor&);

/// The scores' fields by their names in tables and JSON.
constexpr std::pair<const char*, std::optional<double> Scores::*> kColumns[] = {
    {"measurement", &Scores::measurement},
    {"baseline", &Scores::baseline},
    {"linear_mmse", &Scores::linear_mmse},
    {"mean", &Scores::mean},
    {"particle", &Scores::particle}};

std::optional<double> score(Metric metric, const at::Tensor& x, const at::Tensor& truth) {
  if (!x.defined() || !truth.defined() || x.sizes() != truth.sizes()) return std::nullopt;
  const double value = metric(x, truth);
  return std::isnan(value) ? std::nullopt : std::optional(value);
}

Scores scores(Metric metric, const StoredImage& image) {
  Scores result{score(metric, image.measurement, image.truth), score(metric, image.baseline, image.truth),
                score(metric, image.linear_mmse, image.truth), score(metric, image.mean, image.truth),
                std::nullopt};
  if (!image.particles.defined()) return result;
  double sum = 0.0;
  for (std::int64_t i = 0; i < image.particles.size(0); ++i) {
    const std::optional<double> one = score(metric, image.particles[i], image.truth);
    if (!one) return result;
    sum += *one;
  }
  result.particle = sum / static_cast<double>(image.particles.size(0));
  return result;
}

Scores averaged(const std::vector<ImageEvaluation>& images, Scores ImageEvaluation::*which) {
  Scores means;
  for (const auto& [name, field] : kColumns) {
    double sum = 0.0;
    int count = 0;
    for (const ImageEvaluation& image : images) {
      if (const std::optional<double>& value = (image.*which).*field) {
        sum += *value;
        ++count;
      }
    }
    if (count) means.*field = sum / count;
  }
  return means;
}

nlohmann::ordered_json to_json(const Scores& values) {
  nlohmann::ordered_json object;
  for (const auto& [name, field] : kColumns) {
    const std::optional<double>& value = values.*field;
    // JSON has no infinity: the PSNR of an exact copy is told as null.
    object[name] = value && std::isfinite(*value) ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
  }
  return object;
}

void print_table(const Evaluation& evaluation) {
  const std::map<std::string, std::string> titles = {
      {"measurement", "measurement"},
      {"baseline", evaluation.baseline_name.empty() ? "baseline" : evaluation.baseline_name},
      {"linear_mmse", "linear MMSE"},
      {"mean", "posterior mean"},
      {"particle", "one particle"}};
  std::size_t longest = 16;
  for (const auto& [name, title] : titles) longest = std::max(longest, title.size());
  const int margin = static_cast<int>(longest);
  std::printf("%-*s %10s %8s\n", margin, "", "PSNR [dB]", "SSIM");
  const auto cell = [](const std::optional<double>& value, int width, int digits) {
    if (value) {
      std::printf(" %*.*f", width, digits, *value);
    } else {
      std::printf(" %*s", width, "-");
    }
  };
  for (const auto& [name, field] : kColumns) {
    std::printf("%-*s", margin, titles.at(name).c_str());
    cell(evaluation.psnr.*field, 10, 2);
    cell(evaluation.ssim.*field, 8, 3);
    std::printf("\n");
  }
  std::printf("means over %zu of %lld images; -: does not apply\n", evaluation.images.size(),
              static_cast<long long>(evaluation.total));
}

}  // namespace

Evaluation evaluate(const std::string& results_path) {
  StoredImages stored(results_path);
  Evaluation evaluation;
  evaluation.baseline_name = stored.baseline_name();
  evaluation.total = stored.count();
  for (std::int64_t row = 0; row < stored.count(); ++row) {
    if (stored.file().state(row) != ImageState::committed) continue;
    const StoredImage image = stored.read(row);
    evaluation.images.push_back({image.id, image.name, scores(psnr, image), scores(ssim, image)});
  }
  evaluation.psnr = averaged(evaluation.images, &ImageEvaluation::psnr);
  evaluation.ssim = averaged(evaluation.images, &ImageEvaluation::ssim);
  return evaluation;
}

ExitCode evaluate_command(const Settings& settings) {
  const Evaluation evaluation = evaluate(settings.positionals.front());
  if (!settings.flag("json")) {
    print_table(evaluation);
    return ExitCode::ok;
  }
  nlohmann::ordered_json images = nlohmann::ordered_json::array();
  for (const ImageEvaluation& image : evaluation.images) {
    images.push_back({{"id", image.id},
                      {"name", image.name},
                      {"psnr", to_json(image.psnr)},
                      {"ssim", to_json(image.ssim)}});
  }
  const nlohmann::ordered_json whole = {
      {"summary",
       {{"psnr", to_json(evaluation.psnr)},
        {"ssim", to_json(evaluation.ssim)},
        {"baseline_name", evaluation.baseline_name.empty()
                              ? nlohmann::ordered_json()
                              : nlohmann::ordered_json(evaluation.baseline_name)},
        {"images", evaluation.images.size()}}},
      {"images", images}};
  std::printf("%s\n", whole.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  return ExitCode::ok;
}

}  // namespace dwgf
