#include "service/event_log.hpp"

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class EventLogTest : public testing::Test {
 protected:
  fs::path folder = fs::temp_directory_path() / ("dwgf-log-" + std::to_string(getpid()));
  void SetUp() override { fs::create_directory(folder); }
  void TearDown() override { fs::remove_all(folder); }

  std::vector<json> lines(const std::string& name) const {
    std::vector<json> found;
    std::ifstream in(folder / name);
    for (std::string line; std::getline(in, line);) found.push_back(json::parse(line));
    return found;
  }
};

TEST_F(EventLogTest, ALineSaysWhenWhoWhatAndMore) {
  EventLog(folder / "a.log", 3, "n7")
      .event("image", {{"name", "a \"b\"\n.png"}, {"row", std::int64_t{7}}, {"seconds", 1.5}});
  const json line = lines("a.log").at(0);
  EXPECT_EQ(line.at("rank"), 3);
  EXPECT_EQ(line.at("host"), "n7");
  EXPECT_EQ(line.at("event"), "image");
  EXPECT_EQ(line.at("name"), "a \"b\"\n.png");
  EXPECT_EQ(line.at("row"), 7);
  EXPECT_EQ(line.at("seconds"), 1.5);
  const std::string time = line.at("time");
  EXPECT_TRUE(time.size() == 24 && time[10] == 'T' && time.back() == 'Z') << time;
}

TEST_F(EventLogTest, SeveralWritersDoNotMixAndEarlierLinesStay) {
  { EventLog(folder / "a.log", 0, "h").event("first"); }
  std::vector<std::thread> writers;
  for (int rank = 0; rank < 4; ++rank) {
    writers.emplace_back([&, rank] {
      EventLog log(folder / "a.log", rank, "h");
      for (int k = 0; k < 200; ++k) log.event("tick", {{"text", std::string(100, 'x')}});
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(lines("a.log").size(), 801u) << "every line parses, none is lost";
}

TEST_F(EventLogTest, EachRankMayHaveAFileOfItsOwn) {
  EventLog(folder / "log-%r.json", 12, "h").event("start");
  EXPECT_EQ(lines("log-12.json").size(), 1u);
}

TEST_F(EventLogTest, NamesThatAreNotUtf8AreStillJson) {
  EventLog(folder / "a.log", 0, "h").event("image", {{"name", "\xff\xfe.png"}});
  EXPECT_EQ(lines("a.log").size(), 1u);
}

TEST_F(EventLogTest, NoPathIsNoLogAndAPlaceThatIsNotThereIsAnError) {
  EXPECT_NO_THROW(EventLog("", 0, "h").event("start"));
  EXPECT_THROW(EventLog(folder / "not there/a.log", 0, "h"), IoError);
}

}  // namespace
}  // namespace dwgf
