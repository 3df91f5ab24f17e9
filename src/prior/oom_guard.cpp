#include "prior/oom_guard.hpp"

#include <limits>
#include <new>
#include <regex>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

std::optional<std::string> shortage_of_memory(const std::exception& error, std::int64_t micro_batch,
                                              const ShortageWords& words, const char* key) {
  const std::string text = error.what();
  // LibTorch has a class of its own for devices only; its words for the CPU and for devices are these.
  static const std::regex asked("[Tt]ried to allocate ([0-9.]+ ?[A-Za-z]+)");
  std::smatch found;
  const bool told = std::regex_search(text, found, asked);
  if (!told && !dynamic_cast<const std::bad_alloc*>(&error) && !(words && words(text))) return std::nullopt;
  const std::string needed = told ? formatted("{} more were needed", found[1].str()) : "no more could be had";
  const std::string advice = micro_batch > 1
                                 ? formatted("{} = {} in place of {}", key, micro_batch / 2, micro_batch)
                                 : formatted("fewer ranks on this host ({} is 1 already)", key);
  return formatted("out of memory: {}; try {}", needed, advice);
}

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Guard {
  std::shared_ptr<std::optional<std::string>> shortage;
  std::int64_t micro_batch;
  ShortageWords words;

  /// The result of `call`, or of `otherwise` where memory is or was short. Throws what else `call` throws.
  template <class Call, class Otherwise>
  auto value(const Call& call, const Otherwise& otherwise) const -> decltype(call()) {
    if (*shortage) return otherwise();
    try {
      return call();
    } catch (const std::exception& error) {
      *shortage = shortage_of_memory(error, micro_batch, words);
      if (!*shortage) throw;
    }
    return otherwise();
  }

  /// The product at x; `no_value` makes the value where there is none.
  template <class Call, class NoValue>
  Vjp vjp(const at::Tensor& x, const Call& call, const NoValue& no_value) const {
    const at::Tensor none = at::full_like(x, kNan);
    Vjp result = value(call, [&] { return Vjp{no_value(), [none](const at::Tensor&) { return none; }}; });
    return {result.value, [guard = *this, none, pull = std::move(result.pull)](const at::Tensor& cotangent) {
              return guard.value([&] { return pull(cotangent); }, [&] { return none; });
            }};
  }
};

class GuardedDenoiser final : public Denoiser {
 public:
  GuardedDenoiser(std::shared_ptr<const Denoiser> inner, Guard guard)
      : inner_(std::move(inner)), guard_(std::move(guard)) {}
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return guard_.value([&] { return inner_->noise(z_t, level, given); },
                        [&] { return at::full_like(z_t, kNan); });
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return guard_.vjp(
        z_t, [&] { return inner_->noise_vjp(z_t, level, given); }, [&] { return at::full_like(z_t, kNan); });
  }
  at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return guard_.value([&] { return inner_->clean(z_t, level, given); },
                        [&] { return at::full_like(z_t, kNan); });
  }

 private:
  std::shared_ptr<const Denoiser> inner_;
  Guard guard_;
};

class GuardedCodec final : public Codec {
 public:
  GuardedCodec(std::shared_ptr<const Codec> inner, const PriorGeometry& geometry, Guard guard)
      : inner_(std::move(inner)), geometry_(geometry), guard_(std::move(guard)) {}
  at::Tensor decode(const at::Tensor& z) const override {
    return guard_.value([&] { return inner_->decode(z); }, [&] { return no_image(z); });
  }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return guard_.vjp(
        z, [&] { return inner_->decode_vjp(z); }, [&] { return no_image(z); });
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    return guard_.value([&] { return inner_->encode(x); },
                        [&] {
                          return LatentDistribution{no_latent(x), no_latent(x)};
                        });
  }
  Vjp encode_vjp(const at::Tensor& x) const override {
    return guard_.vjp(
        x, [&] { return inner_->encode_vjp(x); }, [&] { return no_latent(x); });
  }

 private:
  at::Tensor no_image(const at::Tensor& z) const {  // [B, C, H', W']
    const std::int64_t height = geometry_.only ? geometry_.only->height : z.size(2) * geometry_.factor;
    const std::int64_t width = geometry_.only ? geometry_.only->width : z.size(3) * geometry_.factor;
    return at::full({z.size(0), geometry_.image_channels, height, width}, kNan, z.options());
  }
  at::Tensor no_latent(const at::Tensor& x) const {  // [B, c, h, w]
    const std::int64_t height = geometry_.only ? geometry_.only->latent_height : x.size(2) / geometry_.factor;
    const std::int64_t width = geometry_.only ? geometry_.only->latent_width : x.size(3) / geometry_.factor;
    return at::full({x.size(0), geometry_.latent_channels, height, width}, kNan, x.options());
  }

  std::shared_ptr<const Codec> inner_;
  PriorGeometry geometry_;
  Guard guard_;
};

}  // namespace

OomGuard::OomGuard(const Prior& prior, std::int64_t micro_batch, ShortageWords words)
    : shortage_(std::make_shared<std::optional<std::string>>()), prior_(prior) {
  const Guard guard{shortage_, micro_batch, std::move(words)};
  prior_.denoiser = std::make_shared<GuardedDenoiser>(prior.denoiser, guard);
  prior_.codec = std::make_shared<GuardedCodec>(prior.codec, prior.geometry, guard);
  if (prior.full_codec)
    prior_.full_codec = std::make_shared<GuardedCodec>(prior.full_codec, prior.geometry, guard);
}

}  // namespace dwgf
