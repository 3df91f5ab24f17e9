/// HTML text that is also well-formed XML: every element is closed, every text escaped.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dwgf {

/// For texts and attribute values. What is no UTF-8, and control characters, become U+FFFD.
std::string escaped(std::string_view text);

class Html {
 public:
  using Attributes = std::vector<std::pair<std::string, std::string>>;

  Html& open(const std::string& tag, const Attributes& attributes = {});
  Html& close();
  Html& text(std::string_view text);
  /// Markup that was made elsewhere.
  Html& raw(std::string_view markup);
  /// An element with a text in it.
  Html& element(const std::string& tag, std::string_view text, const Attributes& attributes = {});
  /// An element without content, such as img.
  Html& empty(const std::string& tag, const Attributes& attributes);

  /// The page, once everything is closed.
  const std::string& str() const { return out_; }

 private:
  void begin(const std::string& tag, const Attributes& attributes);
  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace dwgf
