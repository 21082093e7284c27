#include "harness/conform/canary.h"

#include <algorithm>
#include <chrono>

namespace hobbs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kSleep{2};
constexpr std::chrono::microseconds kUsual{200};  // What a sleep loses on an idle machine.

}  // namespace

Canary::Canary() {
  thread_ = std::thread([this] {
    while (!stop_.load(std::memory_order_relaxed)) {
      const auto due = Clock::now() + kSleep;
      std::this_thread::sleep_until(due);
      const std::chrono::nanoseconds late = Clock::now() - due - kUsual;
      late_ns_.fetch_add(std::max<std::int64_t>(late.count(), 0), std::memory_order_relaxed);
    }
  });
}

Canary::~Canary() {
  stop_.store(true, std::memory_order_relaxed);
  thread_.join();
}

}  // namespace hobbs
