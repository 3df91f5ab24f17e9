#include "input/option_table.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "catalogue/methods.hpp"
#include "input/detail/rows.hpp"
#include "input/job_input.hpp"

namespace dwgf {

namespace {

constexpr double kLargestRow = 9e15;
constexpr double kLargestSeed = 18446744073709551615.0;
constexpr double kLargestCount = 1e9;

/// An option that changes how a result is computed or where it goes, never what it is.
OptionSpec layout(OptionSpec option) {
  option.identity = false;
  return option;
}

/// A default that is written otherwise than its shortest form, so that jobs written before compare equal.
OptionSpec spelled(std::string standard, OptionSpec option) {
  option.default_value = std::move(standard);
  return option;
}

OptionSpec later(OptionSpec option) {
  option.later = true;
  return option;
}

OptionSpec may_name_hdf5(OptionSpec option) {
  option.names_hdf5 = true;
  return option;
}

OptionSpec or_word(std::string word, OptionSpec option) {
  option.choices.push_back(std::move(word));
  return option;
}

OptionSpec or_words(const std::vector<std::string>& words, OptionSpec option) {
  for (const std::string& word : words) option.choices.push_back(word);
  return option;
}

OptionSpec of_form(std::string form, OptionSpec option) {
  option.form = std::move(form);
  return option;
}

std::optional<Sigma> parse_sigma(const std::string& text) {
  if (text == "estimate") return Estimate{};
  if (text == "file") return FromFile{};
  if (text == "unknown") return InFlow{};
  return parse_double(text);
}

/// "none", "slurm", "HH:MM:SS" or, as Slurm writes it, "D-HH:MM:SS".
std::optional<TimeLimit> parse_time_limit(const std::string& text) {
  if (text == "none") return NoLimit{};
  if (text == "slurm") return LimitOfSlurm{};
  const std::vector<std::string> days = split(text, '-');
  const std::vector<std::string> parts = split(days.back(), ':');
  if (days.size() > 2 || parts.size() != 3) return std::nullopt;
  std::vector<std::string> numbers = {days.size() == 2 ? days.front() : "0"};
  numbers.insert(numbers.end(), parts.begin(), parts.end());
  constexpr std::int64_t kEach[] = {1, 24, 60, 60}, kMost[] = {10000, 10000, 59, 59};  // days, hours, ...
  std::int64_t seconds = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    const std::optional<std::int64_t> number = parse_integer<std::int64_t>(numbers[k]);
    if (!number || *number < 0 || *number > kMost[k]) return std::nullopt;
    seconds = seconds * kEach[k] + *number;
  }
  return seconds > 0 ? std::optional<TimeLimit>(static_cast<double>(seconds)) : std::nullopt;
}

/// Nothing inside: "auto".
std::optional<std::optional<std::int64_t>> parse_shards(const std::string& text) {
  if (text == "auto") return std::optional<std::int64_t>();
  return parse_integer<std::int64_t>(text);
}

/// Of "steps" or "stall:TOLERANCE": the tolerance, or 0.
std::optional<double> parse_stop(const std::string& text) {
  constexpr std::string_view prefix = "stall:";
  if (text == "steps") return 0.0;
  if (!text.starts_with(prefix)) return std::nullopt;
  const std::optional<double> tolerance = parse_double(text.substr(prefix.size()));
  return tolerance && *tolerance > 0.0 && *tolerance < 1.0 ? tolerance : std::nullopt;
}

std::optional<std::vector<double>> parse_quantiles(const std::string& text) {
  std::vector<double> probabilities;
  if (text == "none") return probabilities;
  for (const std::string& word : split(text, ',')) {
    const std::optional<double> p = parse_double(trim(word));
    const bool ascends = p && (probabilities.empty() || *p > probabilities.back());
    if (!ascends || !(*p >= 1e-6 && *p <= 1 - 1e-6) || probabilities.size() == 99) return std::nullopt;
    probabilities.push_back(*p);
  }
  return probabilities;
}

std::optional<std::vector<double>> parse_levels(const std::string& text) {
  std::vector<double> levels;
  for (const std::string& word : split(text, ',')) {
    const std::optional<double> level = parse_double(trim(word));
    if (!level || !(std::abs(*level) <= 50) || (!levels.empty() && *level <= levels.back()))
      return std::nullopt;
    levels.push_back(*level);
  }
  return levels;
}

/// Nothing inside: "prior".
std::optional<std::vector<std::int64_t>> parse_times(const std::string& text) {
  std::vector<std::int64_t> times;
  if (text == "prior") return times;
  for (const std::string& word : split(text, ',')) {
    const auto time = parse_integer<std::int64_t>(trim(word));
    if (!time || *time < 0 || *time > 1'000'000 || (!times.empty() && *time >= times.back()))
      return std::nullopt;
    times.push_back(*time);
  }
  return times;
}

/// Nothing inside: "auto".
std::optional<std::optional<ValueRange>> parse_range(const std::string& text) {
  if (text == "auto") return std::optional<ValueRange>();
  const std::vector<std::string> words = split(text, ',');
  if (words.size() != 2) return std::nullopt;
  const std::optional<double> low = parse_double(trim(words[0])), high = parse_double(trim(words[1]));
  if (!low || !high || !(*low < *high)) return std::nullopt;
  return std::optional(ValueRange{*low, *high});
}

/// Nothing inside: "none". Levels of 0 ... 255 become values on [-1, 1].
std::optional<std::optional<std::array<double, 3>>> parse_background(const std::string& text) {
  using Background = std::optional<std::array<double, 3>>;
  if (text == "none") return Background();
  if (text == "white") return Background({1, 1, 1});
  if (text == "black") return Background({-1, -1, -1});
  constexpr std::string_view digits = "0123456789abcdef";
  if (text.size() != 7 || text[0] != '#') return std::nullopt;
  std::array<double, 3> colour{};
  for (std::size_t k = 0; k < 6; ++k) {
    const std::size_t digit = digits.find(static_cast<char>(text[1 + k] | ('A' <= text[1 + k] ? 32 : 0)));
    if (digit == std::string_view::npos) return std::nullopt;
    colour[k / 2] = colour[k / 2] * 16 + static_cast<double>(digit);
  }
  for (double& level : colour) level = level / 127.5 - 1;
  return Background(colour);
}

/// Words of a list, each of `known`; nothing for another.
std::optional<std::vector<std::string>> parse_words(const std::string& text,
                                                    const std::vector<std::string>& known) {
  if (text == "all") return known;
  std::vector<std::string> words;
  for (const std::string& part : split(text, ',')) {
    words.push_back(trim(part));
    if (std::ranges::count(known, words.back()) == 0) return std::nullopt;
  }
  return words;
}

/// Latent pixels, "auto" or "off".
std::optional<std::optional<std::int64_t>> parse_window(const std::string& text) {
  if (text == "auto") return std::optional<std::int64_t>();
  if (text == "off") return std::optional<std::int64_t>(0);
  return parse_integer<std::int64_t>(text);
}

/// Latent pixels or "auto".
std::optional<std::optional<std::int64_t>> parse_overlap(const std::string& text) {
  if (text == "auto") return std::optional<std::int64_t>();
  return parse_integer<std::int64_t>(text);
}

using Options = std::vector<OptionSpec>;

Options joined(Options first, const Options& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

/// Which images.
template <class Input>
Options images_options(const std::string& also = "") {
  const Section<Input, ImagesInput> images("input.",
                                           [](Input& input) -> ImagesInput& { return input.images; });
  return {
      may_name_hdf5(images.text("data", &ImagesInput::data,
                                "images: a folder of PNG, JPEG, TIFF and WebP files, one of them, a pattern "
                                "('photos/*.png'), a .npy [n, C, H, W], or FILE.h5:/dataset, float32 on "
                                "[-1, 1] or uint8" +
                                    also)),
      later(of_form("auto, or LOW,HIGH, such as -1,1 or 0,1 or 0,255 or 0,65535",
                    images.row(OptionKind::text, "range", &ImagesInput::range,
                               "the numbers that become -1 and 1: of floating-point TIFF, arrays, and "
                               "measurements; of 16-bit pictures where HIGH is above 255; auto: what whole "
                               "numbers of their type can say, and -1,1 of others. Results are exported on "
                               "this range again",
                               parse_range, "auto"))),
      later(of_form("none, white, black, or #rrggbb",
                    images.row(OptionKind::text, "background", &ImagesInput::background,
                               "the colour that transparent pixels of pictures are laid on; none: such "
                               "pictures are refused",
                               parse_background, "none"))),
      images.integer("first", &ImagesInput::first, 0, kLargestRow,
                     "first image of the slice to work on [row]"),
      // Not part of the identity: the list of images itself is compared.
      layout(
          images.integer("count", &ImagesInput::count, 0, kLargestRow, "images in the slice; 0: to the end")),
  };
}

/// What `restore` and `degrade` both take: which images, and what is done to them.
template <class Input>
Options problem_options() {
  const Section<Input, ProblemInput> problem("problem.",
                                             [](Input& input) -> ProblemInput& { return input.problem; });
  const Options more = {
      problem.text("operator", &ProblemInput::forward,
                   "forward operator, as `name:arguments`, composed by ` | `; see --help-operators"),
      or_words({"unknown", "file", "estimate"},
               problem.within(
                   0, 10,
                   problem.row(OptionKind::real, "sigma", &ProblemInput::sigma,
                               "standard deviation of the measurement noise, on the [-1, 1] scale; estimate: "
                               "from the fine differences of each measured image; file: one an image, as a "
                               "measurements file lists them; unknown: estimated together with the image",
                               parse_sigma, number_text(ProblemInput().given_sigma())))),
      problem.text(
          "noise", &ProblemInput::noise,
          "gaussian; poisson:peak, photon counts with so many at white; uniform:step, rounded to steps after "
          "gaussian noise"),
  };
  return joined(images_options<Input>("; or the file of measurements that `degrade` or h5py wrote"), more);
}

template <class Input>
Section<Input> plain() {
  return {"", [](Input& input) -> Input& { return input; }};
}

/// Help on its own: nothing of the job.
OptionSpec help_operators() {
  OptionSpec option{"help-operators", OptionKind::flag, "",
                    "list the forward operators with their equations"};
  option.identity = false;
  option.assign = [](std::any&, const std::string&) { return true; };
  return option;
}

Options degrade_options() {
  const auto input = [](DegradeInput& input) -> DegradeInput& { return input; };
  const Section<DegradeInput> images("input.", input), flow("flow.", input), store("store.", input);
  return joined(problem_options<DegradeInput>(),
                {
                    images.choice<std::int64_t>(
                        "channels", &DegradeInput::channels, {{"1", 1}, {"3", 3}},
                        "channels that the images are measured in, those of the prior: grey or colour"),
                    flow.integer("seed", &DegradeInput::seed, 0, kLargestSeed,
                                 "seed of noise and drawn masks, 64 bits"),
                    layout(store.text("out", &DegradeInput::out, "the measurements file to write (HDF5)")),
                    store.choice("truth", &DegradeInput::stores_truth, {{"yes", true}, {"no", false}},
                                 "whether the clean images are stored too"),
                    help_operators(),
                });
}

/// Number formats of the networks.
template <class Input>
OptionSpec precision_option(const std::string& help) {
  const Section<Input, MethodInput> method("flow.",
                                           [](Input& input) -> MethodInput& { return input.method; });
  return method.template choice<Precision>("precision", &MethodInput::precision,
                                           {{"fp64", Precision::fp64},
                                            {"fp32", Precision::fp32},
                                            {"tf32", Precision::tf32},
                                            {"bf16", Precision::bf16},
                                            {"fp16", Precision::fp16}},
                                           help);
}

template <class Input>
Options prior_options() {
  const Section<Input, PriorInput> prior("prior.", [](Input& input) -> PriorInput& { return input.prior; });
  const std::vector<std::pair<std::string, std::optional<Precision>>> precisions = {
      {"flow", std::nullopt},    {"fp64", Precision::fp64}, {"fp32", Precision::fp32},
      {"tf32", Precision::tf32}, {"bf16", Precision::bf16}, {"fp16", Precision::fp16}};
  return {
      may_name_hdf5(prior.text(
          "path", &PriorInput::path,
          "a diffusers directory (Stable Diffusion, or a pixel-space DDPM), the HDF5 file of a Gaussian "
          "mixture, or a built-in prior by name")),
      prior.text("prompt", &PriorInput::prompt,
                 "text the prior is conditioned on; needs a prior with a text encoder. An image's own stands "
                 "in NAME.txt beside NAME.png, or in /image/prompt"),
      later(prior.real("guidance", &PriorInput::guidance, 0, 100,
                       "classifier-free guidance: the noise is that of the negative prompt and so many times "
                       "what the prompt adds to it; 1: none")),
      later(prior.text("negative_prompt", &PriorInput::negative_prompt,
                       "text to guide away from, where prior.guidance is not 1")),
      prior.text(
          "context", &PriorInput::context,
          "a .npy [1, tokens, dim] in place of a prompt; a prior without text encoder takes one zero token"),

      prior.choice("unet_precision", &PriorInput::unet_precision, precisions,
                   "number format of the U-Net; flow: as flow.precision"),
      prior.choice("autoencoder_precision", &PriorInput::autoencoder_precision, precisions,
                   "number format of the autoencoder; flow: as flow.precision"),
      prior.template choice<DecoderMemory>(
          "decoder_gradient", &PriorInput::decoder_gradient,
          {{"auto", DecoderMemory::automatic},
           {"plain", DecoderMemory::plain},
           {"recompute", DecoderMemory::recompute},
           {"tiled", DecoderMemory::tiled}},
          "memory of the decoder's gradient: plain keeps everything, recompute runs blocks twice for the "
          "same bits; auto: recompute where plain would take over 2 GiB, or on a GPU over half of its free "
          "memory, if that is more (tiled: refused, of old jobs)"),
      later(or_word(
          "auto",
          or_word("off", prior.within(2, 65536,
                                      prior.row(OptionKind::integer, "window", &PriorInput::window,
                                                "larger images are covered by windows of so many latent "
                                                "pixels, which the networks see one "
                                                "by one; auto: of the size that the prior was trained on",
                                                parse_window, "off"))))),
      later(or_word(
          "auto",
          prior.within(0, 65535,
                       prior.row(OptionKind::integer, "overlap", &PriorInput::overlap,
                                 "how far windows overlap at least [latent pixels]; auto: a quarter of one",
                                 parse_overlap, "auto")))),
      later(
          prior.choice("window_shift", &PriorInput::windows_move, {{"yes", true}, {"no", false}},
                       "whether windows lie elsewhere at every step, so that no seam forms where they meet")),
      later(prior.text("codec", &PriorInput::codec,
                       "a folder whose autoencoder takes the place of the prior's own, such as one of TAESD; "
                       "of the same latents")),
      later(of_form(
          "prior, or descending whole numbers, such as 999,749,499,249",
          prior.row(OptionKind::text, "times", &PriorInput::times,
                    "times at which the prior may be called, where it was distilled to few; prior: as "
                    "its scheduler says",
                    parse_times, "prior"))),
  };
}

/// The options of [flow] whose fields stand in one struct of FlowOptions.
template <class Part, Part FlowOptions::*part>
Section<JobInput, Part> flow_part() {
  return {"flow.", [](JobInput& job) -> Part& { return job.method.options.*part; }};
}

std::vector<std::pair<std::string, Method>> method_names() {
  std::vector<std::pair<std::string, Method>> names;
  for (const MethodEntry& entry : method_entries()) names.emplace_back(entry.name, entry.method);
  return names;
}

std::string method_summaries() {
  std::string text;
  for (const MethodEntry& entry : method_entries()) text += formatted("; {}: {}", entry.name, entry.summary);
  return text;
}

/// Which method, and how long it takes.
Options course_options() {
  const Section<JobInput, MethodInput> method("flow.",
                                              [](JobInput& job) -> MethodInput& { return job.method; });
  const Section<JobInput, FlowOptions> flow("flow.",
                                            [](JobInput& job) -> FlowOptions& { return job.method.options; });
  const auto data = flow_part<DataTermOptions, &FlowOptions::data>();
  const auto gibbs = flow_part<GibbsOptions, &FlowOptions::gibbs>();
  return {
      method.choice<std::string>("preset", &MethodInput::preset,
                                 {{"paper", "paper"},
                                  {"fast", "fast"},
                                  {"bayes", "bayes"},
                                  {"quick", "quick"},
                                  {"quick-posterior", "quick-posterior"}},
                                 "a consistent group of the options below; single ones override it"),
      flow.choice<Method>("method", &FlowOptions::method, method_names(),
                          "how the posterior is approached; a method brings its own defaults, and a key that "
                          "it has no use for is refused" +
                              method_summaries()),
      data.choice<Objective>("objective", &DataTermOptions::objective,
                             {{"reference", Objective::reference}, {"bayes", Objective::bayes}},
                             "reference: the published conventions, losses are means; bayes: the noise's "
                             "log-likelihood, so that "
                             "the posterior is approached"),
      method.choice<Method>(
          "integrator", &MethodInput::integrator,
          {{"adam", Method::dwgf}, {"affine", Method::affine}, {"gibbs", Method::gibbs}},
          "another spelling of flow.method: adam for dwgf, affine and gibbs for the methods of that name"),
      gibbs.integer("data_steps", &GibbsOptions::data_steps, 1, 1000,
                    "conjugate directions of gibbs towards the data in a step"),
      later(flow.choice<Start>(
          "start", &FlowOptions::start, {{"noise", Start::noise}, {"kalman", Start::kalman}},
          "where particles begin: at noise; or where kalman leaves them after a few steps, from "
          "where the method goes on at the level of flow.start_time")),
      later(flow.real(
          "start_time", &FlowOptions::start_time, 1, 999,
          "how noisy the level is from which the method goes on after flow.start = kalman [times of a "
          "schedule of 1,000]")),
      flow.integer("particles", &FlowOptions::particles, 1, 65536, "particles an image, N"),
      flow.integer("grid", &FlowOptions::grid, 2, 999,
                   "length of the DDIM time grid, K; the flow takes K - 1 steps"),
      flow.choice<Spacing>(
          "spacing", &FlowOptions::spacing, {{"linear", Spacing::linear}, {"log", Spacing::log}},
          "times of the grid: evenly, as DDIM's, or evenly in the logarithm of noise over signal"),
      flow.integer("settle", &FlowOptions::settle, 0, 1e6,
                   "further steps after the grid, at the last time, which it leaves out (t = 1)"),
      flow.integer("steps", &FlowOptions::steps, 0, 1e6, "stop after that many steps; 0: all of them"),
      later(flow.integer(
          "polish", &FlowOptions::polish, 0, 1e6,
          "last steps that use the prior's own autoencoder in place of prior.codec, as does what "
          "is stored then")),
      of_form("steps, or stall:TOLERANCE with a tolerance between 0 and 1",
              flow.row(OptionKind::text, "stop", &FlowOptions::stall,
                       "steps: take them all; stall:TOLERANCE: stop once the mean misfit of 10 records falls "
                       "by less than this share, such as stall:0.01",
                       parse_stop, "steps")),
  };
}

/// What moves the particles.
Options term_options() {
  const Section<JobInput, FlowOptions> flow("flow.",
                                            [](JobInput& job) -> FlowOptions& { return job.method.options; });
  const auto interaction = flow_part<InteractionOptions, &FlowOptions::interaction>();
  const auto data = flow_part<DataTermOptions, &FlowOptions::data>();
  return {
      interaction.choice<InteractionKind>("interaction", &InteractionOptions::kind,
                                          {{"mixture", InteractionKind::mixture},
                                           {"gaussian", InteractionKind::gaussian},
                                           {"repulsion", InteractionKind::repulsion},
                                           {"none", InteractionKind::none}},
                                          "how the particles of an image act on each other"),
      spelled("1.0", interaction.real("repulsion", &InteractionOptions::repulsion, 0, 1e6,
                                      "strength of the repulsion, rho")),
      interaction.choice<CovarianceKind>(
          "covariance", &InteractionOptions::covariance,
          {{"diagonal", CovarianceKind::diagonal},
           {"full", CovarianceKind::full},
           {"lowrank", CovarianceKind::lowrank}},
          "covariance of the gaussian interaction; lowrank: shrunk towards a multiple "
          "of the identity as the number of particles asks for"),
      flow.real("weight", &FlowOptions::weight, 0, 1e6,
                "weight of the prior, w_t; 1 is the posterior's with bayes"),
      data.real("consistency", &DataTermOptions::consistency, 0, 1e6,
                "weight of the autoencoder's consistency, lambda; 0 leaves it out"),
      data.integer(
          "consistency_every", &DataTermOptions::consistency_every, 1, kLargestCount,
          "steps of which the first has the consistency term and the others leave it out, with their "
          "encoder and second decoder pass"),
      data.real("decoder_std", &DataTermOptions::decoder_std, 0, 10,
                "standard deviation of the decoder as a Gaussian, sigma_D"),
      spelled("1.0",
              flow.real("lr", &FlowOptions::rate, 1e-12, 1e6, "Adam's rate; the step of affine, below 1")),
      data.choice<EncodeMode>("encode", &DataTermOptions::encode,
                              {{"mean", EncodeMode::mean}, {"sample", EncodeMode::sample}},
                              "what the encoder hands to the consistency term"),
  };
}

/// Of the methods to compare with, and of all kernels.
Options sampler_options() {
  const Section<JobInput, FlowOptions> flow("flow.",
                                            [](JobInput& job) -> FlowOptions& { return job.method.options; });
  const auto guidance = flow_part<GuidanceOptions, &FlowOptions::guidance>();
  const auto rlsd = flow_part<RlsdOptions, &FlowOptions::rlsd>();
  const auto psld = flow_part<PsldOptions, &FlowOptions::psld>();
  const auto kalman = flow_part<KalmanOptions, &FlowOptions::kalman>();
  const auto latino = flow_part<LatinoOptions, &FlowOptions::latino>();
  return {
      guidance.real("guidance", &GuidanceOptions::weight, 0, 1e6,
                    "weight of the measurement's norm: omega of psld, zeta' of latent-dps (there 0.3)"),
      psld.real("gluing", &PsldOptions::gluing, 0, 1e6, "weight of psld's gluing term, gamma"),
      guidance.real("eta", &GuidanceOptions::eta, 0, 1,
                    "noise in the steps of psld and latent-dps (there 1): 0 none, as DDIM; 1 as DDPM"),
      rlsd.real("coupling", &RlsdOptions::coupling, 1e-9, 1e6,
                "what draws image and latent of rlsd to each other, rho"),
      rlsd.real("image_lr", &RlsdOptions::image_rate, 1e-12, 1e6, "Adam's rate for the images of rlsd"),
      later(
          kalman.real("relaxation", &KalmanOptions::relaxation, 0, 10,
                      "over-relaxation of kalman's corrections; 1 is exact where the posterior is Gaussian")),
      later(kalman.real("renoise", &KalmanOptions::renoise, 0, 10,
                        "noise that kalman adds again after a step, as a share of the level's")),
      later(kalman.real(
          "lag", &KalmanOptions::lag, 0, 999,
          "how much noisier than a step's level that of kalman's gain is [times of a schedule of 1,000]")),
      later(kalman.choice<SampledSteps>(
          "sampled", &KalmanOptions::sampled,
          {{"none", SampledSteps::none}, {"last", SampledSteps::last}, {"every", SampledSteps::every}},
          "steps in which kalman draws from the conditional distribution, where it "
          "otherwise takes the mean; last or every: particles are samples")),
      later(
          kalman.integer("gain_iterations", &KalmanOptions::gain_iterations, 1, 100000,
                         "conjugate gradients of kalman's gain, where a problem is too large for a factor or "
                         "not linear")),
      later(latino.choice<LatinoDelta>(
          "delta", &LatinoOptions::delta,
          {{"published", LatinoDelta::published}, {"measured", LatinoDelta::measured}},
          "how far latino trusts its images against the measurement: as its authors' table says, or by the "
          "error of pixels that the prior's moments have at each level")),
      flow.integer("micro_batch", &FlowOptions::micro_batch, 1, 65536,
                   "samples in every network call, exactly; part of a result's identity"),
      precision_option<JobInput>(
          "number format of the networks; particles, Adam and all sums of the flow are fp64 with fp64, else "
          "fp32; what overflows in bf16 or fp16 is redone in fp32 and counted in /diagnostics/redone; tf32 "
          "is "
          "fp32 where there is no such GPU"),
      flow.integer("seed", &FlowOptions::seed, 0, kLargestSeed, "seed of every random number, 64 bits"),
  };
}

/// Where a rank computes, and by how many threads.
template <class Input>
Options device_options() {
  const Section<Input, LayoutInput> run("run.", [](Input& input) -> LayoutInput& { return input.layout; });
  return {
      layout(run.template choice<ComputeOn>(
          "device", &LayoutInput::device,
          {{"cpu", ComputeOn::cpu}, {"cuda", ComputeOn::device}, {"auto", ComputeOn::automatic}},
          "where the networks and the flow run; auto: on GPUs where this build and every rank have one")),
      run.integer("threads", &LayoutInput::threads, 1, 4096, "threads a rank; part of a result's identity"),
  };
}

Options layout_options() {
  const Section<JobInput, LayoutInput> run("run.", [](JobInput& job) -> LayoutInput& { return job.layout; });
  const Section<JobInput> log("log.", [](JobInput& job) -> JobInput& { return job; });
  const Options ranks = {layout(run.integer("ranks_per_image", &LayoutInput::ranks_per_image, 1,
                                            kLargestCount, "ranks that share one image's particles"))};
  const Options more = {
      layout(run.choice<ExchangeBy>(
          "exchange", &LayoutInput::exchange,
          {{"auto", ExchangeBy::automatic}, {"nccl", ExchangeBy::nccl}, {"host", ExchangeBy::host}},
          "how ranks on GPUs that share an image exchange tensors: nccl, directly; host, through the host's "
          "memory, also where ranks share a GPU or have slices of one; auto: nccl where every rank has a GPU "
          "of its own")),
      layout(run.real("watchdog_minutes", &LayoutInput::watchdog_minutes, 0, 1e6,
                      "a step, or waiting for other ranks, that takes longer ends the job with exit code 71 "
                      "[minutes]; 0: never")),
      layout(run.real("checkpoint_seconds", &LayoutInput::checkpoint_seconds, 0, 1e9,
                      "time between checkpoints inside an image [s]; 0: only when a signal asks for one")),
      later(layout(of_form("none, slurm, or HH:MM:SS",
                           run.row(OptionKind::text, "time_limit", &LayoutInput::time_limit,
                                   "the job stops with a checkpoint and exit code 75 in time for this limit; "
                                   "slurm: that of its Slurm job",
                                   parse_time_limit, "none")))),
      later(layout(run.choice("check_memory", &LayoutInput::checks_memory, {{"yes", true}, {"no", false}},
                              "yes: a job that by estimate needs more memory than a host has is refused "
                              "before it starts; no: it is tried"))),

      layout(log.text(
          "file", &JobInput::log_file,
          "a file that every rank appends its events to, a JSON object a line; %r in it becomes the rank")),
  };
  return joined(joined(ranks, device_options<JobInput>()), more);
}

Options store_options() {
  const Section<JobInput, StoreInput> store("store.", [](JobInput& job) -> StoreInput& { return job.store; });
  const Section<JobInput, FlowOptions> records(
      "store.", [](JobInput& job) -> FlowOptions& { return job.method.options; });
  return {
      layout(store.text("out", &StoreInput::out, "the results file to write (HDF5)")),
      layout(store.integer("alignment", &StoreInput::alignment, 0, 1e9,
                           "large datasets begin at multiples of it: the size of a stripe of a parallel file "
                           "system [bytes]; 0: as it comes")),
      layout(store.integer("chunk", &StoreInput::chunk, 0, 1073741824,
                           "datasets are stored in chunks of at most so many bytes, whole images where one "
                           "fits, all allocated "
                           "at once [bytes]; 0: each in one piece, which is faster to write")),
      layout(or_word(
          "auto",
          store.within(1, 100000,
                       store.row(OptionKind::integer, "shards", &StoreInput::shards,
                                 "files that the images are divided among, STORE.OUT.shards/K.h5, with "
                                 "store.out as one file over all of them; auto: one a group of ranks",
                                 parse_shards, "1")))),
      layout(store.choice("verify", &StoreInput::verify, {{"committed", true}, {"none", false}},
                          "what is compared with its checksum before a job goes on with a file; damaged "
                          "images are restored again")),
      store.choice<NumberType>("particles", &StoreInput::particles,
                               {{"none", NumberType::none},
                                {"uint8", NumberType::uint8},
                                {"float16", NumberType::float16},
                                {"float32", NumberType::float32},
                                {"float64", NumberType::float64}},
                               "number format of the stored particles"),
      store.choice<NumberType>("latents", &StoreInput::latents,
                               {{"none", NumberType::none},
                                {"float16", NumberType::float16},
                                {"float32", NumberType::float32},
                                {"float64", NumberType::float64}},
                               "number format of the stored latents"),
      of_form("none, or at most 99 ascending probabilities between 0 and 1, such as 0.05,0.95",
              store.row(OptionKind::text, "quantiles", &StoreInput::quantiles,
                        "quantiles of the particles stored for every pixel, as probabilities; none: no such "
                        "arrays",
                        parse_quantiles, "0.05,0.95")),
      store.choice(
          "ksd", &StoreInput::ksd, {{"no", false}, {"yes", true}},
          "whether a kernel Stein discrepancy of every image's particles is computed and stored: how "
          "far they are from the posterior of prior and measurement, without the truth; for Gaussian "
          "noise; costs about one step"),
      records.integer("diagnostics_every", &FlowOptions::record_every, 1, kLargestCount,
                      "steps between diagnostics records; the last step is always recorded"),
  };
}

/// What `calibrate-prior` writes, for those that read it.
Options moments_options() {
  const Section<JobInput, PriorInput> prior("prior.", [](JobInput& job) -> PriorInput& { return job.prior; });
  return {later(prior.text("moments", &PriorInput::moments,
                           "the file of the prior's moments that `calibrate-prior` wrote; by default "
                           "moments.safetensors in the prior's folder"))};
}

Options restore_options() {
  const Section<JobInput> job = plain<JobInput>();
  const Section<JobInput, ImagesInput> images("input.",
                                              [](JobInput& job) -> ImagesInput& { return job.images; });
  Options options = joined(
      problem_options<JobInput>(),
      {later(images.choice<ImagesKind>(
          "kind", &ImagesInput::kind, {{"clean", ImagesKind::clean}, {"measured", ImagesKind::measured}},
          "clean: the images are measured by problem.operator, and noise is added, before they are restored; "
          "measured: they are the measurements y already, blurred, small or noisy as problem.operator and "
          "problem.sigma say"))});
  for (const auto& section : {prior_options<JobInput>(), moments_options(), course_options(), term_options(),
                              sampler_options(), layout_options(), store_options()})
    options = joined(std::move(options), section);
  return joined(
      std::move(options),
      {
          job.flag("dry-run", &JobInput::dry_run,
                   "print the effective options, the plan and what it will cost, and stop"),
          layout(may_name_hdf5(job.text(
              "rerun", &JobInput::rerun,
              "a results file: does its images over again from what it carries itself, into store.out "
              "(FILE.rerun.h5), and compares the bits"))),
          layout(job.within(
              0, kLargestRow,
              job.row(
                  OptionKind::integer, "image", &JobInput::image,
                  "with --rerun: only this image [row]; all where not given",
                  [](const std::string& text) { return std::optional(parse_integer<std::int64_t>(text)); },
                  "0"))),
          help_operators(),
      });
}

/// The same without flags, for a command that only looks at the job.
Options job_options() {
  Options options = restore_options();
  std::erase_if(options, [](const OptionSpec& option) { return option.kind == OptionKind::flag; });
  return options;
}

/// Of the commands that say how close images are to the truth, and judge a posterior's spread.
template <class Input>
Options judge_options() {
  const Section<Input, JudgeInput> judge("", [](Input& input) -> JudgeInput& { return input.judge; });
  return {
      layout(judge.text(
          "truth", &JudgeInput::truth,
          "the clean images, where the results carry none, or in place of theirs: a folder, a .npy, "
          "FILE.h5:/dataset or a measurements file with a truth; matched by name or row, else by order")),
      layout(judge.text(
          "decoder-error", &JudgeInput::decoder_error,
          "the autoencoder's own error, added to the particles' spread where intervals are compared with the "
          "truth: a standard deviation on the [-1, 1] scale, or images to measure it on, such as training "
          "images (as input.data); none: nothing is added")),
      layout(judge.text("lpips", &JudgeInput::lpips,
                        "weights of AlexNet or VGG16 with LPIPS's heads, a safetensors file by "
                        "tools/convert_metric_weights.py; without it LPIPS is not computed")),
  };
}

Options calibrate_options() {
  const Section<CalibrateInput> own = plain<CalibrateInput>();
  const Section<CalibrateInput, LayoutInput> run(
      "run.", [](CalibrateInput& input) -> LayoutInput& { return input.layout; });
  const Options more = {
      precision_option<CalibrateInput>("number format of the networks; all sums are exact"),
      layout(
          run.real("checkpoint_seconds", &LayoutInput::checkpoint_seconds, 0, 1e9,
                   "time between checkpoints of the sums, FILE.part-RANK [s]; 0: only when it is stopped")),
      layout(own.text("to", &CalibrateInput::to,
                      "the file to write; by default moments.safetensors in the prior's folder")),
      own.integer("samples", &CalibrateInput::samples, 0, kLargestCount,
                  "in place of input.data: so many samples of the prior's own"),
      own.integer("size", &CalibrateInput::size, 0, 65536, "height and width of these samples [pixels]"),
      own.integer("seed", &CalibrateInput::seed, 0, kLargestSeed, "seed of every random number, 64 bits"),
      own.integer("batch", &CalibrateInput::batch, 1, 65536, "images in every network call, exactly"),
      own.choice<MomentForm>(
          "form", &CalibrateInput::form,
          {{"auto", MomentForm::automatic},
           {"full", MomentForm::full},
           {"shift-invariant", MomentForm::shift_invariant}},
          "full: how every entry of one size of images goes with every other; shift-invariant: the same "
          "everywhere, for images of any size; auto: full where all images are of one size and have, with "
          "their latents, at most 4096 entries"),
      own.integer("rank", &CalibrateInput::rank, 1, 4096, "eigenvectors kept of full moments"),
      own.real("mix", &CalibrateInput::mix, 0, 0.99,
               "share of full moments that their eigenvectors leave to shift-invariant correlations"),
      own.integer("radius", &CalibrateInput::radius, 0, 64,
                  "how far shift-invariant correlations are looked for [latent pixels]"),
      of_form("ascending numbers, such as -2.3,-0.9,0.2,1.9",
              own.row(OptionKind::text, "levels", &CalibrateInput::levels,
                      "noise levels to measure at, log(noise / signal); each becomes the prior's nearest",
                      parse_levels, "-2.32,-1.614,-0.945,-0.363,0.152,0.651,1.204,1.868"))};
  return joined(joined(images_options<CalibrateInput>(), prior_options<CalibrateInput>()),
                joined(device_options<CalibrateInput>(), more));
}

Options priors_options() {
  const Section<PriorsInput> own = plain<PriorsInput>();
  return {own.flag("measure", &PriorsInput::measure,
                   "load each prior too, and time one call of each of its networks on this machine"),
          own.integer("size", &PriorsInput::size, 0, 1e5,
                      "side of the image to measure with; 0: that of the images it was trained on [pixels]"),
          precision_option<PriorsInput>("number format of the networks that are measured"),
          own.flag("json", &PriorsInput::json, "print JSON to standard output")};
}

Options evaluate_options() {
  const Section<EvaluateInput> evaluate = plain<EvaluateInput>();
  const Options first = {
      evaluate.flag("json", &EvaluateInput::json, "print JSON to standard output instead of a table"),
      evaluate.flag("csv", &EvaluateInput::csv,
                    "print a line of comma-separated values an image instead of a table")};
  return joined(
      joined(first, judge_options<EvaluateInput>()),
      {layout(evaluate.text("fid", &EvaluateInput::fid,
                            "weights of FID's Inception v3, a safetensors file by "
                            "tools/convert_metric_weights.py; without it FID is not computed; under "
                            "mpirun the ranks share its images"))});
}

Options report_options() {
  const Section<ReportInput> report = plain<ReportInput>();
  return joined(
      {report.text("to", &ReportInput::to, "the page to write; by default beside the first results file"),
       report.integer("pictures", &ReportInput::pictures, 0, 100,
                      "images whose pictures are shown: worst, slowest, and evenly spaced ones"),
       report.integer("sample", &ReportInput::sample, 0, kLargestRow,
                      "images that are measured, evenly spaced; 0: all")},
      judge_options<ReportInput>());
}

Options export_options() {
  const Section<ExportInput> exported = plain<ExportInput>();
  return {
      exported.text("to", &ExportInput::to, "the folder to write to; made if it is not there"),
      exported.choice<ExportFormat>(
          "format", &ExportInput::format,
          {{"png8", ExportFormat::png8},
           {"png16", ExportFormat::png16},
           {"tiff", ExportFormat::tiff},
           {"npy", ExportFormat::npy}},
          "PNG of 8 or 16 bit: -1 is black and 1 white, the standard deviation black at 0 and white at 0.5; "
          "TIFF or NPY of float32: the numbers, in the units of the input where it has any (input.range; "
          "value_scale, value_offset and unit of a measurements file), else on [-1, 1]"),
      of_form("all, or some of truth,measurement,baseline,mean,std,quantiles,particles",
              exported.row(
                  OptionKind::text, "what", &ExportInput::what,
                  "what is written of each image, where the results have it (store.quantiles, "
                  "store.particles)",
                  [](const std::string& text) {
                    return parse_words(
                        text, {"truth", "measurement", "baseline", "mean", "std", "quantiles", "particles"});
                  },
                  "truth,measurement,baseline,mean,std")),
      exported.integer("sheet", &ExportInput::sheet, 0, 1000, "rows of the contact sheet; 0: no sheet"),
      exported.flag("overwrite", &ExportInput::overwrite, "replace files that are there already")};
}

}  // namespace

const std::vector<CommandSpec>& command_table() {
  static const std::vector<CommandSpec> table = {
      {"restore", "[RESULTS | --config FILE...] [--section.key value]...",
       "restore images: measurements, or clean images degraded on the fly -> posterior -> results file",
       JobInput{}, restore_options(), 0, false, 1},
      {"degrade", "[--config FILE]... [--section.key value]...",
       "clean images, an operator and noise -> a measurements file that carries the operator with it",
       DegradeInput{}, degrade_options()},
      {"calibrate-prior", "[--config FILE]... [--section.key value]...",
       "measure a prior's moments, once, for flow.method = kalman: images, or the prior's own samples -> how "
       "the errors of its clean estimate go together at every noise level",
       CalibrateInput{}, calibrate_options()},
      {"evaluate", "RESULTS",
       "how close the images are to the truth, the trivial baseline and linear MMSE beside them, and whether "
       "their spread can be trusted",
       EvaluateInput{}, evaluate_options(), 1},
      {"report", "RESULTS... [--to FILE.html]",
       "one self-contained HTML page: pictures, uncertainty, curves, tables, how it was made; several "
       "results files are compared",
       ReportInput{}, report_options(), 1, true},
      {"export", "RESULTS --to DIR", "the results as pictures, with one contact sheet of them all",
       ExportInput{}, export_options(), 1},
      {"status",
       "RESULTS",
       "done, failed and left; also while the job runs",
       StatusInput{},
       {plain<StatusInput>().flag("json", &StatusInput::json, "print JSON to standard output")},
       1},
      {"verify",
       "RESULTS",
       "check every committed image against its checksum, and list what is missing",
       {},
       {},
       1},
      {"merge",
       "RESULTS... --to FILE",
       "the results of slices of one data set (array tasks), as one file; refuses results that differ, names "
       "gaps",
       MergeInput{},
       {plain<MergeInput>().text("to", &MergeInput::to, "the results file to write; not there yet")},
       1,
       true},
      {"doctor", "[--config FILE]... [--section.key value]...",
       "what would go wrong on this machine or allocation, before it does; takes the options of restore",
       JobInput{}, job_options()},
      {"priors", "[DIRECTORY]...",
       "what of a model directory is recognised: family, networks, sizes, what they take; without one, the "
       "models that there are to fetch",
       PriorsInput{}, priors_options(), 0, true},
      {"completion",
       "bash",
       "a script that completes commands, options and their values in this shell, to standard output",
       {},
       {},
       1},
      {"selftest",
       "",
       "whether this copy works where it is installed: two small images, restored by one process and by two, "
       "and what came of it; under a minute",
       {},
       {}},
  };
  return table;
}

bool is_retired(const std::string& key) {
  return key == "run.stage_weights";
}

const CommandSpec* find_command(const std::string& name) {
  for (const CommandSpec& command : command_table()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::vector<std::pair<std::string, std::string>> preset_values(const std::string& preset) {
  if (preset == "fast") {
    return {{"flow.grid", "60"},       {"flow.encode", "mean"},
            {"flow.consistency", "0"}, {"flow.interaction", "repulsion"},
            {"flow.repulsion", "2"},   {"flow.weight", "0.05"}};
  }
  if (preset == "bayes") {
    std::vector<std::pair<std::string, std::string>> values{{"flow.method", "gibbs"}};
    for (const auto& value : method_values("gibbs")) values.push_back(value);
    return values;
  }
  if (preset == "quick" || preset == "quick-posterior") {
    std::vector<std::pair<std::string, std::string>> values{{"flow.method", "kalman"}};
    for (const auto& value : method_values("kalman")) values.push_back(value);
    if (preset == "quick") return values;
    values.emplace_back("flow.renoise", "1.15");
    values.emplace_back("flow.sampled", "last");
    return values;
  }
  return {};  // `paper` is what the table's defaults are
}

std::vector<std::pair<std::string, std::string>> method_values(const std::string& method) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& [key, value] : entry_of(method).defaults) values.emplace_back("flow." + key, value);
  return values;
}

bool applies(const std::string& key, const std::string& method) {
  const std::string prefix = "flow.";
  if (!key.starts_with(prefix)) return true;
  const std::string name = key.substr(prefix.size());
  const auto has = [&](const MethodEntry& entry) { return std::ranges::count(entry.keys, name) > 0; };
  return has(entry_of(method)) || std::ranges::none_of(method_entries(), has);
}

std::string allowed_values(const OptionSpec& option) {
  std::ostringstream out;
  if (!option.form.empty()) {
    out << option.form;
  } else if (option.kind == OptionKind::choice) {
    for (std::size_t i = 0; i < option.choices.size(); ++i) out << (i ? " | " : "") << option.choices[i];
  } else if (option.kind == OptionKind::integer || option.kind == OptionKind::real) {
    out.precision(12);
    if (option.kind == OptionKind::integer && option.most > 1.8e19) {
      out << option.least << " ... 2^64 - 1";
    } else {
      out << option.least << " ... " << option.most;
    }
    for (const std::string& word : option.choices) out << " | " << word;
  }
  return out.str();
}

std::string unknown_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandSpec& command : command_table()) names.push_back(command.name);
  const std::string nearest = nearest_name(name, names);
  return formatted("unknown command '{}'{}; `dwgf --help` lists the commands", name,
                   nearest.empty() ? "" : formatted("; did you mean '{}'?", nearest));
}

}  // namespace dwgf
