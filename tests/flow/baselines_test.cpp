// The methods that the flow is compared with, against the independent reference
// (tools/baselines_reference.py), on every number of ranks, and bit for bit against one rank.
#include <functional>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <support/golden.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

namespace dwgf {
namespace {

/// The cases of tools/baselines_reference.py, which made the golden file.
struct GoldenCase {
  std::string name;
  Method method;
  std::string spec = "mean:4";
  std::uint64_t image = 3;
  std::function<void(FlowOptions&)> change = [](FlowOptions&) {};
};

void as_dps(FlowOptions& o) {
  o.guidance.weight = 0.3;
  o.guidance.eta = 1.0;
}

std::vector<GoldenCase> golden_cases() {
  return {
      {"psld", Method::psld},
      {"psld_box", Method::psld, "box:8,6,12,14"},
      {"psld_blur_with_noise", Method::psld, "blur:5,1.2", 3,
       [](FlowOptions& o) {
         o.psld.gluing = 0.7;
         o.guidance.eta = 0.4;
       }},
      {"latent_dps", Method::latent_dps, "mean:4", 3, as_dps},
      {"latent_dps_hdr", Method::latent_dps, "hdr", 3, [](FlowOptions& o) { o.guidance.weight = 0.3; }},
      {"latent_dps_random", Method::latent_dps, "random:0.7", 0xFEDCBA9876543210,
       [](FlowOptions& o) {
         o.guidance.weight = 0.5;
         o.guidance.eta = 1.0;
         o.steps = 49;
         o.particles = 1;
       }},
      {"rlsd", Method::rlsd},
      {"rlsd_box", Method::rlsd, "box:8,6,12,14", 3, [](FlowOptions& o) { o.particles = 5; }},
      {"rlsd_hdr_alone", Method::rlsd, "hdr", 3, [](FlowOptions& o) { o.interaction.repulsion = 0.0; }},
  };
}

FlowOptions options_of(const GoldenCase& golden) {
  FlowOptions options;
  options.method = golden.method;
  options.particles = 2;
  options.grid = 50;
  options.steps = 10;
  options.seed = 7;
  if (golden.method == Method::rlsd) {
    options.weight = 0.1;
    options.rate = 0.2;
    options.interaction.repulsion = 50.0;
  }
  golden.change(options);
  return options;
}

class BaselinesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    prior = load_stable_diffusion(std::string(DWGF_TEST_DATA) + "/prior/sd1", {.dtype = at::kDouble});
    golden_file = test::golden_tensors("flow/baselines.safetensors");
  }
  static void TearDownTestSuite() { prior.reset(); }

  struct Run {
    at::Tensor z, x;  // this rank's particles, without padding
    std::int64_t first = 0;
    Diagnostics diagnostics;
  };

  static Run run(const GoldenCase& golden, const FlowOptions& options, Collective& group) {
    const auto forward = make_operator(golden.spec, {{3, 32, 32}, options.seed, golden.image});
    const at::Tensor y = measure(*forward, *make_noise_model("gaussian", 0.05, *forward),
                                 golden_file.at("truth"), options.seed, golden.image);
    Solution solution = solve({*prior, *forward, y, {3, 32, 32}, golden.image}, options, group);
    std::vector<at::Tensor> z{at::empty({0, 4, 8, 8}, at::kDouble)},
        x{at::empty({0, 3, 32, 32}, at::kDouble)};
    for (const ParticleBatch& batch : solution.state.batches) {
      z.push_back(batch.z.slice(0, 0, batch.counted));
      x.push_back(restored_images(*prior, batch).slice(0, 0, batch.counted));
    }
    return {at::cat(z), at::cat(x), solution.state.share.first_particle(), std::move(solution.diagnostics)};
  }

  static double largest_difference(const at::Tensor& a, const at::Tensor& b) {
    return a.numel() == 0 ? 0.0 : (a - b).abs().max().item<double>();
  }

  inline static std::unique_ptr<Prior> prior;
  inline static std::map<std::string, at::Tensor> golden_file;
};

