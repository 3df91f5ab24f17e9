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

/// The cases of tools/flow_reference.py, which made the golden file.
struct GoldenCase {
  std::string name;
  std::string spec = "mean:4";
  std::uint64_t image = 3;
  std::function<void(FlowOptions&)> change = [](FlowOptions&) {};
};

std::vector<GoldenCase> golden_cases() {
  return {
      {"mixture"},
      {.name = "gaussian", .change = [](FlowOptions& o) { o.interaction.kind = InteractionKind::gaussian; }},
      {.name = "repulsion",
       .change =
           [](FlowOptions& o) {
             o.interaction.kind = InteractionKind::repulsion;
             o.interaction.repulsion = 0.7;
           }},
      {.name = "none", .change = [](FlowOptions& o) { o.interaction.kind = InteractionKind::none; }},
      {.name = "close_mixture",
       .change =
           [](FlowOptions& o) {
             o.grid = 990;
             o.rate = 0.01;
             o.steps = 3;
             o.weight = 50.0;
           }},
      {.name = "five_particles",
       .change =
           [](FlowOptions& o) {
             o.interaction.kind = InteractionKind::repulsion;
             o.particles = 5;
             o.seed = (std::uint64_t{1} << 63) + 11;
           }},
      {.name = "one_particle",
       .change =
           [](FlowOptions& o) {
             o.interaction.kind = InteractionKind::gaussian;
             o.particles = 1;
           }},
      {.name = "sampled_code", .change = [](FlowOptions& o) { o.data.encode = EncodeMode::sample; }},
      {.name = "no_consistency",
       .change =
           [](FlowOptions& o) {
             o.data.consistency = 0.0;
             o.data.decoder_std = 0.0;
           }},
      {.name = "identity", .spec = "identity"},
      {.name = "box", .spec = "box:8,6,12,14"},
      {.name = "random", .spec = "random:0.7", .image = 0xFEDCBA9876543210},
      {.name = "blur", .spec = "blur:5,1.2"},
      {.name = "hdr", .spec = "hdr"},
  };
}

FlowOptions options_of(const GoldenCase& golden) {
  FlowOptions options;
  options.grid = 50;
  options.steps = 10;
  options.seed = 7;
  golden.change(options);
  return options;
}

class SolveTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    prior_ =
        load_stable_diffusion(std::string(DWGF_TEST_DATA) + "/prior/sd1", {.dtype = at::kDouble}).release();
    golden_ = new std::map<std::string, at::Tensor>(test::golden_tensors("flow/golden.safetensors"));
  }
  static void TearDownTestSuite() {
    delete prior_;
    delete golden_;
  }

  struct Run {
    at::Tensor y;
    at::Tensor z;  // this rank's particles, without padding
    std::int64_t first = 0;
    Diagnostics diagnostics;
  };

  static Run run(const GoldenCase& golden, const FlowOptions& options, Collective& group) {
    const at::Tensor truth = golden_->at("truth");
    const auto forward = make_operator(golden.spec, {{3, 32, 32}, options.seed, golden.image});
    Run result;
    result.y =
        measure(*forward, *make_noise_model("gaussian", 0.05, *forward), truth, options.seed, golden.image);
    const Problem problem{*prior_, *forward, result.y, {3, 32, 32}, golden.image};
    Solution solution = solve(problem, options, group);
    std::vector<at::Tensor> own;
    for (const ParticleBatch& batch : solution.state.batches)
      own.push_back(batch.z.slice(0, 0, batch.counted));
    result.z = own.empty() ? at::empty({0, 4, 8, 8}, at::kDouble) : at::cat(own);
    result.first = solution.state.share.first_particle();
    result.diagnostics = std::move(solution.diagnostics);
    return result;
  }

  static at::Tensor series(const Diagnostics& diagnostics, const std::string& quantity) {
    return at::tensor(at::ArrayRef<double>(diagnostics.named(quantity)), at::kDouble);
  }

  static double largest_difference(const at::Tensor& a, const at::Tensor& b) {
    return a.numel() == 0 ? 0.0 : (a - b).abs().max().item<double>();
  }

  static Prior* prior_;
  static std::map<std::string, at::Tensor>* golden_;
};

Prior* SolveTest::prior_ = nullptr;
std::map<std::string, at::Tensor>* SolveTest::golden_ = nullptr;

