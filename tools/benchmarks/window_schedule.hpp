// What the ranks of a crew exchange for an image in windows, in the program's order (job/window_crew,
// prior/windows), with the computing left to the caller. Without LibTorch, so that it also runs in a
// simulator. tests/flow/schedule_test.cpp compares a call with a real one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include <dwgf/comm/collective.hpp>

#include "image_schedule.hpp"
#include "job/window_rounds.hpp"

namespace dwgf {

/// What decides the exchanges of a call.
struct WindowsOfWork {
  std::int64_t windows = 0;             ///< of an image; 0: the networks see all of it
  std::int64_t latents = 0, image = 0;  ///< values of a micro-batch, whole
  std::int64_t window_latents = 4 * 64 * 64, window_image = 3 * 512 * 512;  ///< of one window
  std::int64_t value_bytes = 4;
  bool consistency = true;  ///< whether a step encodes and decodes once more
};

/// Seconds of one window.
struct WindowSeconds {
  double noise = 0.0, decode = 0.0, encode = 0.0, pull = 0.0;
};

class CrewSchedule {
 public:
  static constexpr std::size_t kHeader = 120;  ///< of a call [bytes]

  using Pass = std::function<void(double seconds)>;
  using Payload = ImageSchedule::Payload;

  CrewSchedule(const WindowsOfWork& shape, const WindowSeconds& seconds, Collective& host,
               Collective& tensors, Pass pass, Payload payload)
      : shape_(shape),
        seconds_(seconds),
        host_(host),
        tensors_(tensors),
        pass_(std::move(pass)),
        payload_(std::move(payload)) {}

  /// The calls behind a micro-batch's share of a step, on the leader and on its helpers alike.
  void compute(Work what) const {
    if (what == Work::noise_prediction) call(shape_.latents, 0, shape_.window_latents, seconds_.noise);
    if (what == Work::decoding) decode();
    if (what != Work::gradient) return;
    decode();
    if (shape_.consistency) {
      call(shape_.image, 0, 2 * shape_.window_latents, seconds_.encode);
      decode();
    }
    call(shape_.latents, shape_.image, shape_.window_latents, seconds_.pull);
  }

  /// One call: its header, input and cotangent [values], then rounds, of which one is on its way while the
  /// next is computed.
  void call(std::int64_t input, std::int64_t cotangent, std::int64_t part, double seconds) const {
    host_.broadcast({payload_(kHeader), kHeader}, 0);
    broadcast(input);
    if (cotangent > 0) broadcast(cotangent);
    const std::int64_t ranks = tensors_.size();
    std::unique_ptr<PendingCollective> on_its_way;
    const WindowRounds rounds(shape_.windows, tensors_.size(), part * shape_.value_bytes);
    for (std::int64_t round = 0; round < rounds.count(); ++round) {
      const auto [first, each] = rounds[round];
      const std::int64_t left = shape_.windows - first - tensors_.rank() * each;
      if (left > 0) pass_(seconds * static_cast<double>(std::min(each, left)));
      if (on_its_way) std::exchange(on_its_way, nullptr)->wait();
      const auto own = static_cast<std::size_t>(each * part * shape_.value_bytes),
                 all = own * static_cast<std::size_t>(ranks);
      std::byte* const out = payload_(all);
      on_its_way =
          tensors_.start_all_gather({out + own * static_cast<std::size_t>(tensors_.rank()), own}, {out, all});
    }
    on_its_way->wait();
  }

 private:
  void decode() const { call(shape_.latents, 0, shape_.window_image, seconds_.decode); }
  void broadcast(std::int64_t values) const {
    const auto bytes = static_cast<std::size_t>(values * shape_.value_bytes);
    tensors_.broadcast({payload_(bytes), bytes}, 0);
  }

  const WindowsOfWork shape_;
  const WindowSeconds seconds_;
  Collective& host_;
  Collective& tensors_;
  const Pass pass_;
  const Payload payload_;
};

}  // namespace dwgf
