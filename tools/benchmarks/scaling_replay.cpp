// A whole job's exchanges with its computing replaced by its measured time: process grid, work queue,
// progress messages and image_schedule.hpp, the library's own comm layer beneath. Started by tools/scaling;
// built with an MPI's compiler it runs on that MPI, with smpicxx and -DDWGF_SIMULATED in SimGrid
// (simulated_mpi.cpp), where a rank more, the last, stands for the thread that gives out the images. Prints
// one JSON object.
//   scaling_replay KEY=VALUE...     the keys: Job and Seconds below, times in seconds
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <mpi.h>

#include <dwgf/comm/mpi.hpp>

#include "comm/progress_interval.hpp"
#include "comm/work_queue.hpp"
#include "image_schedule.hpp"
#include "window_schedule.hpp"
#ifdef DWGF_SIMULATED
#include "simulated_mpi.hpp"
#else
#include <thread>
#endif

namespace {

using namespace dwgf;

class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int k = 1; k < argc; ++k) {
      const std::string word = argv[k];
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) throw std::invalid_argument("not KEY=VALUE: " + word);
      values_[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  ~Arguments() = default;

  std::string text(const std::string& key, const std::string& otherwise) {
    const auto found = values_.find(key);
    if (found == values_.end()) return otherwise;
    const std::string value = found->second;
    values_.erase(found);
    return value;
  }
  double number(const std::string& key, double otherwise) {
    return std::stod(text(key, std::to_string(otherwise)));
  }
  std::int64_t integer(const std::string& key, std::int64_t otherwise) {
    return std::stoll(text(key, std::to_string(otherwise)));
  }
  void expect_all_known() const {
    if (!values_.empty()) throw std::invalid_argument("unknown key: " + values_.begin()->first);
  }

 private:
  std::map<std::string, std::string> values_;
};

struct Job {
  std::int64_t images, steps;
  int ranks_per_image, ranks_per_node;
  ImageShapeOfWork shape;
  WindowsOfWork windows;
  int leaders;  // of a group, where there are windows
};

/// What takes time without exchanges.
struct Seconds {
  double noise_prediction, gradient, distances, median, decoding;  // of a micro-batch (median: of a rank)
  double reading;                                                  // an image, on every rank of its group
  double storage_byte;  // of all ranks' results, one after the other
  double committing;    // an image's record, on disk
  double queue_pause;   // until the thread that gives out images looks again
  double spread;        // ranks are slower than the fastest by up to this share, evenly
  WindowSeconds window;
  double arithmetic;  // on a micro-batch's whole image in a step, by the leader of a crew alone
};

#ifdef DWGF_SIMULATED
void pass(double seconds) {
  simulated::sleep(seconds);
}
void write_to_storage(double seconds) {
  simulated::write_to_storage(seconds);
}
std::byte* payload(std::size_t bytes) {
  return simulated::payload(bytes);
}
#else
void pass(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}
void write_to_storage(double) {}
std::byte* payload(std::size_t bytes) {
  // Several exchanges are under way at a time; each size has room of its own.
  static std::map<std::size_t, std::vector<std::byte> > rooms;
  return rooms.try_emplace(bytes, bytes).first->second.data();
}
#endif

double now() {
  return MPI_Wtime();
}

/// The seconds that a rank spent on each, nanoseconds to be added exactly.
struct Spent {
  double computing = 0.0, redundant = 0.0, waiting = 0.0, writing = 0.0;
};

/// A group whose waiting is timed.
class TimedCollective final : public Collective {
 public:
  TimedCollective(Collective& group, double& waiting) : group_(group), waiting_(waiting) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    return timed(group_.start_all_gather(bytes, out));
  }
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override {
    return timed(group_.start_all_reduce_sum(values));
  }
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override {
    return timed(group_.start_all_reduce_max(values));
  }
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override {
    const double start = now();
    group_.all_to_all(bytes, out);
    waiting_ += now() - start;
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    const double start = now();
    group_.broadcast(bytes, root);
    waiting_ += now() - start;
  }
  void barrier() override {
    const double start = now();
    group_.barrier();
    waiting_ += now() - start;
  }

 private:
  struct Pending final : PendingCollective {
    Pending(std::unique_ptr<PendingCollective> inner, double& waiting)
        : inner(std::move(inner)), waiting(waiting) {}
    ~Pending() override {
      const double start = now();
      inner.reset();
      waiting += now() - start;
    }
    void wait() override {
      const double start = now();
      inner->wait();
      waiting += now() - start;
    }
    std::unique_ptr<PendingCollective> inner;
    double& waiting;
  };
  std::unique_ptr<PendingCollective> timed(std::unique_ptr<PendingCollective> inner) {
    return std::make_unique<Pending>(std::move(inner), waiting_);
  }
  Collective& group_;
  double& waiting_;
};

