#include "prior/families/prompts.hpp"

#include <algorithm>
#include <list>
#include <utility>

#include <c10/core/InferenceMode.h>

#include <dwgf/base/error.hpp>

#include "prior/files/json_file.hpp"

namespace dwgf {
namespace {

constexpr std::size_t kKeptPrompts = 16;  // of SDXL 0.6 MB each, of SD 3 with T5 5 MB

class JobConditioner final : public Conditioner {
 public:
  JobConditioner(std::shared_ptr<PromptReader> reader, Conditioned job, FileHashes hashes)
      : reader_(std::move(reader)), job_(std::move(job)), hashes_(std::move(hashes)) {}

  bool reads_prompts() const override { return reader_ != nullptr; }

  Conditioning of(const std::optional<std::string>& prompt, std::int64_t height,
                  std::int64_t width) const override {
    Conditioning given = told(prompt);
    if (!job_.add_sizes) return given;
    job_.add_sizes(given, height, width);
    if (given.unconditional) {
      Conditioning other = *given.unconditional;
      job_.add_sizes(other, height, width);
      given.unconditional = std::make_shared<const Conditioning>(std::move(other));
    }
    return given;
  }

  bool cuts_short(const std::string& prompt) const override {
    require_reader(prompt);
    return reader_->cuts_short(prompt);
  }

  const FileHashes& hashes() const { return hashes_; }

  /// Without sizes.
  Conditioning told(const std::optional<std::string>& prompt) const {
    if (!reader_ && prompt) require_reader(*prompt);
    Conditioning given = reader_ ? encoded(prompt.value_or(job_.prompt)) : job_.fixed;
    given.guidance = job_.guidance;
    if (job_.guidance != 1.0 && !job_.is_told_guidance)
      given.unconditional = std::make_shared<const Conditioning>(encoded(job_.negative));
    return given;
  }

 private:
  void require_reader(const std::string& prompt) const {
    if (reader_) return;
    throw UsageError(
        "prior: there is no text encoder to read the prompt '{}' with; fetch it, or leave it out",
        shortened(prompt));
  }

  const Conditioning& encoded(const std::string& prompt) const {
    const auto found =
        std::ranges::find(kept_, prompt, [](const auto& one) -> const std::string& { return one.first; });
    if (found != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, found);
      return kept_.front().second;
    }
    // Made within inference mode, an embedding could not take part in a gradient's graph.
    const c10::InferenceMode ordinary(false);
    kept_.emplace_front(prompt, reader_->read(prompt, hashes_));
    if (kept_.size() > kKeptPrompts) kept_.pop_back();
    return kept_.front().second;
  }

  std::shared_ptr<PromptReader> reader_;
  Conditioned job_;
  mutable FileHashes hashes_;
  mutable std::list<std::pair<std::string, Conditioning>> kept_;  // the last that was asked for first
};

void require_guidable(const Conditioned& job, bool reads_prompts) {
  if (job.is_told_guidance && !job.negative.empty()) {
    throw UsageError(
        "prior.negative_prompt: this network was distilled with guidance, and is told its strength alone; "
        "leave the negative prompt out");
  }
  if (job.guidance == 1.0 || job.is_told_guidance || reads_prompts) return;
  throw UsageError(
      "prior.guidance = {} goes from a negative prompt to a prompt, and there is no text encoder to read "
      "them "
      "with (or an embedding was given in place of a prompt); set it to 1, or fetch the text encoder and its "
      "tokenizer",
      job.guidance);
}

}  // namespace

void set_conditioning(Prior& prior, std::shared_ptr<PromptReader> reader, Conditioned job,
                      FileHashes& hashes) {
  require_guidable(job, reader != nullptr);
  if (!reader && !job.prompt.empty()) {
    throw NotFoundError(
        "prior: there is no text encoder to read the prompt with; fetch its folder and its tokenizer's too, "
        "give the prompt's embedding, or leave the prompt out");
  }
  if (reader) {
    for (const std::string& prompt : {job.prompt, job.negative}) {
      if (!reader->cuts_short(prompt)) continue;
      prior.warnings.push_back(
          formatted("the prompt '{}' is longer than the text encoder reads; its end is left out",
                    shortened(prompt, 40)));
    }
  }
  const auto conditioner = std::make_shared<const JobConditioner>(reader, std::move(job), hashes);
  prior.conditioning = conditioner->told(std::nullopt);
  prior.conditioner = conditioner;
  hashes = conditioner->hashes();
  if (reader) reader->release();
}

}  // namespace dwgf
