/// What a restore job consists of once its options are understood: the prior, the images, and the file they
/// go to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/flow/unknown.hpp>
#include <dwgf/prior/prior.hpp>

#include "input/settings.hpp"
#include "job/build.hpp"
#include "job/problems.hpp"
#include "store/results.hpp"

namespace dwgf {

/// Images that would be recorded as failed, as far as their sizes say.
struct RefusedImages {
  std::int64_t count = 0;
  std::string first, why;
};

class RestoreJob {
 public:
  /// Loads the prior and lists the images of the slice. Throws what makes the whole job impossible.
  /// Collective over `ranks`.
  RestoreJob(const Settings& settings, Communicator& ranks,
             const c10::Device& device = c10::Device(c10::DeviceType::CPU));

  const Settings& settings() const { return settings_; }
  const JobInput& input() const { return settings_.as<JobInput>(); }
  const FlowOptions& flow() const { return flow_; }
  const Prior& prior() const { return *prior_; }
  const std::vector<ImageEntry>& images() const { return problems_->images(); }
  /// What is allowed but probably not meant, one sentence each.
  std::vector<std::string> warnings() const;
  /// Those that the prior or the operator does not take, or whose size cannot be read; nothing where all fit.
  std::optional<RefusedImages> refused() const;
  /// As of Problems.
  std::vector<CarriedArray> arrays() const { return problems_->arrays(); }
  bool measures_clean_images() const { return problems_->measures_when_read(); }

  /// The structure of the results file. `system` describes the machine, for the attribute of that name.
  ResultsLayout layout(const std::string& system) const;

  /// The prior as it is told of image `row`: of the image's prompt, where it has one and the prior reads any,
  /// and of its size. Throws DataError for a prompt that cannot be read.
  Prior prior_of(std::int64_t row) const;
  /// Reads and measures image `row` of the slice. Throws what makes this image impossible.
  ImageProblem prepare(std::int64_t row) const;
  /// How its measurement scatters.
  std::unique_ptr<NoiseModel> noise(const ImageProblem& problem) const;
  /// What is estimated with it. The problem outlives them.
  Unknowns unknowns(const ImageProblem& problem) const;

 private:
  void warn_of_prompts(std::vector<std::string>& warnings) const;
  /// Throws DataError for an image of a size that the prior does not take.
  void require_canvas(const ImageEntry& image) const;
  std::shared_ptr<const ForwardOperator> forward_for(std::int64_t row) const;
  void add_operator_arrays(ResultsLayout& layout) const;

  Settings settings_;
  FlowOptions flow_;
  std::unique_ptr<Prior> prior_;
  std::unique_ptr<Problems> problems_;
};

}  // namespace dwgf
