// The table of a results file's datasets, and that the page of this room shows it.
#include "store/schema.hpp"

#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

using schema::Row;
using schema::Type;

std::string type_text(Type type) {
  switch (type) {
    case Type::uint8:
      return "uint8";
    case Type::uint32:
      return "uint32";
    case Type::uint64:
      return "uint64";
    case Type::float32:
      return "float32";
    case Type::name:
      return formatted("UTF-8 of {} bytes", schema::kNameBytes);
    case Type::reason:
      return formatted("UTF-8 of {} bytes", schema::kReasonBytes);
    case Type::prompt:
      return formatted("UTF-8 of {} bytes", schema::kPromptBytes);
    case Type::stored:
      return "as asked for";
  }
  return {};
}

std::string shape_text(Row row) {
  switch (row) {
    case Row::number:
      return "[n]";
    case Row::pair:
      return "[n, 2]";
    case Row::image:
      return "[n, C, H, W]";
    case Row::particles:
      return "[n, N, C, H, W]";
    case Row::latents:
      return "[n, N, c, h, w]";
    case Row::records:
      return "[n, records]";
    case Row::bins:
      return "[n, bins]";
    case Row::measurement:
    case Row::array:
      return "[n, ...]";
    case Row::shared:
      return "[...]";
  }
  return {};
}

std::string table() {
  std::ostringstream table;
  table << "| dataset | type, shape | |\n|---|---|---|\n";
  for (const schema::Dataset* dataset : schema::datasets()) {
    const std::string path = dataset->named(dataset->member);
    table << "| `" << path << "`" << (schema::checksum_group(path) ? " *" : "") << " | "
          << type_text(dataset->type) << " " << shape_text(dataset->row) << " | " << dataset->meaning
          << " |\n";
  }
  return table.str();
}

TEST(SerialSchema, ThePageOfThisRoomShowsItsTable) {
  std::ostringstream page;
  page << std::ifstream(DWGF_SOURCE_DIR "/src/store/README.md").rdbuf();
  EXPECT_NE(page.str().find("\n\n" + table() + "\n"), std::string::npos)
      << "src/store/README.md is to have this table:\n"
      << table();
}

TEST(SerialSchema, EveryDatasetHasItsOwnPathAndARow) {
  const schema::Extents extents{{1, 5, 7}, {11}, {4, 2, 3}, 6, 9};
  std::set<std::string> paths;
  for (const schema::Dataset* dataset : schema::datasets()) {
    EXPECT_TRUE(paths.insert(dataset->path).second) << dataset->path;
    if (dataset->row == Row::array || dataset->row == Row::shared) {
      EXPECT_THROW(extents.layout(*dataset, "mask"), InternalError);
      continue;
    }
    const DatasetLayout layout = extents.layout(*dataset, dataset->member);
    EXPECT_EQ(layout.path, dataset->named(dataset->member));
    EXPECT_GT(layout.row_values(), 0);
  }
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(extents.layout(schema::kParticles, "", NumberType::uint8).row_shape, (Shape{6, 1, 5, 7}));
  EXPECT_EQ(extents.layout(schema::kParticles, "", NumberType::uint8).type, NumberType::uint8);
  EXPECT_EQ(extents.layout(schema::kLatents).row_shape, (Shape{6, 4, 2, 3}));
  EXPECT_EQ(extents.layout(schema::kMeasurement).row_shape, Shape{11});
  EXPECT_EQ(extents.layout(schema::kDiagnostic, "misfit").row_shape, Shape{9});
  EXPECT_EQ(extents.layout(schema::kRanks).row_shape, Shape{7});
  EXPECT_EQ((schema::Extents{.particles = 100}.layout(schema::kRanks).row_shape), Shape{20});
  EXPECT_EQ(extents.layout(schema::kTimingWait).row_shape, Shape{2});
  EXPECT_EQ(extents.layout(schema::kImageState).row_shape, Shape{});
}

TEST(SerialSchema, AFamilyKnowsItsMembers) {
  EXPECT_EQ(schema::kDiagnostic.name_in("/diagnostics/misfit"), "misfit");
  EXPECT_EQ(schema::kQuantile.name_in(schema::kQuantile.named("02.5")), "02.5");
  EXPECT_FALSE(schema::kQuantile.name_in("/posterior/mean"));
}

TEST(SerialSchema, TheTimingAloneMayDifferBetweenRuns) {
  for (const schema::Dataset* dataset : schema::datasets()) {
    const std::string path = dataset->path;
    EXPECT_EQ(schema::is_reproducible(path), path != "/image/seconds" && !path.starts_with("/timing/"))
        << path;
  }
}

}  // namespace
}  // namespace dwgf
