/// What an unknown may be beside an Unknown, where the noise is much smaller than what its first value gets
/// wrong of y: particles that fit y closely by a wrong value would only confirm it.
#pragma once

namespace dwgf {

class TempersLikelihood {
 public:
  virtual ~TempersLikelihood() = default;
  /// beta <= 1, by which the method's log-likelihood is multiplied in a step that begins with this share of
  /// the steps done. @param deviation  of the noise
  virtual double tempering(double progress, double deviation) const = 0;
};

}  // namespace dwgf
