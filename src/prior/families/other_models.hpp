/// Diffusers directories of models that this program does not have, told by the class of their transformer/,
/// so that a user learns what they have got and not which file of another model is lacking.
#pragma once

#include <string>

namespace dwgf {

/// Throws DataError naming the model where `path` is such a directory, or one whose transformer/ is of a
/// class that is not known.
void refuse_other_models(const std::string& path);

}  // namespace dwgf
