// A folder of pictures, each a file of its own.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>

#include <fnmatch.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/data/picture.hpp>

#include "comm/throw_on_all.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/detail/sources.hpp"
#include "data/formats.hpp"
#include "data/image_prompt.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// What a folder holds, by relative path in bytewise order, and what was left out of it.
struct Listing {
  std::vector<std::string> names;
  std::int64_t others = 0, hidden = 0;
  std::vector<std::string> unreadable;        ///< sub-folders
  std::map<std::string, std::int64_t> kinds;  ///< of the others, by the ending of their names

  std::int64_t ignored() const { return others + hidden + static_cast<std::int64_t>(unreadable.size()); }
};

/// Which relative paths of a folder are asked for.
using Wanted = std::function<bool(const std::string& path)>;

/// Files and folders that no user made: those of other systems' shells and archives among them.
bool is_hidden(const fs::path& name) {
  return name.string().starts_with('.') || name == "__MACOSX";
}

/// A text that goes with the picture of the same name.
bool goes_with_a_picture(const fs::path& path) {
  if (path.extension() != ".txt") return false;
  std::error_code ignored;
  for (const PictureFormat& format : picture_formats())
    for (const std::string& ending : format.endings)
      if (fs::exists(fs::path(path).replace_extension(ending), ignored)) return true;
  return false;
}

void list_into(Listing& listing, const fs::path& top, const fs::path& folder, const Wanted& wanted) {
  std::error_code error;
  fs::directory_iterator files(folder, error);
  if (error == std::errc::no_such_file_or_directory && folder == top)
    throw NotFoundError("the folder {} does not exist", folder.string());
  if (error && folder == top)
    throw IoError("the folder {} cannot be listed: {}", folder.string(), error.message());
  if (error) {
    listing.unreadable.push_back(folder.lexically_relative(top).generic_string());
    return;
  }
  for (const auto end = fs::directory_iterator(); files != end;) {
    const fs::path path = files->path();
    const std::string name = path.lexically_relative(top).generic_string();
    const bool inside = files->is_directory(error);
    if (inside && files->is_symlink(error)) {
      // Links to folders may lead round in circles.
    } else if (is_hidden(path.filename())) {
      if (inside || wanted(name)) ++listing.hidden;
    } else if (inside) {
      list_into(listing, top, path, wanted);
    } else if (wanted(name) && is_picture_name(name)) {
      listing.names.push_back(name);
    } else if (wanted(name) && !goes_with_a_picture(path)) {
      ++listing.others;
      ++listing.kinds[path.extension().string()];
    }
    files.increment(error);
    if (error) throw IoError("the folder {} cannot be listed: {}", folder.string(), error.message());
  }
}

/// "3 .heic, 1 .psd"; the commonest first.
std::string kinds_of(const Listing& listing) {
  constexpr std::size_t most = 8;
  std::vector<std::pair<std::int64_t, std::string>> kinds;
  for (const auto& [ending, count] : listing.kinds) kinds.emplace_back(-count, ending);
  std::sort(kinds.begin(), kinds.end());
  std::string text;
  for (std::size_t k = 0; k < std::min(most, kinds.size()); ++k)
    text += formatted("{}{} {}", k ? ", " : "", -kinds[k].first,
                      kinds[k].second.empty() ? "without an ending" : kinds[k].second);
  return text + (kinds.size() > most ? ", ..." : "");
}

/// "1 file of another kind was", "8 files of other kinds were".
std::string others_text(std::int64_t count) {
  return count == 1 ? "1 file of another kind was" : formatted("{} files of other kinds were", count);
}

std::vector<std::string> left_out(const Listing& listing, const std::string& data) {
  std::vector<std::string> notes;
  if (listing.others > 0) {
    notes.push_back(formatted("{}: {} left out ({}); {} are read: convert what is a picture", data,
                              others_text(listing.others), kinds_of(listing), picture_format_names("and")));
  }
  if (listing.hidden > 0) {
    notes.push_back(formatted("{}: {} hidden {} left out (names that begin with a dot, and __MACOSX)", data,
                              listing.hidden,
                              listing.hidden == 1 ? "file or folder was" : "files or folders were"));
  }
  for (const std::string& folder : listing.unreadable)
    notes.push_back(formatted("{}: the folder {} cannot be listed and was left out; see to its permissions",
                              data, folder));
  return notes;
}

Listing list_folder(const fs::path& folder, const std::string& data, const Wanted& wanted) {
  Listing listing;
  list_into(listing, folder, folder, wanted);
  if (!listing.names.empty()) {
    std::sort(listing.names.begin(), listing.names.end());
    return listing;
  }
  if (listing.ignored() == 0)
    throw DataError("{} is empty: it has no {} file", data, picture_format_names("or"));
  throw DataError("{} has no {} file ({} left out{}); convert the images to one of them", data,
                  picture_format_names("or"), others_text(listing.others),
                  listing.hidden + std::ssize(listing.unreadable) == 0
                      ? ""
                      : formatted(", {} hidden ones, {} folders that cannot be listed", listing.hidden,
                                  listing.unreadable.size()));
}

