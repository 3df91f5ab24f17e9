/// What a model directory holds, by its configurations and the headers of its weights: no tensor is read, so
/// that it answers at once whatever the size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dwgf {

struct NetworkDescription {
  std::string folder;           ///< "unet"
  std::string kind = {};        ///< the class that its config.json names; empty: it names none
  std::string type = {};        ///< of most of its parameters, as stored: "F16"
  std::int64_t parameters = 0;  ///< numbers
  std::uint64_t bytes = 0;      ///< on disk
  std::string problem = {};     ///< why its weights cannot be read; empty where they can
};

struct PriorDescription {
  std::string family;                        ///< of known_families(); empty where none takes it
  std::string problem;                       ///< why none does
  std::vector<std::string> models;           ///< published ones of these shapes
  std::vector<NetworkDescription> networks;  ///< denoiser, codec, text encoders
  std::string scheduler;                     ///< its class; empty: none
  std::string prediction;                    ///< what the denoiser gives: "epsilon", "v_prediction", ...
  std::string steps;                         ///< how many calls a sample is meant to take; empty: not known
  std::int64_t factor = 0;                   ///< pixels a latent pixel; 0: not known
  std::int64_t pixels = 0;                   ///< the side of the images it was trained on; 0: not known

  std::int64_t parameters() const;
  std::uint64_t bytes() const;
};

/// Of a directory or file. Never throws for what is inside: what is wrong stands in `problem`.
PriorDescription describe_prior(const std::string& path);

}  // namespace dwgf
