/// What makes each operator of a spec from its arguments: one source an operator, which begins with its
/// equation, and one row an operator in the table of known_operators.cpp.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// Throws UsageError for arguments that are out of range, or that do not suit the image.
using MakeOperator = std::shared_ptr<const ForwardOperator>(const OperatorArguments& arguments,
                                                            const OperatorContext& context);
MakeOperator make_identity, make_box_inpainting, make_random_inpainting, make_mask_inpainting,
    make_block_mean, make_bicubic, make_gaussian_blur, make_kernel_blur, make_motion_blur, make_defocus,
    make_grey, make_hdr, make_phase_retrieval, make_quantise, make_jpeg, make_masked_fourier, make_radon,
    make_matrix_operator, make_coil_maps, make_scripted_operator;

/// Composition y = A_k(... A_1(x)), written `A_1 | ... | A_k`. Linear where all stages are.
/// @pre at least one stage; each takes the measurement of the one before as its image (its own batches are
/// checked)
std::shared_ptr<const ForwardOperator> compose(std::vector<std::shared_ptr<const ForwardOperator>> stages,
                                               const ImageShape& image_shape);

}  // namespace dwgf
