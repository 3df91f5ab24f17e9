/// A file that libtiff has open, with the first of what it complained about. Private to `data`.
#pragma once

#include <memory>
#include <string>

#include <tiffio.h>

namespace dwgf {

class OpenTiff {
 public:
  /// @param mode  as of TIFFOpen: "rm" to read without mapping, so that a file that shrinks is an error of a
  ///              read and not a signal; "w", or "w8" for a file of more than 4 GiB (BigTIFF)
  OpenTiff(const std::string& path, const char* mode);
  ~OpenTiff() { close(); }
  OpenTiff(const OpenTiff&) = delete;
  OpenTiff& operator=(const OpenTiff&) = delete;

  /// Null where it could not be opened.
  TIFF* get() const { return tiff_; }
  /// The first message is the cause, those that follow tell where it was noticed; empty: there was none.
  const char* message() const { return message_->text; }
  void close();

 private:
  struct Message {
    char text[200] = "";
  };
  static int keep(TIFF*, void* out, const char*, const char* format, va_list arguments);

  std::unique_ptr<Message> message_ = std::make_unique<Message>();  // where libtiff finds it
  TIFF* tiff_ = nullptr;
};

}  // namespace dwgf
