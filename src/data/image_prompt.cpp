#include "data/image_prompt.hpp"

#include <fstream>

#include <dwgf/base/error.hpp>

#include "data/formats.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/text_column.hpp"

namespace dwgf {

void require_prompt_fits(const ImageEntry& image, const std::string& data) {
  if (image.prompt.size() <= kLongestPrompt) return;
  throw DataError("{}: the prompt of image '{}' has {} bytes or more, and may have {}; shorten it", data,
                  image.name, image.prompt.size(), kLongestPrompt);
}

std::string prompt_beside(const std::filesystem::path& picture) {
  const std::filesystem::path file = std::filesystem::path(picture).replace_extension(".txt");
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return "";
  std::ifstream in(file, std::ios::binary);
  // Of a longer text enough to be refused by.
  std::string text(4 * kLongestPrompt, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !(in || in.eof())) throw IoError("the prompt {} cannot be read", file.string());
  text.resize(static_cast<std::size_t>(in.gcount()));
  constexpr const char* kSpace = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  text = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
  // A zero byte ends a text in the files that it is stored in.
  return text.substr(0, text.find('\0'));
}

std::vector<ImageEntry> with_prompts_of(const std::string& data, std::vector<ImageEntry> images,
                                        const std::string& dataset) {
  const std::optional<Hdf5Name> name = hdf5_name(data);
  if (!name) return images;
  const Hdf5Handle file = open_hdf5(name->file);
  const auto prompts = read_text_column(file.id(), dataset, images.size(), name->file);
  for (std::size_t k = 0; k < prompts.size(); ++k) {
    images[k].prompt = prompts[k];
    require_prompt_fits(images[k], data);
  }
  return images;
}

}  // namespace dwgf
