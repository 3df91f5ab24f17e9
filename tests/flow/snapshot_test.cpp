// A flow that is cut after any step and goes on from its snapshot, on another layout of ranks, ends with the
// same bits.
#include "flow/snapshot.hpp"

#include <cstring>
#include <map>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <support/golden.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "flow/unknowns/blur.hpp"
#include "flow/unknowns/noise_level.hpp"

namespace dwgf {
namespace {

/// Stops after `last` steps and keeps the snapshot; begins at `start` where there is one.
class Cut final : public FlowObserver {
 public:
  explicit Cut(std::int64_t last, const Snapshot* start = nullptr) : last_(last), start_(start) {}

  void begin(FlowState& state, Monitor& monitor) override {
    if (!start_) return;
    Snapshot own = *start_;
    std::erase_if(own.pieces, [&](const Snapshot::Piece& piece) {
      const std::int64_t first = state.share.first_batch;
      return piece.number < first || piece.number >= first + state.share.batches;
    });
    monitor.go_on_from(go_on_from(own, state), state);
  }
  bool at_step_boundary(const FlowState& state, const Monitor& monitor) override {
    if (state.step != last_) return true;
    snapshot = take_snapshot(state, monitor);
    return false;
  }
  Snapshot snapshot;

 private:
  std::int64_t last_;
  const Snapshot* start_;
};

/// The pieces of all ranks on every one.
Snapshot gathered(const Snapshot& own, std::int64_t slots, Collective& group) {
  std::int64_t sizes[1] = {own.pieces.empty() ? 0 : static_cast<std::int64_t>(own.pieces[0].bytes.size())};
  group.all_reduce_max(sizes);
  const auto bytes = static_cast<std::size_t>(sizes[0]), slot = sizeof(std::int64_t) + bytes;
  std::vector<std::byte> mine(static_cast<std::size_t>(slots) * slot, std::byte{0xFF});
  for (std::size_t k = 0; k < own.pieces.size(); ++k) {
    std::memcpy(mine.data() + k * slot, &own.pieces[k].number, sizeof(std::int64_t));
    std::memcpy(mine.data() + k * slot + sizeof(std::int64_t), own.pieces[k].bytes.data(), bytes);
  }
  std::vector<std::byte> all(mine.size() * static_cast<std::size_t>(group.size()));
  group.all_gather(mine, all);
  Snapshot whole{own.step, own.shared, {}};
  for (std::size_t at = 0; at < all.size(); at += slot) {
    Snapshot::Piece piece;
    std::memcpy(&piece.number, all.data() + at, sizeof piece.number);
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at + sizeof piece.number);
    piece.bytes.assign(begin, begin + static_cast<std::ptrdiff_t>(bytes));
    if (piece.number >= 0) whole.pieces.push_back(std::move(piece));
  }
  return whole;
}

class SnapshotTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    prior = load_stable_diffusion(std::string(DWGF_TEST_DATA) + "/prior/sd1", {.dtype = at::kFloat});
    y = test::golden_tensors("flow/golden.safetensors").at("mixture.y").to(at::kFloat);
  }
  static void TearDownTestSuite() { prior.reset(); }

  static FlowOptions options(InteractionKind interaction, std::int64_t record_every,
                             Method method = Method::dwgf) {
    FlowOptions options;
    options.method = method;
    options.guidance.eta = 0.5;
    options.particles = 5;
    options.micro_batch = 2;
    options.grid = 50;
    options.steps = 5;
    options.interaction.kind = interaction;
    options.record_every = record_every;
    if (method == Method::gibbs) options.data = {.objective = Objective::bayes, .consistency = 0.0};
    return options;
  }
  static Solution run(const FlowOptions& options, Collective& group, FlowObserver& observer) {
    const auto forward = make_operator("mean:4", {{3, 32, 32}, options.seed, 3});
    const auto noise = make_noise_model("gaussian", 0.05, *forward);
    const Unknowns unknowns{make_unknown_blur(open_blur("kernel:?3 | mean:4", {{3, 32, 32}})),
                            make_unknown_noise_level(0.2)};
    const bool joint = options.data.objective == Objective::bayes;
    return solve({*prior, *forward, y, {3, 32, 32}, 3, noise.get(), nullptr, joint ? &unknowns : nullptr},
                 options, group, observer);
  }
  static void expect_same(const Solution& found, const Solution& expected) {
    ASSERT_EQ(found.state.batches.size(), expected.state.batches.size());
    for (std::size_t b = 0; b < found.state.batches.size(); ++b) {
      const ParticleBatch &one = found.state.batches[b], &other = expected.state.batches[b];
      ASSERT_EQ(one.tensors().size(), other.tensors().size());
      for (std::size_t k = 0; k < one.tensors().size(); ++k)
        EXPECT_TRUE(at::equal(*one.tensors()[k], *other.tensors()[k])) << "tensor " << k;
    }
    for (const std::string& name : Diagnostics::names())
      EXPECT_EQ(found.diagnostics.named(name), expected.diagnostics.named(name)) << name;
    ASSERT_EQ(found.estimates.size(), expected.estimates.size());
    for (std::size_t u = 0; u < found.estimates.size(); ++u) {
      EXPECT_EQ(found.estimates[u].value, expected.estimates[u].value);
      EXPECT_EQ(found.estimates[u].spread, expected.estimates[u].spread);
      EXPECT_EQ(found.estimates[u].trace, expected.estimates[u].trace);
    }
  }

  inline static std::unique_ptr<Prior> prior;
  inline static at::Tensor y;
};

