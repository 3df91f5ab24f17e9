/// What a prior's denoiser is told of one image: by a prompt of the image's own, and by its size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <dwgf/prior/denoiser.hpp>

namespace dwgf {

class Conditioner {
 public:
  virtual ~Conditioner() = default;

  /// Whether there is a text encoder to read prompts with.
  virtual bool reads_prompts() const = 0;
  /// The conditioning of an image of height x width pixels; `prompt` in place of the job's where it has one,
  /// guided as the job is. Each prompt is encoded once, while it is among the last that were asked for.
  /// Throws UsageError where the prompt is not UTF-8, or there is one and reads_prompts() is false.
  virtual Conditioning of(const std::optional<std::string>& prompt, std::int64_t height,
                          std::int64_t width) const = 0;
  /// Whether the text encoder has no room for the whole prompt: its end is left out. Throws as of() does.
  virtual bool cuts_short(const std::string& prompt) const = 0;
};

}  // namespace dwgf