/// A group's crews: what this rank has of its own.
struct Crew {
  Crew(Communicator& group, int leaders)
      : number(group.rank() / (group.size() / leaders)),
        ranks(group.split(number, group.rank())),
        leading(group.split(ranks.rank() == 0 ? 0 : 1, group.rank())) {}
  int number;
  Communicator ranks, leading;
  bool leads() const { return ranks.rank() == 0; }
};

/// What a helper does meanwhile: the calls of its leader.
void help(const Job& job, int crew, const ImageSchedule::Compute& compute) {
  const ParticleShare share = share_particles(job.shape.particles, job.shape.micro_batch, crew, job.leaders);
  for (std::int64_t step = 0; step < job.steps; ++step) {
    for (std::int64_t b = 0; b < share.batches; ++b) compute(Work::noise_prediction);
    for (std::int64_t b = 0; b < share.batches; ++b) compute(Work::gradient);
  }
  for (std::int64_t b = 0; b < share.batches; ++b) compute(Work::decoding);
}

/// The images that this rank's group takes, one after the other.
Spent work(const Job& job, const Seconds& seconds, Communicator& ranks, Communicator& group, int groups,
           WorkQueue& queue) {
  Spent spent;
  TimedCollective timed(group, spent.waiting);
  const double slower =
      1.0 +
      seconds.spread *
          (ranks.size() > 1 ? static_cast<double>(ranks.rank() * 7919 % ranks.size()) / ranks.size() : 0.0);
  std::optional<Crew> crew;
  std::optional<TimedCollective> crew_timed, leaders_timed;
  std::optional<CrewSchedule> windows;
  if (job.windows.windows > 0) {
    crew.emplace(group, job.leaders);
    crew_timed.emplace(crew->ranks, spent.waiting);
    leaders_timed.emplace(crew->leading, spent.waiting);
    windows.emplace(
        job.windows, seconds.window, *crew_timed, *crew_timed,
        [&](double nominal) {
          spent.computing += nominal * slower;
          pass(nominal * slower);
        },
        payload);
  }
  Collective& holders = leaders_timed ? *leaders_timed : timed;
  const auto compute = [&](Work what) {
    if (windows) {
      windows->compute(what);
      if (what != Work::gradient || !crew->leads()) return;
      spent.computing += seconds.arithmetic;
      return pass(seconds.arithmetic);
    }
    const double nominal = what == Work::noise_prediction ? seconds.noise_prediction
                           : what == Work::gradient       ? seconds.gradient
                           : what == Work::distances      ? seconds.distances
                           : what == Work::decoding       ? seconds.decoding
                                                          : seconds.median;
    (what == Work::median ? spent.redundant : spent.computing) += nominal * slower;
    pass(nominal * slower);
  };
  const double tell_every = std::chrono::duration<double>(progress_interval(groups)).count();
  double told = -tell_every;
  for (;;) {
    timed.all_reduce_max({reinterpret_cast<std::int64_t*>(payload(8)), 1});
    const double asked = now();
    if (group.rank() == 0) pass(seconds.queue_pause);
    const auto item = take_collectively(queue, group);
    spent.waiting += now() - asked;
    if (!item) break;
    pass(seconds.reading);
    spent.redundant += seconds.reading;
    if (crew && !crew->leads()) {
      help(job, crew->number, compute);
      timed.barrier();
      continue;
    }
    ImageSchedule image(job.shape, holders, holders, compute, payload);
    for (std::int64_t step = 0; step < job.steps; ++step) {
      image.step(step);
      if (group.rank() == 0 && now() - told >= tell_every) {
        const std::int64_t message[6] = {};
        if (ranks.rank() != 0) ranks.post(0, message);
        told = now();
      }
      if (ranks.rank() == 0)
        while (!ranks.poll(6).empty()) {
        }
    }
    image.finish();
    const double written = now();
    if (group.rank() == 0) {
      // Mean, standard deviation, truth and measurement; then the record that commits them.
      write_to_storage(4.0 * 4.0 * static_cast<double>(job.shape.image_values) * seconds.storage_byte);
      pass(seconds.committing);
    }
    spent.writing += now() - written;
    if (crew) timed.barrier();  // helpers hear what came of it
  }
  return spent;
}

/// Sums over `ranks` of seconds.
std::vector<double> summed(Communicator& ranks, const std::vector<double>& values) {
  std::vector<std::int64_t> nanoseconds;
  for (const double value : values) nanoseconds.push_back(std::llround(value * 1e9));
  ranks.all_reduce_sum(nanoseconds);
  std::vector<double> sums;
  for (const std::int64_t value : nanoseconds) sums.push_back(static_cast<double>(value) * 1e-9);
  return sums;
}

