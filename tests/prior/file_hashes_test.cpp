#include "prior/files/file_hashes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prior/files/sha256.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

TEST(Sha256, ReproducesTheExamplesOfTheStandard) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 in_pieces;
  for (const char letter : std::string("abc")) in_pieces.update(std::as_bytes(std::span(&letter, 1)));
  EXPECT_EQ(in_pieces.finish(), sha256_of("abc"));
}

class Memory : public ::testing::Test {
 protected:
  /// A file whose last change lies far enough back to be remembered. (ctime cannot be set, so only the
  /// identity pretends.)
  FileIdentity old_file(const std::string& name, const std::string& bytes) const {
    test::write_bytes(folder_.path() / name, bytes);
    FileIdentity identity = MappedFile(folder_.path() / name).identity();
    identity.modified -= 10'000'000'000;
    identity.changed -= 10'000'000'000;
    return identity;
  }
  fs::path memory() const { return folder_.path() / "memory.json"; }
  test::TemporaryFolder folder_;
  const std::string hash_ = sha256_of("abc");
};

TEST_F(Memory, KnowsWhatItLearntAlsoInTheNextRun) {
  const FileIdentity file = old_file("weights", "abc");
  FileHashes first(memory());
  EXPECT_FALSE(first.find(file));
  first.learn(file, hash_);
  EXPECT_EQ(first.find(file), hash_);
  first.remember();
  const FileHashes second(memory());
  EXPECT_EQ(second.find(file), hash_);
  EXPECT_EQ(second.warning(), "");
}

TEST_F(Memory, DoesNotBelieveOfAnotherStateOfTheFile) {
  const FileIdentity file = old_file("weights", "abc");
  FileHashes hashes;
  hashes.learn(file, hash_);
  for (auto member : {&FileIdentity::device, &FileIdentity::inode, &FileIdentity::size}) {
    FileIdentity other = file;
    ++(other.*member);
    EXPECT_FALSE(hashes.find(other));
  }
  for (auto member : {&FileIdentity::modified, &FileIdentity::changed}) {
    FileIdentity other = file;
    ++(other.*member);
    EXPECT_FALSE(hashes.find(other));
  }
  FileIdentity moved = file;
  moved.path += "2";
  EXPECT_FALSE(hashes.find(moved));
}

TEST_F(Memory, NoticesARewriteThatKeepsSizeAndMtime) {
  test::write_bytes(folder_.path() / "weights", "abc");
  const FileIdentity before = MappedFile(folder_.path() / "weights").identity();
  const timespec times[2] = {{before.modified / 1'000'000'000, before.modified % 1'000'000'000},
                             {before.modified / 1'000'000'000, before.modified % 1'000'000'000}};
  ::usleep(20'000);
  test::write_bytes(folder_.path() / "weights", "abd");
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder_.path() / "weights").c_str(), times, 0), 0);
  const FileIdentity after = MappedFile(folder_.path() / "weights").identity();
  EXPECT_EQ(before.modified, after.modified);
  EXPECT_EQ(before.size, after.size);
  EXPECT_NE(before, after);
}

TEST_F(Memory, DoesNotRememberWhatMayStillBeChanging) {
  test::write_bytes(folder_.path() / "weights", "abc");
  const FileIdentity fresh = MappedFile(folder_.path() / "weights").identity();
  FileHashes hashes(memory());
  hashes.learn(fresh, hash_);
  EXPECT_EQ(hashes.find(fresh), hash_) << "in this run it is known";
  hashes.remember();
  EXPECT_FALSE(FileHashes(memory()).find(fresh));
}

TEST_F(Memory, DropsADamagedOneAndSaysSo) {
  const FileIdentity file = old_file("weights", "abc");
  FileHashes first(memory());
  first.learn(file, hash_);
  first.remember();
  const std::string good = test::read_bytes(memory());
  std::string forged = good;
  forged.replace(forged.find(hash_), 64, sha256_of("abd"));
  for (const std::string& bad :
       {forged, good.substr(0, good.size() / 2), std::string("{}"), std::string("\0", 1)}) {
    test::write_bytes(memory(), bad);
    FileHashes hashes(memory());
    EXPECT_FALSE(hashes.find(file));
    EXPECT_NE(hashes.warning().find("computed again"), std::string::npos) << bad;
    hashes.remember();
    EXPECT_EQ(FileHashes(memory()).warning(), "") << "it is replaced";
  }
}

TEST_F(Memory, NotBeingAbleToWriteItIsNoError) {
  FileHashes hashes(folder_.path() / "nowhere" / "memory.json");
  hashes.learn(old_file("weights", "abc"), hash_);
  hashes.remember();
  EXPECT_FALSE(fs::exists(folder_.path() / "nowhere"));
}

}  // namespace
}  // namespace dwgf
