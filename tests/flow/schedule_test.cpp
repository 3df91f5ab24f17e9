// What tools/scaling replays without LibTorch is what the flow does: the same exchanges, of the same sizes,
// waited for in the same order.
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <benchmarks/image_schedule.hpp>
#include <benchmarks/window_schedule.hpp>
#include <gtest/gtest.h>
#include <support/markov_field.hpp>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "job/window_crew.hpp"

namespace dwgf {
namespace {

/// A group that writes down what is asked of it.
class RecordingCollective final : public Collective {
 public:
  explicit RecordingCollective(Collective& group) : group_(group) {}
  std::vector<std::string> said;

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    return recorded("all-gather of " + std::to_string(bytes.size()), group_.start_all_gather(bytes, out));
  }
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override {
    return recorded("sum of " + std::to_string(values.size()), group_.start_all_reduce_sum(values));
  }
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override {
    return recorded("maximum of " + std::to_string(values.size()), group_.start_all_reduce_max(values));
  }
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override {
    said.push_back("all-to-all of " + std::to_string(bytes.size()));
    group_.all_to_all(bytes, out);
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    said.push_back("broadcast of " + std::to_string(bytes.size()));
    group_.broadcast(bytes, root);
  }
  void barrier() override {
    said.push_back("barrier");
    group_.barrier();
  }

 private:
  struct Pending final : PendingCollective {
    Pending(RecordingCollective& owner, std::string what, std::unique_ptr<PendingCollective> inner)
        : owner(owner), what(std::move(what)), inner(std::move(inner)) {}
    void wait() override {
      owner.said.push_back("wait for " + what);
      inner->wait();
    }
    RecordingCollective& owner;
    std::string what;
    std::unique_ptr<PendingCollective> inner;
  };
  std::unique_ptr<PendingCollective> recorded(const std::string& what,
                                              std::unique_ptr<PendingCollective> inner) {
    said.push_back(what);
    return std::make_unique<Pending>(*this, what, std::move(inner));
  }
  Collective& group_;
};

struct Everything final : ForwardOperator {
  at::Tensor apply(const at::Tensor& x) const override { return x; }
  bool is_linear() const override { return true; }
  std::vector<std::int64_t> measurement_shape() const override { return {1, 2, 3}; }
};

std::vector<std::string> replayed(const ImageShapeOfWork& shape, std::int64_t steps, Collective& group) {
  RecordingCollective recording(group);
  std::map<std::size_t, std::vector<std::byte>> rooms;
  const auto room = [&](std::size_t bytes) { return rooms.try_emplace(bytes, bytes).first->second.data(); };
  ImageSchedule schedule(
      shape, recording, recording, [](Work) {}, room);
  for (std::int64_t step = 0; step < steps; ++step) schedule.step(step);
  schedule.finish();
  // The end of an image is not the flow's: three exchanges, of which the first two are waited for.
  constexpr std::size_t end_of_image = 5;
  EXPECT_EQ(recording.said.back(), "barrier");
  recording.said.resize(recording.said.size() - end_of_image);
  return recording.said;
}

TEST(ImageSchedule, IsTheFlowsOwn) {
  Communicator world = Communicator::world();
  const auto prior = make_gaussian_mixture({.weights = at::ones({1}, at::kDouble),
                                            .means = at::zeros({1, 1, 2, 3}, at::kDouble),
                                            .covariances = at::ones({1, 1, 2, 3}, at::kDouble),
                                            .decoder = {},
                                            .offset = {},
                                            .schedule = {}},
                                           at::TensorOptions(at::kFloat));
  const Everything everything;
  const Problem problem{*prior, everything, at::zeros({1, 2, 3}), {1, 2, 3}};
  constexpr std::int64_t steps = 4;
  for (const auto& [kind, name] :
       std::map<InteractionKind, std::string>{{InteractionKind::mixture, "mixture"},
                                              {InteractionKind::gaussian, "gaussian"},
                                              {InteractionKind::repulsion, "repulsion"},
                                              {InteractionKind::none, "none"}}) {
    for (const std::int64_t particles : {1, 5, 8}) {
      for (const std::int64_t micro_batch : {1, 2}) {
        FlowOptions options;
        options.interaction.kind = kind;
        options.particles = particles;
        options.micro_batch = micro_batch;
        options.steps = steps;
        options.data.consistency = 0.0;
        RecordingCollective recording(world);
        solve(problem, options, recording);
        const ImageShapeOfWork shape{.interaction = name,
                                     .particles = particles,
                                     .micro_batch = micro_batch,
                                     .latent_values = 6,
                                     .image_values = 6,
                                     .votes = false};
        EXPECT_EQ(replayed(shape, steps, world), recording.said) << name << ", " << particles << " particles";
      }
    }
  }
}

TEST(CrewSchedule, IsTheCrewsOwn) {
  Communicator world = Communicator::world();
  const Prior prior = with_windows({.path = nullptr,
                                    .denoiser = std::make_shared<test::MarkovField>(0.5),
                                    .codec = std::make_shared<IdentityCodec>(),
                                    .geometry = {.image_channels = 1, .latent_channels = 1},
                                    .options = at::TensorOptions(at::kDouble),
                                    .sha256 = ""},
                                   {8, 2});
  const at::Tensor z = at::ones({2, 1, 20, 14}, at::kDouble);
  const Level level{.signal = 1.0, .noise = 0.1};
  RecordingCollective real(world), recording(world);
  const SharedWindows shared(RankGroup{real, real});
  if (world.rank() == 0) {
    shared.result(CallWindows(*prior.windows, {WindowCall::Kind::noise, z, {}, level}));
    shared.result(CallWindows(*prior.windows, {WindowCall::Kind::noise_pull, z, z, level}));
    shared.release();
  } else {
    shared.serve(prior, [] {});
  }
  std::map<std::size_t, std::vector<std::byte>> rooms;
  const CrewSchedule schedule(
      {.windows = window_count(20, 14, {8, 2}), .value_bytes = 8}, {}, recording, recording, [](double) {},
      [&](std::size_t bytes) { return rooms.try_emplace(bytes, bytes).first->second.data(); });
  schedule.call(z.numel(), 0, 2 * 8 * 8, 0.0);
  schedule.call(z.numel(), z.numel(), 2 * 8 * 8, 0.0);
  std::byte header[CrewSchedule::kHeader];
  recording.broadcast(header, 0);  // of the release
  EXPECT_EQ(recording.said, real.said);
}

}  // namespace
}  // namespace dwgf
