// The measurements of deepinv 0.5 (tools/make_deepinv_golden.py), by the operators here that are said to be
// its.
#include <fstream>

#include <nlohmann/json.hpp>
#include <operators/operator_cases.hpp>

namespace dwgf::test {
namespace {

at::Tensor tensor_of(const nlohmann::json& values, const nlohmann::json& shape) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble)
      .view(shape.get<std::vector<std::int64_t>>());
}

TEST(Deepinv, MeasuresTheSame) {
  std::ifstream file(DWGF_TEST_DATA "/operators/deepinv.json");
  ASSERT_TRUE(file.good());
  const nlohmann::json cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 5u);
  for (const nlohmann::json& one : cases) {
    const std::string name = one["name"];
    const auto shape = one["shape"].get<std::vector<std::int64_t>>();
    const OperatorContext context{.image_shape = {shape[0], shape[1], shape[2]},
                                  .load_array = [&](const std::string& kind, const std::string&) {
                                    return tensor_of(one["arrays"][kind]["values"],
                                                     one["arrays"][kind]["shape"]);
                                  }};
    const auto forward = make_operator(one["spec"].get<std::string>(), context);
    const at::Tensor y = tensor_of(one["y"], one["y_shape"]).unsqueeze(0);
    const at::Tensor found = forward->apply(tensor_of(one["x"], one["shape"]).unsqueeze(0));
    EXPECT_LE(largest_difference(found, y), 1e-5 * y.abs().max().item<double>()) << name;
  }
}

}  // namespace
}  // namespace dwgf::test
