#include "prior/files/sha256.hpp"

#include <array>

#include <openssl/evp.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"

namespace dwgf {

namespace {
void require(bool good) {
  if (!good) throw InternalError("prior: OpenSSL could not compute a SHA-256");
}
}  // namespace

struct Sha256::Impl {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  require(impl_->context && EVP_DigestInit_ex(impl_->context.get(), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  precondition(impl_->context != nullptr, "a hash that is not finished");
  require(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  precondition(impl_->context != nullptr, "a hash that is not finished");
  require(EVP_DigestFinal_ex(impl_->context.get(), digest.data(), &length) == 1);
  impl_->context.reset();
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += {kDigits[digest[i] >> 4], kDigits[digest[i] & 15]};
  return text;
}

std::string sha256_of(std::string_view text) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.finish();
}

}  // namespace dwgf
