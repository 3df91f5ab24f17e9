/// Prompts as conditionings: how a family reads one, and what a job makes of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dwgf/prior/conditioner.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "prior/files/weights.hpp"
#include "prior/models/prompt_encoder.hpp"

namespace dwgf {

/// The text encoders of a family.
class PromptReader {
 public:
  virtual ~PromptReader() = default;

  /// Of the encoders: part of a prior's sha256.
  virtual std::vector<const Weights*> weights() const = 0;
  /// Without guidance. The encoders are loaded by the first call that needs them and kept until release().
  virtual Conditioning read(const std::string& prompt, FileHashes& hashes) = 0;
  virtual bool cuts_short(const std::string& prompt) const = 0;
  virtual void release() = 0;
};

/// Two encoders, all but how their outputs are put together.
class TwoPromptEncoders : public PromptReader {
 public:
  TwoPromptEncoders(PromptEncoder first, PromptEncoder second)
      : first_(std::move(first)), second_(std::move(second)) {}

  std::vector<const Weights*> weights() const override { return {&first_.weights(), &second_.weights()}; }
  bool cuts_short(const std::string& prompt) const override {
    return first_.cuts_short(prompt) || second_.cuts_short(prompt);
  }
  void release() override {
    first_.release();
    second_.release();
  }

 protected:
  PromptEncoder first_, second_;
};

/// What goes around prompts in a job.
struct Conditioned {
  Conditioning fixed = {};        ///< of every image, where there is no reader
  double guidance = 1.0;          ///< as Conditioning has it
  std::string prompt = {};        ///< of an image without one of its own
  std::string negative = {};      ///< what is guided away from
  bool is_told_guidance = false;  ///< the network takes the guidance itself, and no second prompt
  /// Adds the sizes to the conditioning of an image of height x width pixels; may be empty.
  std::function<void(Conditioning&, std::int64_t height, std::int64_t width)> add_sizes = {};
};

/// Sets conditioning, conditioner and warnings of a prior; `reader` may be null. The job's prompts are
/// encoded here, and the encoders then released; they come back, and stay, with the first image that has a
/// prompt of its own. Throws UsageError where guidance is asked for and there is no reader, and what reading
/// a prompt throws.
void set_conditioning(Prior& prior, std::shared_ptr<PromptReader> reader, Conditioned job,
                      FileHashes& hashes);

}  // namespace dwgf