TEST_F(SnapshotTest, OfAnyStepGoesOnWithTheSameBitsOnAnyLayout) {
  Communicator world = Communicator::world();
  struct Case {
    InteractionKind kind;
    std::int64_t record_every, step;
    Method method = Method::dwgf;
  };
  for (const Case& one :
       {Case{InteractionKind::mixture, 1, 2}, Case{InteractionKind::gaussian, 3, 2},
        Case{InteractionKind::none, 3, 4}, Case{InteractionKind::none, 1, 2, Method::rlsd},
        Case{InteractionKind::gaussian, 1, 3, Method::gibbs}, Case{InteractionKind::none, 1, 2, Method::psld},
        Case{InteractionKind::none, 3, 4, Method::latent_dps}}) {
    SCOPED_TRACE(formatted("method {} after step {}, records every {}", static_cast<int>(one.method),
                           one.step, one.record_every));
    const FlowOptions flow = options(one.kind, one.record_every, one.method);
    const std::int64_t slots =
        share_particles(flow.particles, flow.micro_batch, world.rank(), world.size()).batches_per_rank;
    FlowObserver nobody;
    const Solution expected = run(flow, world, nobody);
    Cut cut(one.step);
    EXPECT_FALSE(run(flow, world, cut).complete);
    const Snapshot whole = gathered(cut.snapshot, slots, world);
    ASSERT_EQ(whole.pieces.size(), 3u);
    Cut shared(-1, &whole), alone(-1, &whole);
    expect_same(run(flow, world, shared), expected);
    if (world.rank() > 0) continue;
    SelfCollective self;
    expect_same(run(flow, self, alone), run(flow, self, nobody));
  }
}

TEST_F(SnapshotTest, OfAnotherFlowIsRefusedAndChangesNothing) {
  SelfCollective self;
  Cut cut(2);
  const Solution before = run(options(InteractionKind::none, 1), self, cut);
  const auto refused = [&](const Snapshot& snapshot) {
    FlowState state = before.state;
    const std::int64_t step = state.step = 1;
    EXPECT_THROW(go_on_from(snapshot, state), DataError);
    EXPECT_EQ(state.step, step);
    EXPECT_TRUE(at::equal(state.batches[0].z, before.state.batches[0].z));
  };
  Snapshot changed = cut.snapshot;
  changed.pieces.pop_back();
  refused(changed);
  changed = cut.snapshot;
  changed.pieces[1].bytes.pop_back();
  refused(changed);
  changed = cut.snapshot;
  changed.pieces[1].bytes.push_back({});
  refused(changed);
  changed = cut.snapshot;
  std::swap(changed.pieces[0], changed.pieces[1]);
  refused(changed);
  changed = cut.snapshot;
  changed.shared.pop_back();
  refused(changed);
  changed = cut.snapshot;
  const std::int64_t many = std::int64_t{1} << 60;
  std::memcpy(changed.shared.data(), &many, sizeof many);
  refused(changed);
}

}  // namespace
}  // namespace dwgf
