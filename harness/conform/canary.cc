#include "harness/conform/canary.h"

#include <algorithm>
#include <chrono>

namespace hobbs {
namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC.

constexpr std::chrono::milliseconds kSleep{2};
constexpr std::int64_t kUsualNs = 1'000'000;  // What a sleep may lose without a mention.
constexpr std::size_t kLapsesMax = 4096;      // At least eight seconds.

std::int64_t to_ns(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Canary::Canary() {
  due_ns_ = to_ns(Clock::now() + kSleep);
  thread_ = std::thread([this] {
    while (!stop_.load(std::memory_order_relaxed)) sleep_again();
  });
}

Canary::~Canary() {
  stop_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void Canary::sleep_again() {
  std::this_thread::sleep_until(Clock::time_point(std::chrono::nanoseconds(due_ns_)));
  const std::int64_t now_ns = to_ns(Clock::now());
  const std::lock_guard guard(mutex_);
  if (now_ns - due_ns_ > kUsualNs) {
    if (lapses_.size() == kLapsesMax) lapses_.erase(lapses_.begin());
    lapses_.push_back({now_ns, now_ns - due_ns_});
  }
  due_ns_ = to_ns(Clock::now() + kSleep);
}

std::int64_t Canary::worst_late_ns(std::int64_t since_ns) const {
  const std::lock_guard guard(mutex_);
  std::int64_t worst_ns = std::max<std::int64_t>(0, to_ns(Clock::now()) - due_ns_ - kUsualNs);
  for (auto lapse = lapses_.rbegin(); lapse != lapses_.rend() && lapse->end_ns >= since_ns;
       ++lapse) {
    worst_ns = std::max(worst_ns, lapse->late_ns);
  }
  return worst_ns;
}

}  // namespace hobbs
