// `dwgf completion`: the script, asked by the shell itself.
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

TEST_F(Completion, OffersInBashWhatTheOptionTablesHave) {
  const fs::path bash = script("bash");
  EXPECT_EQ(output({"bash", "--norc", "-c", "source " + bash.string() + "; complete -p dwgf"}),
            "complete -o default -F _dwgf dwgf\n");
  EXPECT_EQ(offered(bash, "dwgf eval"), "evaluate\n");
  EXPECT_TRUE(contains(offered(bash, "dwgf ''"), "restore degrade calibrate-prior evaluate"));
  EXPECT_EQ(offered(bash, "dwgf restore --flow.preset pap"), "paper\n");
  EXPECT_EQ(offered(bash, "dwgf restore --flow.preset = f"), "fast\n");
  EXPECT_EQ(offered(bash, "dwgf restore --flow.micr"), "--flow.micro_batch\n");
  EXPECT_EQ(offered(bash, "dwgf degrade --prior.pa"), "\n") << "an option of another command";
  EXPECT_EQ(offered(bash, "dwgf export results.h5 --format npy --ov"), "--overwrite\n");
  EXPECT_EQ(offered(bash, "dwgf restore --input.data pho"), "\n") << "file names are bash's own affair";
}

TEST_F(Completion, RefusesOtherShells) {
  expect_refusals({{"another shell", {"completion", "zsh"}, 64, {"'zsh'", "known is bash"}},
                   {"no shell", {"completion"}, 64, {"1 file name"}}});
}

}  // namespace
}  // namespace dwgf::test
