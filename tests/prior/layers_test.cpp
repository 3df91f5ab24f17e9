#include "prior/nn/layers.hpp"

#include <cstdint>
#include <vector>

#include "prior_files.hpp"

namespace dwgf {
namespace {

TEST(Layers, ParametersNeverAskForAGradientAndCarryPyTorchsNames) {
  const at::TensorOptions options(at::kFloat);
  const std::vector<std::shared_ptr<torch::nn::Module>> modules = {
      std::make_shared<Linear>(2, 3, true, options), std::make_shared<Convolution>(2, 3, 3, 1, 1, options),
      std::make_shared<GroupNorm>(2, 4, 1e-5, options), std::make_shared<LayerNorm>(4, options)};
  for (const auto& module : modules) {
    const auto parameters = module->named_parameters();
    ASSERT_EQ(parameters.size(), 2U);
    EXPECT_TRUE(parameters.contains("weight"));
    EXPECT_TRUE(parameters.contains("bias"));
    for (const auto& item : parameters) EXPECT_FALSE(item.value().requires_grad());
  }
  EXPECT_EQ(Linear(2, 3, false, options).named_parameters().size(), 1U);
}

TEST(Layers, ALinearLayerStoredAsAConvolutionIsTheSame) {
  const at::TensorOptions options(at::kDouble);
  Linear matrix(4, 3, true, options), convolution(4, 3, true, options, Linear::Stored::convolution);
  EXPECT_EQ(convolution.named_parameters()["weight"].sizes(), (std::vector<std::int64_t>{3, 4, 1, 1}));
  for (auto& item : matrix.named_parameters()) {
    item.value().normal_();
    auto& other = *convolution.named_parameters().find(item.key());
    other.copy_(item.value().view(other.sizes()));
  }
  const at::Tensor x = at::randn({2, 5, 4}, options);
  EXPECT_TRUE(at::equal(matrix.forward(x), convolution.forward(x)));
}

TEST(Layers, ActivationOverwritesOnlyWhatNoGradientNeeds) {
  const at::Tensor x = at::randn({8}, at::kDouble), expected = at::silu(x);
  at::Tensor leaf = x.clone().requires_grad_();
  EXPECT_TRUE(at::equal(activate(leaf * 1.0).detach(), expected));
  const at::Tensor before = leaf.detach().clone();
  activate(leaf).sum().backward();
  EXPECT_TRUE(at::equal(leaf.detach(), before));
  at::Tensor free = x.clone();
  EXPECT_TRUE(at::equal(activate(free), expected));
  EXPECT_TRUE(at::equal(free, expected));
}

TEST(Layers, AModuleVectorNamesItsModulesByNumber) {
  ModuleVector<LayerNorm> list;
  list.add(std::make_shared<LayerNorm>(2, at::TensorOptions()), 0);
  list.add(std::make_shared<LayerNorm>(2, at::TensorOptions()), 2);
  EXPECT_EQ(list.size(), 2U);
  EXPECT_TRUE(list.named_parameters().contains("0.weight"));
  EXPECT_TRUE(list.named_parameters().contains("2.bias"));
}

}  // namespace
}  // namespace dwgf