TEST_F(BaselinesTest, AgreeWithTheIndependentReference) {
  Communicator world = Communicator::world();
  for (const GoldenCase& golden : golden_cases()) {
    SCOPED_TRACE(golden.name);
    FlowOptions options = options_of(golden);
    options.micro_batch = golden.name.size() % 2 ? 1 : 2;
    const Run result = run(golden, options, world);
    const auto own = [&](const char* what) {
      return golden_file.at(golden.name + what).slice(0, result.first, result.first + result.z.size(0));
    };
    EXPECT_LT(largest_difference(result.z, own(".z")), 1e-8);
    if (golden_file.contains(golden.name + ".x")) {
      EXPECT_LT(largest_difference(result.x.slice(2, 0, 32, 4).slice(3, 0, 32, 4), own(".x")), 1e-8);
    }
    for (const char* quantity : {"misfit", "prior_gradient", "data_gradient"}) {
      const std::vector<double>& found = result.diagnostics.named(quantity);
      const at::Tensor wanted = golden_file.at(golden.name + "." + quantity);
      ASSERT_EQ(static_cast<std::int64_t>(found.size()), wanted.numel());
      EXPECT_LT(largest_difference(at::tensor(at::ArrayRef<double>(found), at::kDouble), wanted), 1e-9)
          << quantity;
    }
  }
}

TEST_F(BaselinesTest, TakeFurtherStepsAtTheLastLevel) {
  Communicator world = Communicator::world();
  for (const Method method : {Method::psld, Method::latent_dps, Method::rlsd}) {
    const GoldenCase further{"further steps", method};
    FlowOptions options = options_of(further);
    options.grid = 3;
    options.steps = 0;
    options.settle = 2;
    const Run result = run(further, options, world);
    EXPECT_EQ(result.diagnostics.named("misfit").size(), 4u);
    EXPECT_TRUE(at::isfinite(result.z).all().item<bool>());
  }
}

TEST_F(BaselinesTest, GiveTheSameBitsOnAllRanksAsOnOne) {
  Communicator world = Communicator::world();
  for (const GoldenCase& golden : golden_cases()) {
    if (golden.spec != "mean:4") continue;
    for (const std::int64_t micro_batch : {1, 2}) {
      SCOPED_TRACE(formatted("{}, micro-batches of {}", golden.name, micro_batch));
      FlowOptions options = options_of(golden);
      options.steps = 2;
      options.particles = 5;
      options.micro_batch = micro_batch;
      const Run shared = run(golden, options, world);
      // One rank's own result, told to the others.
      const std::vector<std::string>& names = Diagnostics::names();
      at::Tensor z = at::empty({options.particles, 4, 8, 8}, at::kDouble);
      at::Tensor x = at::empty({options.particles, 3, 32, 32}, at::kDouble);
      at::Tensor records = at::empty({static_cast<std::int64_t>(names.size()), options.steps}, at::kDouble);
      if (world.rank() == 0) {
        SelfCollective self;
        const Run alone = run(golden, options, self);
        z.copy_(alone.z);
        x.copy_(alone.x);
        for (std::size_t q = 0; q < names.size(); ++q)
          records[static_cast<std::int64_t>(q)].copy_(
              at::tensor(alone.diagnostics.named(names[q]), at::kDouble));
      }
      for (at::Tensor* values : {&z, &x, &records})
        world.broadcast({static_cast<std::byte*>(values->data_ptr()), values->nbytes()}, 0);
      const std::int64_t last = shared.first + shared.z.size(0);
      EXPECT_TRUE(at::equal(shared.z, z.slice(0, shared.first, last)));
      EXPECT_TRUE(at::equal(shared.x, x.slice(0, shared.first, last)));
      for (std::size_t q = 0; q < names.size(); ++q) {
        EXPECT_TRUE(at::equal(at::tensor(shared.diagnostics.named(names[q]), at::kDouble),
                              records[static_cast<std::int64_t>(q)]))
            << names[q];
      }
    }
  }
}

TEST_F(BaselinesTest, DivergeOnAllRanksAlike) {
  Communicator world = Communicator::world();
  for (const GoldenCase& golden : golden_cases()) {
    if (golden.spec != "mean:4") continue;
    FlowOptions options = options_of(golden);
    options.guidance.weight = options.rate = options.rlsd.image_rate = 1e200;
    EXPECT_THROW(run(golden, options, world), Error) << golden.name;
  }
}

}  // namespace
}  // namespace dwgf
