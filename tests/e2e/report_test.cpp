// The page of `report`: well-formed, whole in itself, readable without seeing it.
#include <functional>
#include <set>
#include <sstream>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <gtest/gtest.h>

#include "finished_job.hpp"
#include "refusals.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;
using boost::property_tree::ptree;

/// Every element of the page, with its name.
void each(const ptree& tree, const std::function<void(const std::string& tag, const ptree& element)>& visit) {
  for (const auto& [tag, element] : tree) {
    if (tag == "<xmlattr>") continue;
    visit(tag, element);
    each(element, visit);
  }
}

std::string attribute(const ptree& element, const std::string& name) {
  return element.get<std::string>("<xmlattr>." + name, "");
}

class Report : public FinishedJob {
 protected:
  /// The page of these results, parsed; what every page has to be is checked.
  static ptree page_of(const Arguments& results, const Arguments& more = {}) {
    const fs::path path = folder / "page.html";
    fs::remove(path);
    const Finished finished = run(0, Arguments{"report"} + results + Arguments{"--to", path} + more);
    expect_code(finished, 0);
    expect_readable(finished);
    EXPECT_EQ(finished.out, path.string() + "\n");
    text = read_text(path);
    std::istringstream in(text);
    ptree page;
    read_xml(in, page);  // throws where it is not well-formed
    expect_whole_and_readable(page);
    return page;
  }

  static void expect_whole_and_readable(const ptree& page) {
    EXPECT_EQ(attribute(page.get_child("html"), "lang"), "en");
    int headings = 0, tables = 0;
    std::set<std::string> ids;
    each(page, [&](const std::string& tag, const ptree& element) {
      EXPECT_NE(tag, "script");
      headings += tag == "h1";
      if (const std::string id = attribute(element, "id"); !id.empty()) {
        EXPECT_TRUE(ids.insert(id).second) << "two elements have the id " << id;
      }
      for (const char* reference : {"src", "href", "srcset", "data", "poster"}) {
        const std::string value = attribute(element, reference);
        EXPECT_TRUE(value.empty() || value[0] == '#' || value.starts_with("data:"))
            << tag << " refers to " << value;
      }
      if (tag == "img") {
        EXPECT_FALSE(attribute(element, "alt").empty());
        EXPECT_TRUE(attribute(element, "src").starts_with("data:image/png;base64,iVBORw0KGgo"));
      }
      if (tag == "svg" && attribute(element, "aria-hidden").empty()) {
        EXPECT_FALSE(element.get<std::string>("title", "").empty());
        EXPECT_FALSE(element.get<std::string>("desc", "").empty());
      }
      if (tag == "table") {
        ++tables;
        EXPECT_FALSE(element.get<std::string>("caption.span", "").empty());
      }
      if (tag == "th") {
        EXPECT_FALSE(attribute(element, "scope").empty());
      }
    });
    each(page, [&](const std::string& tag, const ptree& element) {
      const std::string target = attribute(element, "href");
      if (tag == "a") {
        EXPECT_TRUE(ids.contains(target.substr(1))) << target << " leads nowhere";
      }
    });
    EXPECT_EQ(headings, 1);
    EXPECT_GE(tables, 2);
    for (const char* outside : {"http:", "https:", "url(", "@import"})
      EXPECT_FALSE(contains(text, outside)) << "the page has " << outside;
  }

  static int count(const ptree& page, const std::string& wanted) {
    int found = 0;
    each(page, [&](const std::string& tag, const ptree&) { found += tag == wanted; });
    return found;
  }

  inline static std::string text;
};

TEST_F(Report, HasPicturesTablesAndCurvesOfAFinishedJob) {
  const ptree page = page_of({results()});
  // Of each of 3 images: truth, measurement, baseline, mean, deviation, error, outside, at most 3 particles.
  EXPECT_GE(count(page, "img"), 3 * 8);
  for (const char* part : {"Results: r.h5", "3 of 3 images", "posterior mean", "bicubic", "mean:4", "b c.png",
                           "CRPS", "coverage", "predicted standard deviation", "misfit", "No image failed",
                           "dwgf restore --rerun", "[flow]", "group 0"})
    EXPECT_TRUE(contains(text, part)) << part << " is missing";
  EXPECT_GE(count(page, "svg"), 5);
}

TEST_F(Report, EscapesNamesAndTellsFailures) {
  const fs::path odd = folder / "odd";
  fs::create_directories(odd);
  make_picture(odd / "<b>&\"x\".png", 1);
  write_text(odd / "broken<i>.png", "no picture");
  const fs::path out = folder / "odd.h5";
  fs::remove(out);
  expect_code(run(0, small_job(odd, out)), 3);
  page_of({out});
  EXPECT_TRUE(contains(text, "&lt;b&gt;&amp;&quot;x&quot;.png"));
  EXPECT_TRUE(contains(text, "broken&lt;i&gt;.png"));
  EXPECT_FALSE(contains(text, "<b>"));
  EXPECT_FALSE(contains(text, "<i>"));
  EXPECT_TRUE(contains(text, "1 image failed"));
}

TEST_F(Report, ComparesSeveralResults) {
  const fs::path other = folder / "heavier.h5";
  fs::remove(other);
  expect_code(run(2, small_job(pictures(), other, {"--flow.weight", "0.3"})), 0);
  page_of({results(), other});
  for (const char* part : {"Comparison of 2 results", "posterior mean of a.png, results heavier",
                           "posterior mean of a.png, results r", "flow.weight"})
    EXPECT_TRUE(contains(text, part)) << part << " is missing";
}

TEST_F(Report, SaysWhatWasSampledAndShowsNoMorePicturesThanAskedFor) {
  const ptree page = page_of({results()}, {"--sample", "2", "--pictures", "1"});
  EXPECT_TRUE(contains(text, "2 of 3 images, evenly spaced"));
  EXPECT_LE(count(page, "img"), 11);
  EXPECT_GE(count(page, "img"), 6);
}

TEST_F(Report, RefusesWhatItWouldOverwriteOrCannotWrite) {
  const std::string before = read_text(results());
  expect_refused(run(0, {"report", results(), "--to", results()}), 64, {"one of the results files"});
  EXPECT_TRUE(read_text(results()) == before);
  expect_refused(run(0, {"report", folder / "none.h5"}), 66, {"none.h5"});
  expect_refused(run(0, {"report", results(), "--to", folder / "no folder/page.html"}), 74, {"page.html"});
  expect_refused(run(0, {"report"}), 64, {"at least 1 file name"});
}

}  // namespace
}  // namespace dwgf::test
