#include "input/option_table.hpp"

#include <map>
#include <set>
#include <sstream>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {

namespace {

OptionSpec text(std::string key, std::string value, std::string help) {
  return {std::move(key), OptionKind::text, std::move(value), std::move(help)};
}

OptionSpec choice(std::string key, std::string value, std::vector<std::string> choices, std::string help) {
  OptionSpec option{std::move(key), OptionKind::choice, std::move(value), std::move(help)};
  option.choices = std::move(choices);
  return option;
}

OptionSpec integer(std::string key, std::string value, double least, double most, std::string help) {
  return {std::move(key), OptionKind::integer, std::move(value), std::move(help), least, most};
}

OptionSpec real(std::string key, std::string value, double least, double most, std::string help) {
  return {std::move(key), OptionKind::real, std::move(value), std::move(help), least, most};
}

OptionSpec flag(std::string key, std::string help) {
  OptionSpec option{std::move(key), OptionKind::flag, "", std::move(help)};
  option.identity = false;
  return option;
}

/// An option that changes how a result is computed or where it goes, never what it is.
OptionSpec layout(OptionSpec option) {
  option.identity = false;
  return option;
}

OptionSpec real_or(std::string key, std::string value, double least, double most,
                   std::vector<std::string> words, std::string help) {
  OptionSpec option = real(std::move(key), std::move(value), least, most, std::move(help));
  option.choices = std::move(words);
  return option;
}

OptionSpec integer_or(std::string key, std::string value, double least, double most,
                      std::vector<std::string> words, std::string help) {
  OptionSpec option = integer(std::move(key), std::move(value), least, most, std::move(help));
  option.choices = std::move(words);
  return option;
}

/// What `restore` and `degrade` both take: which images, and what is done to them.
std::vector<OptionSpec> problem_options() {
  return {
      text("input.data", "",
           "images: a folder of PNG, JPEG and TIFF files, a .npy [n, C, H, W], or FILE.h5:/dataset, float32 "
           "on "
           "[-1, 1] or uint8; or the file of measurements that `degrade` or h5py wrote"),
      integer("input.first", "0", 0, 9e15, "first image of the slice to work on [row]"),
      // Not part of the identity: the list of images itself is compared.
      layout(integer("input.count", "0", 0, 9e15, "images in the slice; 0: to the end")),

      text("problem.operator", "identity",
           "forward operator, as `name:arguments`, composed by ` | `; see --help-operators"),
      real_or("problem.sigma", "0.05", 0, 10, {"estimate"},
              "standard deviation of the measurement noise, on the [-1, 1] scale; estimate: from the fine "
              "differences of each measured image"),
      text(
          "problem.noise", "gaussian",
          "gaussian; poisson:peak, photon counts with so many at white; uniform:step, rounded to steps after "
          "gaussian noise"),
  };
}

std::vector<OptionSpec> joined(std::vector<OptionSpec> first, const std::vector<OptionSpec>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

std::vector<OptionSpec> degrade_options() {
  return joined(
      problem_options(),
      {
          choice("input.channels", "1", {"1", "3"},
                 "channels that the images are measured in, those of the prior: grey or colour"),
          integer("flow.seed", "0", 0, 18446744073709551615.0, "seed of noise and drawn masks, 64 bits"),
          layout(text("store.out", "", "the measurements file to write (HDF5)")),
          choice("store.truth", "yes", {"yes", "no"}, "whether the clean images are stored too"),
          flag("help-operators", "list the forward operators with their equations"),
      });
}

std::vector<OptionSpec> restore_options() {
  constexpr double kLargestCount = 1e9;
  return joined(
      problem_options(),
      {
          text("prior.path", "builtin:fashion",
               "a diffusers directory (Stable Diffusion, or a pixel-space DDPM), the HDF5 file of a Gaussian "
               "mixture, or a "
               "built-in prior by name"),
          text("prior.prompt", "", "text the prior is conditioned on; needs a prior with a text encoder"),
          text("prior.context", "",
               "a .npy [1, tokens, dim] in place of a prompt; a prior without text encoder takes one zero "
               "token"),

          choice("prior.unet_precision", "flow", {"flow", "fp64", "fp32", "tf32", "bf16", "fp16"},
                 "number format of the U-Net; flow: as flow.precision"),
          choice("prior.autoencoder_precision", "flow", {"flow", "fp64", "fp32", "tf32", "bf16", "fp16"},
                 "number format of the autoencoder; flow: as flow.precision"),
          choice(
              "prior.decoder_gradient", "auto", {"auto", "plain", "recompute", "tiled"},
              "memory of the decoder's gradient: plain keeps everything, recompute runs blocks twice for the "
              "same bits, tiled is approximate and for images beyond memory; auto: recompute where plain "
              "would take over 2 GiB"),

          choice("flow.preset", "paper", {"paper", "fast", "bayes"},
                 "a consistent group of the options below; single ones override it"),
          choice("flow.method", "dwgf", {"dwgf", "rlsd", "psld", "latent-dps"},
                 "how the posterior is approached: by the gradient flow, or by a method to compare it with, "
                 "which "
                 "brings its own published defaults; a key that it has no use for is refused"),
          choice("flow.objective", "reference", {"reference", "bayes"},
                 "reference: the published conventions, losses are means; bayes: the noise's log-likelihood, "
                 "so that "
                 "the posterior is approached"),
          choice("flow.integrator", "adam", {"adam", "affine", "gibbs"},
                 "how particles move: adam as published; affine: a flow preconditioned by the ensemble's "
                 "covariance, "
                 "for more particles than latent entries; gibbs: a split Gibbs sampler, for any number"),
          integer("flow.data_steps", "4", 1, 1000,
                  "conjugate directions of gibbs towards the data in a step"),
          integer("flow.particles", "4", 1, 65536, "particles an image, N"),
          integer("flow.grid", "999", 2, 999, "length of the DDIM time grid, K; the flow takes K - 1 steps"),
          choice("flow.spacing", "linear", {"linear", "log"},
                 "times of the grid: evenly, as DDIM's, or evenly in the logarithm of noise over signal"),
          integer("flow.settle", "0", 0, 1e6,
                  "further steps after the grid, at the last time, which it leaves out (t = 1)"),
          integer("flow.steps", "0", 0, 1e6, "stop after that many steps; 0: all of them"),
          text("flow.stop", "steps",
               "steps: take them all; stall:TOLERANCE: stop once the mean misfit of 10 records falls by less "
               "than this share, such as stall:0.01"),
          choice("flow.interaction", "mixture", {"mixture", "gaussian", "repulsion", "none"},
                 "how the particles of an image act on each other"),
          real("flow.repulsion", "1.0", 0, 1e6, "strength of the repulsion, rho"),
          choice("flow.covariance", "diagonal", {"diagonal", "full", "lowrank"},
                 "covariance of the gaussian interaction; lowrank: shrunk towards a multiple of the identity "
                 "as the number "
                 "of particles asks for"),
          real("flow.weight", "0.15", 0, 1e6, "weight of the prior, w_t; 1 is the posterior's with bayes"),
          real("flow.consistency", "0.1", 0, 1e6,
               "weight of the autoencoder's consistency, lambda; 0 leaves it out"),
          integer("flow.consistency_every", "1", 1, kLargestCount,
                  "steps of which the first has the consistency term and the others leave it out, with their "
                  "encoder and second decoder pass"),
          real("flow.decoder_std", "0.01", 0, 10, "standard deviation of the decoder as a Gaussian, sigma_D"),
          real("flow.lr", "1.0", 1e-12, 1e6, "Adam's rate; the step of affine, below 1"),
          choice("flow.encode", "sample", {"mean", "sample"},
                 "what the encoder hands to the consistency term"),
          real("flow.guidance", "1", 0, 1e6,
               "weight of the measurement's norm: omega of psld, zeta' of latent-dps (there 0.3)"),
          real("flow.gluing", "0.1", 0, 1e6, "weight of psld's gluing term, gamma"),
          real("flow.eta", "0", 0, 1,
               "noise in the steps of psld and latent-dps (there 1): 0 none, as DDIM; 1 as DDPM"),
          real("flow.coupling", "0.2", 1e-9, 1e6, "what draws image and latent of rlsd to each other, rho"),
          real("flow.image_lr", "0.2", 1e-12, 1e6, "Adam's rate for the images of rlsd"),
          integer("flow.micro_batch", "1", 1, 65536,
                  "samples in every network call, exactly; part of a result's identity"),
          choice("flow.precision", "fp32", {"fp64", "fp32", "tf32", "bf16", "fp16"},
                 "number format of the networks; particles, Adam and all sums of the flow are fp64 with "
                 "fp64, else "
                 "fp32; what overflows in bf16 or fp16 is redone in fp32 and counted in /diagnostics/redone; "
                 "tf32 "
                 "is fp32 where there is no such GPU"),
          integer("flow.seed", "0", 0, 18446744073709551615.0, "seed of every random number, 64 bits"),

          layout(integer("run.ranks_per_image", "1", 1, kLargestCount,
                         "ranks that share one image's particles")),
          layout(choice(
              "run.device", "auto", {"cpu", "cuda", "auto"},
              "where the networks and the flow run; auto: on GPUs where this build and every rank have one")),
          integer("run.threads", "1", 1, 4096, "threads a rank; part of a result's identity"),

          layout(real("run.watchdog_minutes", "30", 0, 1e6,
                      "a step, or waiting for other ranks, that takes longer ends the job with exit code 71 "
                      "[minutes]; 0: never")),
          layout(real("run.checkpoint_seconds", "300", 0, 1e9,
                      "time between checkpoints inside an image [s]; 0: only when a signal asks for one")),

          layout(
              text("log.file", "",
                   "a file that every rank appends its events to, a JSON object a line; %r in it becomes the "
                   "rank")),

          layout(text("store.out", "", "the results file to write (HDF5)")),
          layout(integer("store.alignment", "0", 0, 1e9,
                         "large datasets begin at multiples of it: the size of a stripe of a parallel file "
                         "system [bytes]; 0: as it comes")),
          layout(
              integer("store.chunk", "0", 0, 1073741824,
                      "datasets are stored in chunks of at most so many bytes, whole images where one fits, "
                      "all allocated at once [bytes]; 0: each in one piece, which is faster to write")),
          layout(integer_or("store.shards", "1", 1, 100000, {"auto"},
                            "files that the images are divided among, STORE.OUT.shards/K.h5, with store.out "
                            "as one file over "
                            "all of them; auto: one a group of ranks")),
          layout(choice(
              "store.verify", "committed", {"committed", "none"},
              "what is compared with its checksum before a job goes on with a file; damaged images are "
              "restored again")),
          choice("store.particles", "none", {"none", "uint8", "float16", "float32", "float64"},
                 "number format of the stored particles"),
          choice("store.latents", "none", {"none", "float16", "float32", "float64"},
                 "number format of the stored latents"),
          text("store.quantiles", "0.05,0.95",
               "quantiles of the particles stored for every pixel, as probabilities; none: no such arrays"),
          choice("store.ksd", "no", {"no", "yes"},
                 "whether a kernel Stein discrepancy of every image's particles is computed and stored: how "
                 "far they are from "
                 "the posterior of prior and measurement, without the truth; for Gaussian noise; costs about "
                 "one step"),
          integer("store.diagnostics_every", "1", 1, kLargestCount,
                  "steps between diagnostics records; the last step is always recorded"),

          flag("dry-run", "print the effective options, the plan and what it will cost, and stop"),
          layout(
              text("rerun", "",
                   "a results file: does its images over again from what it carries itself, into store.out "
                   "(FILE.rerun.h5), and compares the bits")),
          layout(integer("image", "0", 0, 9e15, "with --rerun: only this image [row]; all where not given")),
          flag("help-operators", "list the forward operators with their equations"),
      });
}

/// Of the commands that say how close images are to the truth.
OptionSpec lpips_option() {
  return layout(text("lpips", "",
                     "weights of AlexNet or VGG16 with LPIPS's heads, a safetensors file by "
                     "tools/convert_metric_weights.py; without it LPIPS is not computed"));
}

/// Of the commands that judge a posterior's spread.
OptionSpec decoder_error_option() {
  return layout(text(
      "decoder-error", "",
      "the autoencoder's own error, added to the particles' spread where intervals are compared with the "
      "truth: a standard deviation on the [-1, 1] scale, or images to measure it on, such as training "
      "images (as input.data); none: nothing is added"));
}

/// The same without flags, for a command that only looks at the job.
std::vector<OptionSpec> job_options() {
  std::vector<OptionSpec> options = restore_options();
  std::erase_if(options, [](const OptionSpec& option) { return option.kind == OptionKind::flag; });
  return options;
}

}  // namespace

const std::vector<CommandSpec>& command_table() {
  static const std::vector<CommandSpec> table = {
      {"restore", "[--config FILE]... [--section.key value]...",
       "restore images: measurements, or clean images degraded on the fly -> posterior -> results file",
       restore_options(), 0},
      {"degrade", "[--config FILE]... [--section.key value]...",
       "clean images, an operator and noise -> a measurements file that carries the operator with it",
       degrade_options(), 0},
      {"evaluate",
       "RESULTS",
       "how close the images are to the truth, the trivial baseline and linear MMSE beside them, and whether "
       "their spread can be trusted",
       {flag("json", "print JSON to standard output instead of a table"),
        flag("csv", "print a line of comma-separated values an image instead of a table"),
        decoder_error_option(), lpips_option(),
        layout(text("fid", "",
                    "weights of FID's Inception v3, a safetensors file by tools/convert_metric_weights.py; "
                    "without it FID "
                    "is not computed; under mpirun the ranks share its images"))},
       1},
      {"report",
       "RESULTS... [--to FILE.html]",
       "one self-contained HTML page: pictures, uncertainty, curves, tables, how it was made; several "
       "results files are "
       "compared",
       {text("to", "", "the page to write; by default beside the first results file"),
        integer("pictures", "12", 0, 100,
                "images whose pictures are shown: worst, slowest, and evenly spaced ones"),
        integer("sample", "2000", 0, 9e15, "images that are measured, evenly spaced; 0: all"),
        decoder_error_option(), lpips_option()},
       1,
       true},
      {"export",
       "RESULTS --to DIR",
       "the results as pictures, with one contact sheet of them all",
       {text("to", "", "the folder to write to; made if it is not there"),
        choice("format", "png8", {"png8", "png16", "npy"}, "PNG of 8 or 16 bit, or NPY float32"),
        integer("sheet", "16", 0, 1000, "rows of the contact sheet; 0: no sheet"),
        flag("overwrite", "replace files that are there already")},
       1},
      {"status",
       "RESULTS",
       "done, failed and left; also while the job runs",
       {flag("json", "print JSON to standard output")},
       1},
      {"verify",
       "RESULTS",
       "check every committed image against its checksum, and list what is missing",
       {},
       1},
      {"merge",
       "RESULTS... --to FILE",
       "the results of slices of one data set (array tasks), as one file; refuses results that differ, names "
       "gaps",
       {text("to", "", "the results file to write; not there yet")},
       1,
       true},
      {"doctor", "[--config FILE]... [--section.key value]...",
       "what would go wrong on this machine or allocation, before it does; takes the options of restore",
       job_options(), 0},
      {"completion",
       "bash",
       "a script that completes commands, options and their values in this shell, to standard output",
       {},
       1},
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
    return {{"flow.objective", "bayes"},      {"flow.integrator", "gibbs"}, {"flow.grid", "40"},
            {"flow.spacing", "log"},          {"flow.settle", "1"},         {"flow.data_steps", "4"},
            {"flow.interaction", "gaussian"}, {"flow.weight", "1"},         {"flow.consistency", "0"},
            {"flow.decoder_std", "0"},        {"flow.encode", "mean"}};
  }
  return {};  // `paper` is what the table's defaults are
}

std::vector<std::pair<std::string, std::string>> method_values(const std::string& method) {
  if (method == "rlsd") return {{"flow.weight", "0.1"}, {"flow.lr", "0.2"}, {"flow.repulsion", "50"}};
  if (method == "latent-dps") return {{"flow.guidance", "0.3"}, {"flow.eta", "1"}};
  return {};  // the table's defaults are those of `dwgf`, and where that has none, of `psld`
}

bool applies(const std::string& key, const std::string& method) {
  using Keys = std::set<std::string>;
  static const std::map<std::string, Keys> own = {
      {"rlsd", {"flow.stop", "flow.weight", "flow.lr", "flow.repulsion", "flow.coupling", "flow.image_lr"}},
      {"psld", {"flow.guidance", "flow.gluing", "flow.eta"}},
      {"latent-dps", {"flow.guidance", "flow.eta"}}};
  static const Keys common = {"flow.preset", "flow.method",      "flow.particles", "flow.grid",
                              "flow.steps",  "flow.micro_batch", "flow.precision", "flow.seed"};
  static const Keys not_of_dwgf = {"flow.guidance", "flow.gluing", "flow.eta", "flow.coupling",
                                   "flow.image_lr"};
  if (!key.starts_with("flow.") || common.contains(key)) return true;
  const auto found = own.find(method);
  return found == own.end() ? !not_of_dwgf.contains(key) : found->second.contains(key);
}

std::string allowed_values(const OptionSpec& option) {
  std::ostringstream out;
  if (option.kind == OptionKind::choice) {
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
  return concat("unknown command '", name, "'",
                nearest.empty() ? "" : concat("; did you mean '", nearest, "'?"),
                "; `dwgf --help` lists the commands");
}

}  // namespace dwgf
