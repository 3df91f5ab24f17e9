#include "metric/inception.hpp"

#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace {

/// One unit; kernels are h x w, padding keeps the size unless `narrowing`.
struct Plan {
  std::string name;
  std::int64_t in, out, h, w, stride = 1;
  bool narrowing = false;
};

std::vector<Plan> plan_a(const std::string& name, std::int64_t in, std::int64_t pool) {
  return {{name + ".branch1x1", in, 64, 1, 1},      {name + ".branch5x5_1", in, 48, 1, 1},
          {name + ".branch5x5_2", 48, 64, 5, 5},    {name + ".branch3x3dbl_1", in, 64, 1, 1},
          {name + ".branch3x3dbl_2", 64, 96, 3, 3}, {name + ".branch3x3dbl_3", 96, 96, 3, 3},
          {name + ".branch_pool", in, pool, 1, 1}};
}

std::vector<Plan> plan_b(const std::string& name, std::int64_t in) {
  return {{name + ".branch3x3", in, 384, 3, 3, 2, true},
          {name + ".branch3x3dbl_1", in, 64, 1, 1},
          {name + ".branch3x3dbl_2", 64, 96, 3, 3},
          {name + ".branch3x3dbl_3", 96, 96, 3, 3, 2, true}};
}

std::vector<Plan> plan_c(const std::string& name, std::int64_t c) {
  return {{name + ".branch1x1", 768, 192, 1, 1},    {name + ".branch7x7_1", 768, c, 1, 1},
          {name + ".branch7x7_2", c, c, 1, 7},      {name + ".branch7x7_3", c, 192, 7, 1},
          {name + ".branch7x7dbl_1", 768, c, 1, 1}, {name + ".branch7x7dbl_2", c, c, 7, 1},
          {name + ".branch7x7dbl_3", c, c, 1, 7},   {name + ".branch7x7dbl_4", c, c, 7, 1},
          {name + ".branch7x7dbl_5", c, 192, 1, 7}, {name + ".branch_pool", 768, 192, 1, 1}};
}

std::vector<Plan> plan_d(const std::string& name) {
  return {{name + ".branch3x3_1", 768, 192, 1, 1},   {name + ".branch3x3_2", 192, 320, 3, 3, 2, true},
          {name + ".branch7x7x3_1", 768, 192, 1, 1}, {name + ".branch7x7x3_2", 192, 192, 1, 7},
          {name + ".branch7x7x3_3", 192, 192, 7, 1}, {name + ".branch7x7x3_4", 192, 192, 3, 3, 2, true}};
}

std::vector<Plan> plan_e(const std::string& name, std::int64_t in) {
  return {{name + ".branch1x1", in, 320, 1, 1},        {name + ".branch3x3_1", in, 384, 1, 1},
          {name + ".branch3x3_2a", 384, 384, 1, 3},    {name + ".branch3x3_2b", 384, 384, 3, 1},
          {name + ".branch3x3dbl_1", in, 448, 1, 1},   {name + ".branch3x3dbl_2", 448, 384, 3, 3},
          {name + ".branch3x3dbl_3a", 384, 384, 1, 3}, {name + ".branch3x3dbl_3b", 384, 384, 3, 1},
          {name + ".branch_pool", in, 192, 1, 1}};
}

std::vector<Plan> plan() {
  std::vector<Plan> all = {{"Conv2d_1a_3x3", 3, 32, 3, 3, 2, true},
                           {"Conv2d_2a_3x3", 32, 32, 3, 3, 1, true},
                           {"Conv2d_2b_3x3", 32, 64, 3, 3},
                           {"Conv2d_3b_1x1", 64, 80, 1, 1},
                           {"Conv2d_4a_3x3", 80, 192, 3, 3, 1, true}};
  for (const std::vector<Plan>& block :
       {plan_a("Mixed_5b", 192, 32), plan_a("Mixed_5c", 256, 64), plan_a("Mixed_5d", 288, 64),
        plan_b("Mixed_6a", 288), plan_c("Mixed_6b", 128), plan_c("Mixed_6c", 160), plan_c("Mixed_6d", 160),
        plan_c("Mixed_6e", 192), plan_d("Mixed_7a"), plan_e("Mixed_7b", 1280), plan_e("Mixed_7c", 2048)}) {
    all.insert(all.end(), block.begin(), block.end());
  }
  return all;
}

at::Tensor average(const at::Tensor& x) {
  return at::avg_pool2d(x, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
}

/// The network's input: [B, 3, 299, 299].
at::Tensor prepared(const at::Tensor& images) {
  const at::Tensor levels =
      ((images.detach().to(at::kCPU, at::kFloat).clamp(-1, 1) + 1.0) * 127.5).round();  // 0 ... 255
  const at::Tensor colour = (levels / 127.5 - 1.0).expand({-1, 3, -1, -1});
  return at::upsample_bilinear2d(colour, {299, 299}, /*align_corners=*/false);
}

}  // namespace

