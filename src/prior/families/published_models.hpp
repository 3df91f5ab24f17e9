/// What is known of the published Stable Diffusion models, against a directory that claims to hold one. The
/// tensors of 2.1 and 2.1-base have the same names and shapes, and a scheduler's file is easily taken from
/// the wrong one; results are then quietly poor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

#include "prior/models/autoencoder_config.hpp"
#include "prior/models/joint_transformer_config.hpp"
#include "prior/models/unet_config.hpp"

namespace dwgf {

/// One sentence for each disagreement; `autoencoder` is null where it is of another kind. By the U-Net's
/// shape: only 320, 640, 1280, 1280 channels are looked at, as
///   cross_attention_dim 768                   1.x                       predicts epsilon
///   cross_attention_dim 1024, sample_size 64  2-base, 2.1-base          predicts epsilon
///   cross_attention_dim 1024, sample_size 96  2, 2.1                    predicts v
/// all with a scaling factor of 0.18215 and betas scaled_linear, 0.00085 ... 0.012, over 1000 steps.
std::vector<std::string> published_model_warnings(const UNetConfig& unet,
                                                  const AutoencoderConfig* autoencoder,
                                                  const DdpmScheduleConfig& schedule);

/// By the transformer's shape: 24 layers of 24 heads are looked at, as 3-medium and 3.5-medium, and 38 of 38,
/// as 3.5-large; all with a scaling factor of 1.5305, a shift of latents by 0.0609, and one of levels by 3.
std::vector<std::string> published_model_warnings(const JointTransformerConfig& transformer,
                                                  const AutoencoderConfig* autoencoder,
                                                  const FlowMatchingConfig& schedule);

/// Of a `network` in half precision on a CPU.
std::string slow_precision_warning(const char* network);

/// By what the tensors do: shown pure noise at the last time, where hardly any signal is left, a network that
/// predicts epsilon gives that noise back, and one that predicts v does not. `correlation` is between noise
/// and prediction; `noise_level` sqrt(1 - abar) there: below 0.99 nothing is said,
/// nor where the claim is `sample`.
std::optional<std::string> prediction_warning(PredictionType claimed, double correlation, double noise_level);

}  // namespace dwgf
