// Operators that are TorchScript modules of a user's own: what they compute, and what is refused on loading.
#include <filesystem>

#include <operators/operator_cases.hpp>
#include <torch/script.h>
#include <unistd.h>

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Scripted : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "dwgf-module-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A module of this forward(self, x), as a file.
  std::string module(const std::string& body, const std::vector<at::Tensor>& buffers = {}) const {
    torch::jit::Module module("Own");
    for (std::size_t k = 0; k < buffers.size(); ++k)
      module.register_buffer("b" + std::to_string(k), buffers[k]);
    module.define("def forward(self, x):\n" + body);
    const std::string path = (folder_ / "module.pt").string();
    module.save(path);
    return path;
  }
  std::shared_ptr<const ForwardOperator> made(const std::string& path, const char* more = "") const {
    return make_operator("torch:" + path + more, {.image_shape = shape});
  }
  std::string refusal(const std::string& body, const char* more = "") const {
    try {
      made(module(body), more);
    } catch (const UsageError& error) {
      EXPECT_EQ(std::string(error.what()).find("problem.operator: "), 0u);
      return error.what();
    }
    ADD_FAILURE() << "accepted: " << body;
    return "";
  }
  static void expect_said(const std::string& message, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not said in: " << message;
  }

  const ImageShape shape{3, 8, 12};
  fs::path folder_;
};

TEST_F(Scripted, IsTheNativeOperatorWhereItComputesTheSame) {
  const auto own = made(DWGF_TEST_DATA "/operators/mean4.pt", ",linear,image");
  const auto native = make_operator("mean:4", {.image_shape = shape});
  EXPECT_TRUE(own->is_linear());
  EXPECT_TRUE(own->measures_image());
  EXPECT_EQ(own->measurement_shape(), native->measurement_shape());
  for (const auto& [type, bound] : {std::pair(at::kDouble, 1e-15), {at::kFloat, 1e-6}}) {
    const at::Tensor x = image_batch(3, shape, 1).to(type), r = normals(3, {3, 2, 3}, 2).to(type);
    EXPECT_EQ(own->apply(x).scalar_type(), type);
    EXPECT_LE(largest_difference(own->apply(x), native->apply(x)), bound);
    EXPECT_LE(largest_difference(own->pull_back(x, r), native->pull_back(x, r)), bound);
  }
  EXPECT_NEAR(own->squared_norm(shape), native->squared_norm(shape), 1e-12);
}

TEST_F(Scripted, PullsBackItsDerivativeImageByImage) {
  const auto own = made(DWGF_TEST_DATA "/operators/gamma.pt");
  EXPECT_FALSE(own->is_linear());
  EXPECT_FALSE(own->measures_image());
  const at::Tensor x = image_batch(3, shape, 1).clamp(-0.9, 0.9), r = image_batch(3, shape, 2);
  const c10::InferenceMode inference;
  const at::Tensor found = own->pull_back(x, r), y = own->apply(x);
  EXPECT_FALSE(found.requires_grad());
  EXPECT_LE(largest_difference(found, r * 1.1 * at::pow((x + 1) / 2, 1.2)), 1e-12);
  for (std::int64_t b = 0; b < 3; ++b) {
    EXPECT_TRUE(at::equal(own->apply(x.narrow(0, b, 1)), y.narrow(0, b, 1)));
    EXPECT_TRUE(at::equal(own->pull_back(x.narrow(0, b, 1), r.narrow(0, b, 1)), found.narrow(0, b, 1)));
  }
  for (int call = 0; call < 4; ++call) EXPECT_TRUE(at::equal(own->apply(x), y)) << "call " << call;
}

TEST_F(Scripted, ConvertsItsNumbersAndKeepsItsIndices) {
  const at::Tensor weights = normals(1, {3}, 4).squeeze(0).to(at::kFloat), order = at::tensor({2, 0, 1});
  const auto own =
      made(module("    return x.index_select(1, self.b1) * self.b0.view(1, 3, 1, 1)\n", {weights, order}),
           ",linear");
  const at::Tensor x = image_batch(1, shape, 1);
  EXPECT_LE(largest_difference(own->apply(x),
                               x.index_select(1, order) * weights.to(at::kDouble).view({1, 3, 1, 1})),
            1e-15);
}

TEST_F(Scripted, ComputesInFloatWhereItCannotDoOtherwise) {
  const auto own = made(module("    return x.float() * 0.3\n"), ",linear");
  const at::Tensor x = image_batch(1, shape, 1), y = own->apply(x);
  EXPECT_EQ(y.scalar_type(), at::kDouble);
  EXPECT_TRUE(at::equal(y, (x.to(at::kFloat) * 0.3).to(at::kDouble)));
  EXPECT_EQ(own->pull_back(x, y).scalar_type(), at::kDouble);
}

TEST_F(Scripted, StandsBesideOthers) {
  const std::string path = module("    return x * 2\n");
  const auto both = made(path, ",linear | mean:2");
  EXPECT_TRUE(both->is_linear());
  const at::Tensor x = image_batch(2, shape, 1);
  EXPECT_LE(largest_difference(both->apply(x), 2 * make({"mean:2", shape})->apply(x)), 1e-15);
}

TEST_F(Scripted, IsCheckedOnLoading) {
  expect_said(refusal("    return 3\n"), {"fails on an image [1, 3, 8, 12]", "returns no tensor"});
  expect_said(refusal("    return x.sum()\n"), {"it makes [] of an image [1, 3, 8, 12]", "return [1, ...]"});
  expect_said(refusal("    return x.reshape(3, 8, 12)\n"), {"[3, 8, 12]"});
  expect_said(refusal("    return (x - x) / (x - x)\n"), {"not finite"});
  expect_said(refusal("    return x + torch.rand_like(x)\n"), {"other values when it is called again"});
  expect_said(refusal("    return x.detach() * 2\n"), {"no derivative"});
  expect_said(refusal("    return torch.sqrt(x - x)\n"), {"derivative", "not finite"});
  expect_said(refusal("    return torch.mm(x, x)\n"), {"fails on an image", "2"});
  expect_said(refusal("    return x.long()\n"), {"no floating-point numbers"});
  expect_said(refusal("    return torch.complex(x, x)\n"), {"complex numbers"});
  expect_said(refusal("    return x[x > 0].unsqueeze(0)\n"), {"of one image and", "of another"});
  expect_said(refusal("    return x + 1\n", ",linear"), {"A(0) is not 0", "leave out `linear`"});
  expect_said(refusal("    return x * x.abs()\n", ",linear"), {"apart", "leave out `linear`"});
  expect_said(refusal("    return x.detach() * 2 + x * 0\n", ",linear"), {"not its adjoint"});
  expect_said(refusal("    return x\n", ",liner"), {"'liner' is neither 'linear' nor 'image'"});
  expect_said(refusal("    return x.flatten(1)\n", ",image"), {"it measures [288]", "leave out `image`"});
}

TEST_F(Scripted, FilesThatAreNoneAreNamed) {
  EXPECT_THROW(made((folder_ / "none.pt").string()), NotFoundError);
  const std::string path = DWGF_TEST_DATA "/operators/operators.json";
  try {
    made(path);
    ADD_FAILURE();
  } catch (const DataError& error) {
    expect_said(error.what(), {"operators.json", "is no TorchScript module", "torch.jit.script"});
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace dwgf::test
