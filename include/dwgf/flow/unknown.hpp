/// What is unknown beside an image, and estimated with it: a noise level, a blur. A few numbers theta that
/// all particles share. The particles are moved by a method, theta is not: after every step of the method it
/// goes to where the particles' images say,
///
///   theta <- argmax_theta (1/N) sum_i log p(y | x^i, theta) + log p(theta),
///
/// exactly where that has a closed form. Particles in Wasserstein's geometry and theta in Euclid's descend
/// one free energy: an EM algorithm whose first half is the method (Kuntz, Lim, Johansen 2023, arXiv
/// 2204.12965). The sum over the particles is one of integers (fixed_point.hpp): theta has the same bits on
/// every rank and every layout of ranks.
///
/// An `Unknown` is a rule without a memory: what it has found stands in the flow's state (state.hpp), and
/// with it in checkpoints.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/operators/noise.hpp>
#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// What of a problem an unknown may decide.
struct ProblemParts {
  std::shared_ptr<const ForwardOperator> forward;
  std::shared_ptr<const NoiseModel> noise;  ///< null where the problem has none
  double sigma = 0.0;                       ///< of it; for tables and baselines
};

/// One micro-batch of particles as a step of the method has left it.
struct SeenBatch {
  at::Tensor images;          ///< [M, C, H, W], of the image's own size
  at::Tensor y;               ///< [1, ...], in the images' type
  const ProblemParts& parts;  ///< with the values that the step had
};

class Unknown {
 public:
  virtual ~Unknown() = default;

  /// /estimated/NAME in a results file.
  virtual std::string name() const = 0;
  /// Of the value there.
  virtual std::vector<std::int64_t> shape() const = 0;
  /// The value that the first step has, within its bounds.
  virtual std::vector<double> start() const = 0;

  /// How many numbers every particle adds.
  virtual std::int64_t statistics() const = 0;
  /// They, float64 [M, statistics()], each below 2^22 / N in size and in square. Pure; of a sample alone.
  virtual at::Tensor statistics_of(const SeenBatch& batch) const = 0;
  /// The next value. `mean`: of the statistics over the particles, float64 [statistics()], on the host.
  /// `progress`: share of the steps that are done, 0 to 1. Pure.
  virtual std::vector<double> stepped(const std::vector<double>& value, const at::Tensor& mean,
                                      double progress) const = 0;
  /// Makes the parts that have this value. New objects: those that were there stay as they are.
  virtual void put(const std::vector<double>& value, ProblemParts& parts) const = 0;

  /// What of a value is kept of every step; as it stands by default.
  virtual std::vector<double> summary(const std::vector<double>& value) const { return value; }
};

using Unknowns = std::vector<std::shared_ptr<const Unknown>>;

/// An unknown at a flow's end.
struct UnknownEstimate {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<double> value;   ///< the mean over the last steps
  std::vector<double> spread;  ///< the standard deviation over them, of every entry
  std::vector<double> trace;   ///< the summary after every step
};

}  // namespace dwgf
