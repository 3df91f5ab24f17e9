#include "input/job_words.hpp"

namespace dwgf {

JobWords words_of(const Settings& job) {
  return {.data = job.text("input.data"),
          .forward = job.text("problem.operator"),
          .noise = job.text("problem.noise"),
          .sigma = job.text("problem.sigma"),
          .prior = job.text("prior.path"),
          .prompt = job.text("prior.prompt"),
          .preset = job.text("flow.preset"),
          .method = job.text("flow.method"),
          .objective = job.text("flow.objective"),
          .interaction = job.text("flow.interaction"),
          .precision = job.text("flow.precision"),
          .seed = job.text("flow.seed")};
}

}  // namespace dwgf
