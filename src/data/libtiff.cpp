#include "data/detail/libtiff.hpp"

#include <cstdarg>
#include <cstdio>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr tmsize_t kMostBytesAtOnce = tmsize_t{1} << 31;

int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

}  // namespace

int OpenTiff::keep(TIFF*, void* out, const char*, const char* format, va_list arguments) {
  auto* message = static_cast<Message*>(out);
  if (message->text[0] == '\0') std::vsnprintf(message->text, sizeof message->text, format, arguments);
  return 1;
}

OpenTiff::OpenTiff(const std::string& path, const char* mode) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  if (!options) throw IoError("libtiff does not start (out of memory)");
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep, message_.get());
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMostBytesAtOnce);
  tiff_ = TIFFOpenExt(path.c_str(), mode, options.get());
}

void OpenTiff::close() {
  if (tiff_) TIFFClose(tiff_);
  tiff_ = nullptr;
}

}  // namespace dwgf