TEST_F(SolveTest, AgreesWithTheIndependentReferenceOnEveryNumberOfRanks) {
  Communicator world = Communicator::world();
  for (const GoldenCase& golden : golden_cases()) {
    FlowOptions options = options_of(golden);
    options.micro_batch = golden.name.size() % 2 ? 1 : 2;
    const Run result = run(golden, options, world);
    EXPECT_LT(largest_difference(result.y, golden_->at(golden.name + ".y")), 1e-6) << golden.name;
    const at::Tensor expected =
        golden_->at(golden.name + ".z").slice(0, result.first, result.first + result.z.size(0));
    EXPECT_LT(largest_difference(result.z, expected), 1e-8) << golden.name;
    for (const char* quantity : {"misfit", "prior_gradient", "neighbours"}) {
      const std::vector<double>& found = result.diagnostics.named(quantity);
      const at::Tensor wanted = golden_->at(golden.name + "." + quantity);
      ASSERT_EQ(static_cast<std::int64_t>(found.size()), wanted.numel()) << golden.name;
      EXPECT_LT(largest_difference(at::tensor(at::ArrayRef<double>(found), at::kDouble), wanted), 1e-9)
          << golden.name << " " << quantity;
    }
  }
}

TEST_F(SolveTest, GivesTheSameBitsOnAllRanksAsOnOne) {
  Communicator world = Communicator::world();
  for (const GoldenCase& golden : golden_cases()) {
    for (const auto& [particles, micro_batch] :
         {std::pair<std::int64_t, std::int64_t>{1, 1}, {1, 4}, {5, 1}, {5, 4}, {8, 1}, {8, 4}}) {
      if (golden.spec != "mean:4" || golden.name == "five_particles" || golden.name == "one_particle")
        continue;
      FlowOptions options = options_of(golden);
      options.steps = 2;
      options.particles = particles;
      options.micro_batch = micro_batch;
      const Run shared = run(golden, options, world);
      // One rank's own result, told to the others.
      at::Tensor alone = at::empty({particles, 4, 8, 8}, at::kDouble);
      at::Tensor records =
          at::empty({static_cast<std::int64_t>(Diagnostics::names().size()), options.steps}, at::kDouble);
      if (world.rank() == 0) {
        SelfCollective self;
        const Run result = run(golden, options, self);
        alone.copy_(result.z);
        for (std::int64_t q = 0; q < records.size(0); ++q) {
          records[q].copy_(series(result.diagnostics, Diagnostics::names()[static_cast<std::size_t>(q)]));
        }
      }
      for (at::Tensor* values : {&alone, &records}) {
        world.broadcast({static_cast<std::byte*>(values->data_ptr()), values->nbytes()}, 0);
      }
      EXPECT_TRUE(at::equal(shared.z, alone.slice(0, shared.first, shared.first + shared.z.size(0))))
          << golden.name << " N " << particles << " M " << micro_batch;
      for (std::int64_t q = 0; q < records.size(0); ++q) {
        const std::string quantity = Diagnostics::names()[static_cast<std::size_t>(q)];
        EXPECT_TRUE(at::equal(series(shared.diagnostics, quantity), records[q]))
            << golden.name << " " << quantity;
      }
    }
  }
}

TEST_F(SolveTest, RecordsEveryKthStepAndTheLast) {
  GoldenCase golden{"mixture"};
  FlowOptions options = options_of(golden);
  options.steps = 6;
  options.record_every = 4;
  SelfCollective self;
  EXPECT_EQ(run(golden, options, self).diagnostics.records(), 3u);  // steps 0, 4 and 5
  EXPECT_EQ(recorded_steps(6, 4), (std::vector<std::int64_t>{0, 4, 5}));
  EXPECT_EQ(recorded_steps(1, 10), (std::vector<std::int64_t>{0}));
}

TEST_F(SolveTest, DivergesOnAllRanksAlike) {
  Communicator world = Communicator::world();
  for (const InteractionKind kind : {InteractionKind::none, InteractionKind::gaussian,
                                     InteractionKind::mixture, InteractionKind::repulsion}) {
    GoldenCase golden{"mixture"};
    FlowOptions options = options_of(golden);
    options.interaction.kind = kind;
    options.rate = 1e200;
    EXPECT_THROW(run(golden, options, world), Error);
  }
}

}  // namespace
}  // namespace dwgf
