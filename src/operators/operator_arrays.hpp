/// Arrays that operators take from outside: masks, kernels, matrices, coil maps, angles.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// The array that argument 0 names, as `kind` ("mask", "kernel", "matrix", "coils", "angles"): float64 on the
/// host, finite. Throws UsageError where the context has no arrays, DataError for a value that is not finite,
/// and what `context.load_array` throws. Reports it to `context.on_array`.
at::Tensor load_array(const OperatorArguments& arguments, const OperatorContext& context,
                      const std::string& kind);

/// Whether the first argument of `radon` names a file or an array, and no number of views.
bool names_angles(const std::string& argument);

/// An array as a spec uses it.
struct ArrayUse {
  std::string kind;       ///< as of load_array
  std::string reference;  ///< a file; "@" or "@2" ... of the measurements file; empty for a drawn mask
  std::string name;       ///< the dataset that carries it: its kind, then "mask2" ... for later ones
};

/// The arrays of a spec in the order in which `on_array` hears of them.
std::vector<ArrayUse> array_uses(const std::string& spec);

/// The spec in which the file of every array (and, if `drawn`, every `random` stage) is replaced by the name
/// of the dataset that carries it: `random:0.5 | kernel:k.npy` becomes `mask:@ | kernel:@`.
std::string carried_spec(const std::string& spec, bool drawn);

/// Returns the name of a measurements file's array, "mask2" for kind "mask" and "@2". Throws UsageError for a
/// reference that is none.
std::string array_name(const std::string& kind, const std::string& reference);

}  // namespace dwgf
