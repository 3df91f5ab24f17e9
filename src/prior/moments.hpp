/// The moments of a prior: how the errors of its clean estimate go together, between latents and pixels and
/// from place to place, measured once per prior and noise level (`dwgf calibrate-prior`). At a level (a, s),
/// with z the latent of an image x, z_t = a z + s n, z0 = (z_t - s eps_theta(z_t)) / a, D the decoder:
///
///   J = E[(z - z0, x - D(z0)) (z - z0, x - D(z0))^T],     x - D(z0) holds the autoencoder's error too
///
/// and for the prior itself the mean and covariance of (z, x). A gain made of J takes what a measurement says
/// of pixels to latents without a derivative of the decoder (flow/methods/kalman.hpp).
///
/// Latents and images are laid out together as cells [B, Q, h, w]: a latent pixel's c values and the C f f
/// values of the f x f pixels under it. J is kept as
///
///   J = F F^T + diag(v) + G R R^T G
///
/// F of low rank, v and G diagonal, R a convolution with a small kernel: the same everywhere, so that it fits
/// images of any size. Every part is positive semi-definite and has a root to draw with, whatever rounding
/// did to it. Priors whose latents and images are no grids of each other have one cell of everything, and no
/// R.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/geometry.hpp>

namespace dwgf {

/// How latents [B, c, h, w] and images [B, C, H', W'] lie together as cells [B, Q, rows, columns].
class Cells {
 public:
  Cells(const PriorGeometry& geometry, const Canvas& canvas);

  std::int64_t values() const { return latent_values_ + image_values_; }  ///< Q
  std::int64_t latent_values() const { return latent_values_; }           ///< the first of them are z's
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  const Canvas& canvas() const { return canvas_; }
  std::int64_t entries() const { return values() * rows_ * columns_; }

  at::Tensor join(const at::Tensor& z, const at::Tensor& x) const;
  at::Tensor latents(const at::Tensor& cells) const;  ///< [B, c, h, w]
  at::Tensor images(const at::Tensor& cells) const;   ///< [B, C, H', W']
  /// Cells whose latents are zero.
  at::Tensor of_images(const at::Tensor& x) const;

 private:
  at::Tensor image_cells(const at::Tensor& x) const;

  PriorGeometry geometry_;
  Canvas canvas_;
  std::int64_t pixels_;  // f; 0 where H', W' are not f h, f w
  std::int64_t latent_values_, image_values_, rows_, columns_;
};

/// J in its parts; undefined ones but v are absent. Entries are cells' [Q, h, w], or [Q, 1, 1] where the same
/// everywhere.
struct JointMoments {
  at::Tensor factor;    ///< F [Q, h, w, rank]: for images of the size h, w alone
  at::Tensor variance;  ///< v [Q, h | 1, w | 1]
  at::Tensor scale;     ///< the diagonal of G [Q, h | 1, w | 1]; undefined: 1
  at::Tensor root;      ///< R [Q, K, k, k], k odd, from K white channels on a field that is wider by k - 1

  JointMoments to(const at::TensorOptions& options) const;
};

/// Standard normals of a shape; every call gives fresh ones.
using WhiteNoise = std::function<at::Tensor(at::IntArrayRef shape)>;

/// A weighted sum of such J, as an operator on cells.
class JointCovariance {
 public:
  struct Part {
    double weight;  ///< >= 0
    JointMoments moments;
  };
  explicit JointCovariance(std::vector<Part> parts);

  /// J cells [B, Q, h, w].
  at::Tensor times(const at::Tensor& cells) const;
  /// The variance of every entry, [Q, h | 1, w | 1].
  at::Tensor diagonal() const;
  /// J as a matrix [Q h w, Q h w], of the type and on the device of the moments.
  at::Tensor matrix(const Cells& cells) const;
  /// A draw of N(0, J), [B, Q, h, w].
  at::Tensor draw(std::int64_t samples, const Cells& cells, const WhiteNoise& white) const;

 private:
  std::vector<Part> parts_;
};

/// The moments at every calibrated level, and those of the prior.
class PriorMoments {
 public:
  struct AtLevel {
    double log_ratio;  ///< log(s / a)
    JointMoments moments;
  };

  /// @pre levels ascend. `mean` [Q, h | 1, w | 1] and `covariance` are of (z, x) under the prior.
  PriorMoments(std::vector<AtLevel> levels, at::Tensor mean, JointMoments covariance,
               std::map<std::string, std::string> about);

  /// Linear in log(s / a) between calibrated levels, constant beyond them.
  JointCovariance at(double log_ratio) const;
  JointCovariance prior() const;
  const at::Tensor& mean() const { return mean_; }
  const JointMoments& covariance() const { return covariance_; }
  const std::vector<AtLevel>& levels() const { return levels_; }
  /// What the file says of how it was made: `prior_sha256`, `images`, `source`, ...
  const std::map<std::string, std::string>& about() const { return about_; }
  /// Of the numbers, in lower-case hexadecimal: part of the identity of results.
  std::string sha256() const;

  /// Whether they serve images of this size. Throws DataError naming both sizes, or another number of
  /// channels, if not.
  void require_fits(const Cells& cells) const;
  PriorMoments to(const at::TensorOptions& options) const;

 private:
  std::vector<AtLevel> levels_;
  at::Tensor mean_;
  JointMoments covariance_;
  std::map<std::string, std::string> about_;
};

/// Reads moments from a safetensors file: `log_ratio` [L], `mean`, and `prior.PART` and `level.I.PART` with
/// PART one of factor, variance, scale, root. Throws NotFoundError, IoError, and DataError naming what is
/// missing, not finite or of the wrong shape.
PriorMoments read_moments(const std::filesystem::path& file);

/// Writes them, factor, scale and root as float16, the rest as float32; a file that is there is replaced at
/// once or not at all. Throws IoError.
void write_moments(const std::filesystem::path& file, const PriorMoments& moments);

}  // namespace dwgf
