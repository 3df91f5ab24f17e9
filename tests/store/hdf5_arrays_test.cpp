#include "hdf5/hdf5_arrays.hpp"

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

// Made by tools/make_prior_golden.py with h5py.
const std::string kFile = std::string(DWGF_TEST_DATA) + "/prior/mixture.h5";

TEST(Hdf5Arrays, ReadsWhatH5pyWrote) {
  const Hdf5Arrays file(kFile);
  EXPECT_TRUE(file.has("/weights"));
  EXPECT_FALSE(file.has("/nothing/here"));
  const NumericArray weights = file.read("/weights");
  EXPECT_EQ(weights.shape, std::vector<std::int64_t>{2});
  EXPECT_EQ(weights.values, (std::vector<double>{0.3, 0.7}));
  EXPECT_EQ(file.read("/means").shape, (std::vector<std::int64_t>{2, 1, 2, 3}));
  EXPECT_EQ(file.text("beta_schedule"), "scaled_linear");
  EXPECT_EQ(file.text("none"), std::nullopt);
  EXPECT_EQ(file.number("none"), std::nullopt);
}

TEST(Hdf5Arrays, SaysWhatIsWrong) {
  const Hdf5Arrays file(kFile);
  EXPECT_THROW(file.read("/nothing"), DataError);
  EXPECT_THROW(file.number("beta_schedule"), DataError);
  EXPECT_THROW(Hdf5Arrays(kFile + ".none"), NotFoundError);
  EXPECT_THROW(Hdf5Arrays(std::string(DWGF_TEST_DATA) + "/prior/ddpm/config.json"), DataError);
}

}  // namespace
}  // namespace dwgf