Inception::Inception(const NamedTensors& weights) {
  for (const Plan& unit : plan()) {
    const auto statistic = [&](const char* what) {
      return take_weight(weights, unit.name + ".bn." + what, {unit.out});
    };
    const std::int64_t rows = unit.narrowing ? 0 : unit.h / 2, columns = unit.narrowing ? 0 : unit.w / 2;
    units_[unit.name] = {
        take_weight(weights, unit.name + ".conv.weight", {unit.out, unit.in, unit.h, unit.w}),
        statistic("weight"),
        statistic("bias"),
        statistic("running_mean"),
        statistic("running_var"),
        unit.stride,
        {rows, columns}};
  }
}

at::Tensor Inception::apply(const std::string& name, const at::Tensor& x) const {
  const Unit& unit = units_.at(name);
  const at::Tensor h = at::conv2d(x, unit.weight, {}, unit.stride, unit.padding);
  return at::relu(at::batch_norm(h, unit.scale, unit.shift, unit.mean, unit.variance, /*training=*/false,
                                 /*momentum=*/0.0, /*eps=*/1e-3, /*cudnn_enabled=*/false));
}

at::Tensor Inception::apply_all(const std::string& block, std::initializer_list<const char*> names,
                                at::Tensor x) const {
  for (const char* name : names) x = apply(block + "." + name, x);
  return x;
}

at::Tensor Inception::block_a(const std::string& name, const at::Tensor& x) const {
  return at::cat({apply_all(name, {"branch1x1"}, x), apply_all(name, {"branch5x5_1", "branch5x5_2"}, x),
                  apply_all(name, {"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}, x),
                  apply_all(name, {"branch_pool"}, average(x))},
                 1);
}

at::Tensor Inception::block_b(const std::string& name, const at::Tensor& x) const {
  return at::cat(
      {apply_all(name, {"branch3x3"}, x),
       apply_all(name, {"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}, x), at::max_pool2d(x, 3, 2)},
      1);
}

at::Tensor Inception::block_c(const std::string& name, const at::Tensor& x) const {
  return at::cat(
      {apply_all(name, {"branch1x1"}, x), apply_all(name, {"branch7x7_1", "branch7x7_2", "branch7x7_3"}, x),
       apply_all(name,
                 {"branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"},
                 x),
       apply_all(name, {"branch_pool"}, average(x))},
      1);
}

at::Tensor Inception::block_d(const std::string& name, const at::Tensor& x) const {
  return at::cat({apply_all(name, {"branch3x3_1", "branch3x3_2"}, x),
                  apply_all(name, {"branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"}, x),
                  at::max_pool2d(x, 3, 2)},
                 1);
}

at::Tensor Inception::block_e(const std::string& name, const at::Tensor& x, bool pool_by_maxima) const {
  const at::Tensor middle = apply_all(name, {"branch3x3_1"}, x);
  const at::Tensor twice = apply_all(name, {"branch3x3dbl_1", "branch3x3dbl_2"}, x);
  const at::Tensor pooled = pool_by_maxima ? at::max_pool2d(x, 3, 1, 1) : average(x);
  return at::cat({apply_all(name, {"branch1x1"}, x), apply_all(name, {"branch3x3_2a"}, middle),
                  apply_all(name, {"branch3x3_2b"}, middle), apply_all(name, {"branch3x3dbl_3a"}, twice),
                  apply_all(name, {"branch3x3dbl_3b"}, twice), apply_all(name, {"branch_pool"}, pooled)},
                 1);
}

at::Tensor Inception::operator()(const at::Tensor& images) const {
  if (images.dim() != 4 || (images.size(1) != 1 && images.size(1) != 3))
    throw InternalError("Inception of images {}: [B, C, H, W] of 1 or 3 channels are needed", images.sizes());
  const at::NoGradGuard no_grad;
  at::Tensor h = prepared(images);
  for (const char* name : {"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"}) h = apply(name, h);
  h = at::max_pool2d(h, 3, 2);  // [B, 64, 73, 73]
  for (const char* name : {"Conv2d_3b_1x1", "Conv2d_4a_3x3"}) h = apply(name, h);
  h = at::max_pool2d(h, 3, 2);  // [B, 192, 35, 35]
  for (const char* name : {"Mixed_5b", "Mixed_5c", "Mixed_5d"}) h = block_a(name, h);
  h = block_b("Mixed_6a", h);  // [B, 768, 17, 17]
  for (const char* name : {"Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"}) h = block_c(name, h);
  h = block_d("Mixed_7a", h);  // [B, 1280, 8, 8]
  h = block_e("Mixed_7c", block_e("Mixed_7b", h, false), true);
  return h.mean({2, 3});
}

}  // namespace dwgf
