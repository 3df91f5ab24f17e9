/// Every number that the flow depends on (symbols as in the paper, arXiv 2509.19276).
#pragma once

#include <cstdint>

namespace dwgf {

enum class InteractionKind {
  mixture,    ///< the published one: score of the noised particle mixture
  gaussian,   ///< the ensemble taken as N(m, diag C)
  repulsion,  ///< independent particles plus a kernel repulsion (after arXiv 2406.16683)
  none        ///< independent particles
};

/// What the encoder hands to the consistency term: its mean, or a sample (the authors').
enum class EncodeMode { mean, sample };

struct FlowOptions {
  std::int64_t particles = 4;  ///< N
  std::int64_t grid = 999;     ///< K, length of the DDIM time grid
  std::int64_t steps = 0;      ///< stop after that many steps of the grid; 0: all K - 1
  InteractionKind interaction = InteractionKind::mixture;
  double repulsion = 1.0;     ///< rho
  double weight = 0.15;       ///< w_t
  double consistency = 0.1;   ///< lambda
  std::int64_t consistency_every = 1;  ///< steps of which one has the consistency term, the first of them
  double decoder_std = 0.01;           ///< sigma_D
  double stall =
      0.0;            ///< stop once the misfit falls by less than this share (monitor.hpp); 0: take all steps
  double rate = 1.0;  ///< Adam's learning rate
  EncodeMode encode = EncodeMode::mean;
  std::int64_t micro_batch = 1;  ///< samples in every kernel call, exactly; short ones are padded
  std::uint64_t seed = 0;
  std::int64_t record_every = 1;  ///< diagnostics at every such step, and at the last one
};

}  // namespace dwgf
