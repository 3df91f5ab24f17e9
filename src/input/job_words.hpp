/// The options of a job as they were written, for pages that people read.
#pragma once

#include <string>

#include "input/settings.hpp"

namespace dwgf {

struct JobWords {
  std::string data, forward, noise, sigma;
  std::string prior, prompt;
  std::string preset, method, objective, interaction, precision, seed;

  /// Whether both measure the same images alike.
  bool same_problem(const JobWords& other) const {
    return data == other.data && forward == other.forward && noise == other.noise && sigma == other.sigma;
  }
};

/// @pre `job` is one of `restore`
JobWords words_of(const Settings& job);

}  // namespace dwgf
