#include "prior/files/sha256.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prior/files/mapped_file.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

TEST(Sha256, ReproducesTheExamplesOfTheStandard) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 in_pieces;
  for (const char letter : std::string("abc")) in_pieces.update(std::as_bytes(std::span(&letter, 1)));
  EXPECT_EQ(in_pieces.finish(), sha256_of("abc"));
}

TEST(FileIdentity, NoticesARewriteThatKeepsSizeAndMtime) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "weights";
  test::write_bytes(file, "abc");
  const FileIdentity before = MappedFile(file).identity();
  const timespec times[2] = {{before.modified / 1'000'000'000, before.modified % 1'000'000'000},
                             {before.modified / 1'000'000'000, before.modified % 1'000'000'000}};
  ::usleep(20'000);
  test::write_bytes(file, "abd");
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  const FileIdentity after = MappedFile(file).identity();
  EXPECT_EQ(before.modified, after.modified);
  EXPECT_EQ(before.size, after.size);
  EXPECT_NE(before, after);
}

}  // namespace
}  // namespace dwgf
