/// A prior that outlives a lack of memory: the call that finds none gives NaN, as do all later ones, so that
/// this rank goes on to meet the others of its group where they wait for it. The flow then diverges on all of
/// them at the same step, and they can agree on why.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// Whether an error's text is that of a device's library which finds no memory, in words of its own.
using ShortageWords = std::function<bool(const std::string& text)>;

/// Returns what to tell if `error` says that memory could not be had, from the system, from LibTorch or, by
/// `words`, from a device's libraries: the size that was asked for, and what to choose smaller, `key` being
/// the option that micro_batch came from. Nothing for any other error.
std::optional<std::string> shortage_of_memory(const std::exception& error, std::int64_t micro_batch,
                                              const ShortageWords& words = {},
                                              const char* key = "flow.micro_batch");

class OomGuard {
 public:
  /// `micro_batch` is for the advice.
  OomGuard(const Prior& prior, std::int64_t micro_batch, ShortageWords words = {});

  /// The prior with both halves guarded.
  const Prior& prior() const { return prior_; }
  /// What to tell of the call that found no memory; nothing while all did.
  const std::optional<std::string>& shortage() const { return *shortage_; }

 private:
  std::shared_ptr<std::optional<std::string>> shortage_;
  Prior prior_;
};

}  // namespace dwgf