/// Names are listed by the first rank and sent to all; every rank looks into its share of the headers.
class FolderImages final : public ImageSource {
 public:
  /// @param data  what the user calls it, in messages
  FolderImages(const fs::path& folder, const std::string& data, const std::function<Listing()>& list,
               Collective& ranks, const PictureChoices& choices)
      : folder_(folder), choices_(choices) {
    Listing listing;
    std::vector<std::string> prompts;
    run_on_root(ranks, [&] {
      listing = list();
      ignored_ = listing.ignored();
      notes_ = left_out(listing, data);
      for (const std::string& name : listing.names) prompts.push_back(prompt_beside(path_of(name)));
    });
    share(listing.names, ranks);
    share(prompts, ranks);
    share(notes_, ranks);
    ranks.broadcast(std::as_writable_bytes(std::span(&ignored_, 1)), 0);
    const std::vector<PictureSize> sizes = sizes_of(listing.names, ranks);
    entries_.reserve(listing.names.size());
    for (std::size_t k = 0; k < listing.names.size(); ++k) {
      entries_.push_back({fnv1a(listing.names[k]), std::move(listing.names[k]),
                          static_cast<std::uint32_t>(sizes[k].height),
                          static_cast<std::uint32_t>(sizes[k].width), std::move(prompts[k])});
      require_prompt_fits(entries_.back(), data);
    }
  }

  const std::vector<ImageEntry>& entries() const override { return entries_; }
  std::int64_t ignored() const override { return ignored_; }
  std::vector<std::string> notes() const override { return notes_; }
  bool reads_anywhere() const override { return true; }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    return with_channels(read_as_is(k), channels);
  }

  ImagePixels read_as_is(std::int64_t k) const override {
    require_row(k, entries_.size(), folder_.string());
    return read_picture(path_of(entries_[static_cast<std::size_t>(k)].name), choices_);
  }

 private:
  std::string path_of(const std::string& name) const { return (folder_ / name).string(); }

  /// Gives all ranks the first one's texts.
  static void share(std::vector<std::string>& texts, Collective& ranks) {
    if (ranks.size() == 1) return;
    std::string all;  // a name may hold anything but a zero byte
    for (const std::string& text : texts) all += text + '\0';
    all = ranks.broadcast_text(std::move(all), 0);
    texts.clear();
    for (std::size_t begin = 0; begin < all.size();) {
      const std::size_t end = all.find('\0', begin);
      texts.push_back(all.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  std::vector<PictureSize> sizes_of(const std::vector<std::string>& names, Collective& ranks) const {
    const std::size_t share =
        (names.size() + static_cast<std::size_t>(ranks.size()) - 1) / static_cast<std::size_t>(ranks.size());
    const std::size_t first = share * static_cast<std::size_t>(ranks.rank());
    std::vector<PictureSize> own(share), all(share * static_cast<std::size_t>(ranks.size()));
    for (std::size_t k = 0; k < share && first + k < names.size(); ++k) {
      // One damaged file is one failed image, not the end of the job; read() says what is wrong with it.
      try {
        own[k] = read_picture_size(path_of(names[first + k]));
      } catch (const Error&) {
      }
    }
    ranks.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)));
    all.resize(names.size());
    return all;
  }

  fs::path folder_;
  PictureChoices choices_;
  std::vector<ImageEntry> entries_;
  std::vector<std::string> notes_;
  std::int64_t ignored_ = 0;
};

}  // namespace

std::unique_ptr<ImageSource> open_folder(const std::string& folder, Collective& ranks,
                                         const PictureChoices& choices) {
  const std::string data = "the folder " + folder;
  const auto list = [&] { return list_folder(folder, data, [](const std::string&) { return true; }); };
  return std::make_unique<FolderImages>(folder, data, list, ranks, choices);
}

std::unique_ptr<ImageSource> open_one_picture(const std::string& path, Collective& ranks,
                                              const PictureChoices& choices) {
  const fs::path picture = path;
  const auto list = [&] {
    Listing listing;
    listing.names = {picture.filename().string()};
    return listing;
  };
  return std::make_unique<FolderImages>(picture.parent_path(), path, list, ranks, choices);
}

std::unique_ptr<ImageSource> open_pattern(const std::string& pattern, Collective& ranks,
                                          const PictureChoices& choices) {
  const std::size_t wild = pattern.find_first_of("*?["), slash = pattern.rfind('/', wild);
  const std::string folder = slash == std::string::npos ? "." : pattern.substr(0, slash + 1),
                    rest = slash == std::string::npos ? pattern : pattern.substr(slash + 1),
                    data = formatted("the pattern '{}'", pattern);
  const auto fits = [&rest](const std::string& name) {
    return fnmatch(rest.c_str(), name.c_str(), FNM_PATHNAME) == 0;
  };
  const auto list = [&] { return list_folder(folder, data, fits); };
  return std::make_unique<FolderImages>(folder, data, list, ranks, choices);
}

}  // namespace dwgf