double smallest(Communicator& group, double value) {
  std::int64_t negative[1] = {-std::llround(value * 1e9)};
  group.all_reduce_max(negative);
  return static_cast<double>(-negative[0]) * 1e-9;
}

void replay(Arguments& arguments) {
  Job job;
  job.images = arguments.integer("images", 1);
  job.steps = arguments.integer("steps", 10);
  job.ranks_per_image = static_cast<int>(arguments.integer("ranks_per_image", 1));
  job.ranks_per_node = static_cast<int>(arguments.integer("ranks_per_node", 8));
  job.shape.interaction = arguments.text("interaction", "mixture");
  job.shape.particles = arguments.integer("particles", 4);
  job.shape.micro_batch = arguments.integer("micro_batch", 1);
  job.shape.latent_values = arguments.integer("latent_values", job.shape.latent_values);
  job.shape.image_values = arguments.integer("image_values", job.shape.image_values);
  Seconds seconds;
  seconds.noise_prediction = arguments.number("noise_prediction", 0.002);
  seconds.gradient = arguments.number("gradient", 0.008);
  seconds.distances = arguments.number("distances", 0.0);
  seconds.median = arguments.number("median", 0.0);
  seconds.decoding = arguments.number("decoding", 0.002);
  seconds.reading = arguments.number("reading", 0.0);
  seconds.storage_byte = arguments.number("storage_byte", 0.0);
  seconds.committing = arguments.number("committing", 0.0);
  seconds.queue_pause = arguments.number("queue_pause", 0.0);
  seconds.spread = arguments.number("spread", 0.0);
  job.windows.windows = arguments.integer("windows", 0);
  job.windows.latents = job.shape.micro_batch * job.shape.latent_values;
  job.windows.image = job.shape.micro_batch * job.shape.image_values;
  job.windows.consistency = arguments.integer("consistency", 1) != 0;
  job.leaders = static_cast<int>(arguments.integer("leaders", 1));
  seconds.window = {arguments.number("window_noise", 0.0), arguments.number("window_decode", 0.0),
                    arguments.number("window_encode", 0.0), arguments.number("window_pull", 0.0)};
  seconds.arithmetic = arguments.number("arithmetic", 0.0);
  arguments.expect_all_known();

  Communicator world = Communicator::world();
#ifdef DWGF_SIMULATED
  const int workers = world.size() - 1;
#else
  const int workers = world.size();
#endif
  const bool works = world.rank() < workers;
  Communicator ranks = world.split(works ? 0 : 1, world.rank());
  std::vector<int> nodes;
  for (int rank = 0; rank < workers; ++rank) nodes.push_back(rank / job.ranks_per_node * job.ranks_per_node);
  const int askers = place_in_grid(0, nodes, std::min(job.ranks_per_image, workers)).groups;
#ifdef DWGF_SIMULATED
  WorkQueue queue(world, job.images, workers);
  if (!works) return queue.serve(askers);
#else
  WorkQueue queue(world, job.images);
#endif
  ProcessGrid grid(ranks, nodes, job.ranks_per_image);

  ranks.barrier();
  const double start = now();
  const Spent spent = work(job, seconds, ranks, grid.group(), askers, queue);
  ranks.barrier();
  const double elapsed = now() - start;

  // Who came last into the exchanges of a group waited for nothing but their transfer.
  const double exchange = smallest(grid.group(), spent.waiting);
  const std::vector<double> sums =
      summed(ranks, {spent.computing, spent.redundant, exchange, spent.waiting - exchange, spent.writing});
  if (ranks.rank() == 0) {
    std::printf(
        "{\"ranks\": %d, \"groups\": %d, \"ranks_per_image\": %d, \"images\": %lld, \"particles\": %lld, "
        "\"steps\": %lld, "
        "\"interaction\": \"%s\", \"seconds\": %.9g, \"computing\": %.9g, \"redundant\": %.9g, \"exchange\": "
        "%.9g, "
        "\"waiting\": %.9g, \"writing\": %.9g}\n",
        workers, askers, job.ranks_per_image, static_cast<long long>(job.images),
        static_cast<long long>(job.shape.particles), static_cast<long long>(job.steps),
        job.shape.interaction.c_str(), elapsed, sums[0], sums[1], sums[2], sums[3], sums[4]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Arguments arguments(argc, argv);
#ifdef DWGF_SIMULATED
    const simulated::Session session(argc, argv);
#else
    MpiSession session(argc, argv);
#endif
    replay(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scaling_replay: %s\n", error.what());
    return 1;
  }
  return 0;
}
