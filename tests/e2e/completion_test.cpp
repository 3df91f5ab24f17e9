// `dwgf completion`: the scripts, asked by the shells themselves.
#include <cstdlib>

#include <gtest/gtest.h>

#include "refusals.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Completion : public testing::Test {
 protected:
  fs::path folder = new_folder("completion");

  /// The script of this shell, as a file.
  fs::path script(const std::string& shell) const {
    const Finished finished = run(0, {"completion", shell});
    expect_code(finished, 0);
    write_text(folder / shell, finished.out);
    return folder / shell;
  }

  std::string output(const std::vector<std::string>& command) const {
    const Finished finished = start_command(command).wait(std::chrono::seconds(60));
    expect_code(finished, 0);
    EXPECT_EQ(finished.err, "");
    return finished.out;
  }

  /// What bash offers for these words, of which the last is being typed.
  std::string offered(const fs::path& script, const std::string& words) const {
    return output({"bash", "--norc", "-c",
                   "source " + script.string() + "; COMP_WORDS=(" + words +
                       "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _dwgf; echo \"${COMPREPLY[*]}\""});
  }
};

bool installed(const std::string& shell) {
  return std::system(("command -v " + shell + " >/dev/null 2>&1").c_str()) == 0;
}

TEST_F(Completion, OffersInBashWhatTheOptionTablesHave) {
  const fs::path bash = script("bash");
  EXPECT_EQ(output({"bash", "--norc", "-c", "source " + bash.string() + "; complete -p dwgf"}),
            "complete -o default -F _dwgf dwgf\n");
  EXPECT_EQ(offered(bash, "dwgf eval"), "evaluate\n");
  EXPECT_TRUE(contains(offered(bash, "dwgf ''"), "restore degrade evaluate"));
  EXPECT_EQ(offered(bash, "dwgf restore --flow.preset pap"), "paper\n");
  EXPECT_EQ(offered(bash, "dwgf restore --flow.preset = f"), "fast\n");
  EXPECT_EQ(offered(bash, "dwgf restore --flow.micr"), "--flow.micro_batch\n");
  EXPECT_EQ(offered(bash, "dwgf degrade --prior.pa"), "\n") << "an option of another command";
  EXPECT_EQ(offered(bash, "dwgf export results.h5 --format npy --ov"), "--overwrite\n");
  EXPECT_EQ(offered(bash, "dwgf restore --input.data pho"), "\n") << "file names are bash's own affair";
  EXPECT_EQ(offered(bash, "dwgf completion z"), "zsh\n");
}

TEST_F(Completion, OffersInFishWhatTheOptionTablesHave) {
  if (!installed("fish")) GTEST_SKIP() << "fish is not installed";
  const auto offers = [file = script("fish")](const std::string& line) {
    // In a home of its own: fish writes there.
    return "set -x HOME " + file.parent_path().string() + "; source " + file.string() + "; complete -C'" +
           line + "'";
  };
  EXPECT_TRUE(contains(output({"fish", "--no-config", "-c", offers("dwgf eval")}), "evaluate\t"));
  EXPECT_TRUE(
      contains(output({"fish", "--no-config", "-c", offers("dwgf restore --flow.preset pap")}), "paper"));
  EXPECT_TRUE(contains(output({"fish", "--no-config", "-c", offers("dwgf restore --flow.micr")}),
                       "--flow.micro_batch\t"));
}

TEST_F(Completion, OffersInZshWhatTheOptionTablesHave) {
  if (!installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  const fs::path zsh = script("zsh");
  // Outside of the line editor there is no compadd: one that prints takes its place.
  const auto offered = [&](const std::string& words) {
    return output({"zsh", "-f", "-c",
                   "compdef() {}; source " + zsh.string() +
                       "; compadd() { shift; print -r -- $@ }; _files() { print files }; words=(" + words +
                       "); CURRENT=$#words; _dwgf"});
  };
  EXPECT_TRUE(contains(offered("dwgf ev"), "restore degrade evaluate"));
  EXPECT_TRUE(contains(offered("dwgf restore --flow.preset p"), "paper fast"));
  EXPECT_TRUE(contains(offered("dwgf restore --flow"), "--flow.micro_batch"));
  EXPECT_EQ(offered("dwgf status res"), "files\n");
}

TEST_F(Completion, RefusesOtherShells) {
  expect_refusals(
      {{"another shell", {"completion", "zhs"}, 64, {"'zhs'", "did you mean 'zsh'", "bash, zsh and fish"}},
       {"no shell", {"completion"}, 64, {"1 file name"}}});
}

}  // namespace
}  // namespace dwgf::test
