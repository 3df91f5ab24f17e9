/// The second program, which has LibTorch and takes over a command that computes with tensors.
#pragma once

namespace dwgf {

/// Replaces this process by the tensor program, with the same number, arguments, environment and open files;
/// its argv[0] becomes the path of this program. It is libexec/dwgf/dwgf, beside this program (as built) or
/// beside its folder (as installed). Throws NotFoundError if it is in neither, IoError if it does not start.
[[noreturn]] void become_tensor_program(char** argv);

}  // namespace dwgf
