/// What the program knows of its methods without tensors: their names, for options and help, and what follows
/// from the choice of one. How each works: flow/known_methods.cpp.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <dwgf/catalogue/method_options.hpp>

namespace dwgf {

struct MethodEntry {
  Method method;
  std::string name;  ///< flow.method = name
  std::string summary;
  /// The keys of [flow] that it has a use for, beside those that every method has.
  std::vector<std::string> keys;
  /// Its defaults, pairs of key and value, where they differ from those of `dwgf`.
  std::vector<std::pair<std::string, std::string>> defaults = {};
  bool linear_only = false;       ///< works with linear operators alone
  bool keeps_graph = false;       ///< differentiates the denoiser, and keeps its graph in memory
  bool needs_likelihood = false;  ///< works with noise of a level above 0 alone
  bool own_levels = false;        ///< has levels of its own, whatever levels the grid would have
  bool moves_images = false;      ///< particles are images beside latents
};

/// In the order of the help.
const std::vector<MethodEntry>& method_entries();
const MethodEntry& entry_of(Method method);
/// @pre `name` is that of an entry.
const MethodEntry& entry_of(const std::string& name);

}  // namespace dwgf
