#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"
#include "job/build.hpp"

namespace dwgf {
namespace {

FlowOptions options_of(const std::vector<std::string>& arguments) {
  return flow_options(parse_settings(*find_command("restore"), arguments).as<JobInput>());
}

std::string refusal_of(const std::vector<std::string>& arguments) {
  try {
    options_of(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

TEST(FlowOptions, TheBayesPresetIsTheWholeLikelihoodAndNothingElse) {
  const FlowOptions options = options_of({"--flow.preset", "bayes"});
  EXPECT_EQ(options.data.objective, Objective::bayes);
  EXPECT_EQ(options.method, Method::gibbs);
  EXPECT_EQ(options.interaction.kind, InteractionKind::gaussian);
  EXPECT_EQ(options.weight, 1.0);
  EXPECT_EQ(options.data.consistency, 0.0);
  EXPECT_EQ(options.data.decoder_std, 0.0);
}

TEST(FlowOptions, ThePaperPresetIsAdamOnMeans) {
  const FlowOptions options = options_of({});
  EXPECT_EQ(options.data.objective, Objective::reference);
  EXPECT_EQ(options.method, Method::dwgf);
  EXPECT_EQ(options.interaction.covariance, CovarianceKind::diagonal);
  EXPECT_EQ(options.settle, 0);
}

TEST(FlowOptions, WhatDoesNotGoTogetherIsRefusedWithAdvice) {
  EXPECT_NE(
      refusal_of({"--flow.method", "gibbs", "--flow.objective", "reference"}).find("flow.preset = bayes"),
      std::string::npos);
  EXPECT_NE(refusal_of({"--flow.preset", "bayes", "--flow.interaction", "repulsion"})
                .find("flow.interaction = gaussian"),
            std::string::npos);
  EXPECT_NE(
      refusal_of({"--flow.method", "affine", "--flow.covariance", "diagonal"}).find("flow.covariance = full"),
      std::string::npos);
  EXPECT_NE(refusal_of({"--flow.method", "affine", "--flow.interaction", "mixture"})
                .find("flow.interaction = gaussian"),
            std::string::npos);
  EXPECT_NE(refusal_of({"--flow.method", "affine", "--flow.lr", "1"}).find("flow.lr"), std::string::npos);
  EXPECT_NE(refusal_of({"--flow.preset", "bayes", "--problem.sigma", "0"}).find("problem.sigma"),
            std::string::npos);
  EXPECT_NE(refusal_of({"--flow.preset", "bayes", "--flow.covariance", "lowrank"}).find("diagonal"),
            std::string::npos);
  EXPECT_EQ(refusal_of({"--flow.method", "affine"}), "none");
  EXPECT_EQ(refusal_of({"--flow.method", "gibbs"}), "none");
}

}  // namespace
}  // namespace dwgf
