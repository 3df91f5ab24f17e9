/// Operators, shapes and numbers that the tests of this layer share.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/operators/operator.hpp>

namespace dwgf::test {

struct OperatorCase {
  std::string spec;
  ImageShape shape;
};

inline std::ostream& operator<<(std::ostream& out, const OperatorCase& one) {
  return out << "'" << one.spec << "' on " << one.shape.channels << " x " << one.shape.height << " x "
             << one.shape.width;
}

/// Standard normals [batch, ...shape], float64; `stream` tells tensors apart.
inline at::Tensor normals(std::int64_t batch, const std::vector<std::int64_t>& shape, std::uint32_t stream) {
  std::vector<std::int64_t> sizes{batch};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  const at::Tensor values = at::empty(sizes, at::kFloat);
  fill_normals({.seed = 1, .step = stream},
               {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
  return values.to(at::kDouble);
}

/// An array for a reference that says its shape, "5x3" or "2x9x15": normals for kernels, matrices and coil
/// maps, 0 and 1 for masks, degrees for angles ("7x1": [7]).
inline at::Tensor array_of(const std::string& kind, const std::string& reference) {
  std::vector<std::int64_t> shape;
  for (const std::string& extent : split(reference, 'x')) shape.push_back(std::stoll(extent));
  const at::Tensor values = normals(1, shape, 7).squeeze(0);
  if (kind == "angles") return values.flatten() * 60;
  return kind == "mask" ? values.gt(0).to(at::kByte) : values;
}

inline std::shared_ptr<const ForwardOperator> make(const OperatorCase& one) {
  return make_operator(one.spec, {.image_shape = one.shape, .seed = 5, .image = 11, .load_array = array_of});
}

inline std::vector<OperatorCase> linear_cases() {
  std::vector<OperatorCase> cases;
  // Odd, even, not square, and narrow; factors divide the sides.
  for (const std::int64_t channels : {1, 3}) {
    const ImageShape odd{channels, 9, 15}, even{channels, 18, 24}, narrow{channels, 12, 6};
    for (const ImageShape& shape : {odd, even, narrow}) {
      for (const char* spec : {"identity",
                               "box:1,2,3,3",
                               "random:0.6",
                               "random:0",
                               "mean:1",
                               "mean:3",
                               "bicubic:1",
                               "bicubic:3",
                               "bicubic:4",
                               "bicubic:5",
                               "blur:5,1.2",
                               "blur:11,3",
                               "blur:5,0.7,zero",
                               "blur:31,6,zero",
                               "blur:5,1.2,circular",
                               "blur:13,2,circular",
                               "blur:1,1",
                               "motion:5,30",
                               "motion:1,0",
                               "motion:9,100,zero",
                               "motion:7,-45,circular",
                               "defocus:0.4",
                               "defocus:2",
                               "defocus:2.7,circular",
                               "defocus:6,zero",
                               "kernel:3x5",
                               "kernel:11x7",
                               "kernel:5x3,zero",
                               "kernel:33x1,zero",
                               "kernel:13x13,circular",
                               "radon:1",
                               "radon:4",
                               "radon:7",
                               "radon:6,-30,60",
                               "radon:5x1",
                               "blur:3,1 | mean:3",
                               "box:0,0,3,4 | random:0.3",
                               "random:0.5 | blur:3,1 | bicubic:3",
                               "random:0.2 | random:0.2",
                               "motion:3,20 | radon:5",
                               "mean:3 | radon:3"}) {
        cases.push_back({spec, shape});
      }
      const std::string plane = formatted("{}x{}", shape.height, shape.width),
                        whole = formatted("{}x{}", shape.channels, plane);
      for (const std::string& spec :
           {"mask:" + plane, "mask:" + whole, "fourier:" + plane, "fourier:" + whole,
            "mask:" + whole + " | kernel:3x3 | fourier:" + plane,
            formatted("matrix:17x{}", shape.channels * shape.height * shape.width),
            formatted("mean:3 | matrix:5x{}", shape.channels * shape.height * shape.width / 9)}) {
        cases.push_back({spec, shape});
      }
      if (channels > 1) continue;
      cases.push_back({"sense:2x3x" + plane, shape});
      cases.push_back({"sense:2x3x" + plane + " | fourier:" + plane + ",complex", shape});
    }
  }
  for (const ImageShape& shape : {ImageShape{3, 9, 15}, ImageShape{3, 18, 24}}) {
    cases.push_back({"grey", shape});
    cases.push_back({"blur:3,1 | grey | random:0.2", shape});
  }
  for (const ImageShape& shape : {ImageShape{1, 16, 8}, ImageShape{3, 8, 24}})
    for (const char* spec : {"mean:2", "mean:4", "mean:8", "bicubic:2", "bicubic:4", "bicubic:8"})
      cases.push_back({spec, shape});
  return cases;
}

inline std::vector<OperatorCase> nonlinear_cases() {
  return {{"hdr", {1, 9, 15}},
          {"hdr", {3, 8, 6}},
          {"phase", {1, 9, 15}},
          {"phase:4", {3, 8, 8}},
          {"phase:0", {1, 5, 7}},
          {"mean:3 | hdr", {3, 9, 15}},
          {"hdr | blur:3,1", {1, 9, 15}},
          {"blur:3,1 | phase", {1, 8, 8}},
          {"random:0.4 | hdr", {3, 5, 7}}};
}

/// Those whose pull-back is not their derivative, on purpose.
inline std::vector<OperatorCase> straight_through_cases() {
  return {{"quantise:2", {1, 5, 7}},
          {"quantise:17", {3, 8, 6}},
          {"jpeg:10", {1, 9, 15}},
          {"jpeg:50", {3, 8, 16}},
          {"jpeg:90", {3, 7, 17}},
          {"mean:3 | jpeg:30", {3, 24, 27}},
          {"blur:3,1 | quantise:4", {1, 9, 6}}};
}

inline std::vector<OperatorCase> all_cases() {
  std::vector<OperatorCase> cases = linear_cases();
  for (const auto& more : {nonlinear_cases(), straight_through_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

inline at::Tensor image_batch(std::int64_t batch, const ImageShape& shape, std::uint32_t stream) {
  return normals(batch, {shape.channels, shape.height, shape.width}, stream) * 0.4;
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return a.sizes() == b.sizes() ? (a - b).abs().max().item<double>() : INFINITY;
}

}  // namespace dwgf::test
