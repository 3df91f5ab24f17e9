// Composition y = A_k(... A_1(x)), written `A_1 | ... | A_k`. Pulling back goes through the stages in
// reverse, A_1'(x)^T A_2'(A_1 x)^T ... r. Linear where all stages are.
//
// Observed: what a mask leaves out stays unobserved through later stages that keep it
// (ForwardOperator::keeps_unobserved); any other stage mixes it with its neighbours, and its whole
// measurement is observed.
//
// The trivial inverse undoes the stages in reverse; one that has none is passed by where it keeps the shape,
// otherwise the composition has none either.
#include <algorithm>
#include <utility>

#include <ATen/ATen.h>

#include "base/precondition.hpp"
#include "operators/known_operators.hpp"

namespace dwgf {
namespace {

using Stages = std::vector<std::shared_ptr<const ForwardOperator>>;

/// What a composition is, whether its stages are linear or not.
class StageList {
 public:
  StageList(Stages stages, const ImageShape& image_shape) : stages_(std::move(stages)) {
    shapes_.push_back({image_shape.channels, image_shape.height, image_shape.width});
    for (const auto& stage : stages_) {
      const at::Tensor mask = stage->observed();
      if (!stage->keeps_unobserved()) observed_ = at::Tensor();
      if (mask.defined()) observed_ = observed_.defined() ? observed_ * mask : mask;
      shapes_.push_back(stage->measurement_shape());
    }
    find_inverse();
  }

  const Stages& stages() const { return stages_; }
  const std::vector<std::int64_t>& measurement_shape() const { return shapes_.back(); }
  at::Tensor observed() const { return observed_; }
  bool keeps_unobserved() const {
    return std::all_of(stages_.begin(), stages_.end(),
                       [](const auto& stage) { return stage->keeps_unobserved(); });
  }
  bool measures_image() const {
    return std::all_of(stages_.begin(), stages_.end(),
                       [](const auto& stage) { return stage->measures_image(); });
  }
  const std::string& trivial_inverse_name() const { return inverse_name_; }

  at::Tensor apply(at::Tensor x) const {
    for (const auto& stage : stages_) x = stage->apply(x);
    return x;
  }

  at::Tensor trivial_inverse(at::Tensor y, double sigma) const {
    if (inverse_name_.empty()) return {};
    for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage)
      if (!(*stage)->trivial_inverse_name().empty()) y = (*stage)->trivial_inverse(y, sigma);
    return y;
  }

 private:
  void find_inverse() {
    for (std::size_t i = stages_.size(); i-- > 0;) {
      const std::string name = stages_[i]->trivial_inverse_name();
      if (!name.empty()) {
        inverse_name_ += (inverse_name_.empty() ? "" : ", ") + name;
      } else if (shapes_[i] != shapes_[i + 1]) {
        inverse_name_.clear();
        return;
      }
    }
  }

  Stages stages_;
  std::vector<std::vector<std::int64_t>> shapes_;  // of the image, then after every stage
  at::Tensor observed_;
  std::string inverse_name_;
};

class LinearComposition final : public LinearOperator {
 public:
  explicit LinearComposition(StageList list) : list_(std::move(list)) {}

  at::Tensor apply(const at::Tensor& x) const override { return list_.apply(x); }
  at::Tensor adjoint(const at::Tensor& r) const override {
    at::Tensor cotangent = r;
    for (auto stage = list_.stages().rbegin(); stage != list_.stages().rend(); ++stage)
      cotangent = static_cast<const LinearOperator&>(**stage).adjoint(cotangent);
    return cotangent;
  }
  std::vector<std::int64_t> measurement_shape() const override { return list_.measurement_shape(); }
  at::Tensor observed() const override { return list_.observed(); }
  bool keeps_unobserved() const override { return list_.keeps_unobserved(); }
  bool measures_image() const override { return list_.measures_image(); }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override {
    return list_.trivial_inverse(y, sigma);
  }
  std::string trivial_inverse_name() const override { return list_.trivial_inverse_name(); }

 private:
  StageList list_;
};

class NonlinearComposition final : public ForwardOperator {
 public:
  explicit NonlinearComposition(StageList list) : list_(std::move(list)) {}

  at::Tensor apply(const at::Tensor& x) const override { return list_.apply(x); }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    const std::vector<at::Tensor> inputs = inputs_of_stages(x);
    at::Tensor cotangent = r;
    for (std::size_t i = list_.stages().size(); i-- > 0;)
      cotangent = list_.stages()[i]->pull_back(inputs[i], cotangent);
    return cotangent;
  }
  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const override {
    const std::vector<at::Tensor> inputs = inputs_of_stages(x);
    at::Tensor tangent = v;
    for (std::size_t i = 0; i < list_.stages().size(); ++i)
      tangent = list_.stages()[i]->push_forward(inputs[i], tangent);
    return tangent;
  }
  bool is_linear() const override { return false; }
  std::vector<std::int64_t> measurement_shape() const override { return list_.measurement_shape(); }
  at::Tensor observed() const override { return list_.observed(); }
  bool keeps_unobserved() const override { return list_.keeps_unobserved(); }
  bool measures_image() const override { return list_.measures_image(); }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override {
    return list_.trivial_inverse(y, sigma);
  }
  std::string trivial_inverse_name() const override { return list_.trivial_inverse_name(); }

 private:
  std::vector<at::Tensor> inputs_of_stages(const at::Tensor& x) const {
    std::vector<at::Tensor> inputs{x};
    inputs.reserve(list_.stages().size());
    for (std::size_t i = 0; i + 1 < list_.stages().size(); ++i)
      inputs.push_back(list_.stages()[i]->apply(inputs.back()));
    return inputs;
  }

  StageList list_;
};

}  // namespace

std::shared_ptr<const ForwardOperator> compose(Stages stages, const ImageShape& image_shape) {
  precondition(!stages.empty(), "at least one stage");
  if (stages.size() == 1) return stages.front();
  const bool linear = std::all_of(stages.begin(), stages.end(), [](const auto& stage) {
    return dynamic_cast<const LinearOperator*>(stage.get()) != nullptr;
  });
  StageList list(std::move(stages), image_shape);
  if (linear) return std::make_shared<LinearComposition>(std::move(list));
  return std::make_shared<NonlinearComposition>(std::move(list));
}

}  // namespace dwgf
