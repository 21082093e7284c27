// A control sleeper: what it loses, the machine lost, not the lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace hobbs {

/// A thread that sleeps a little, again and again, and adds up how much longer each sleep took.
class Canary {
 public:
  Canary();
  ~Canary();
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;

  /// Nanoseconds lost so far; grows only.
  const std::atomic<std::int64_t>& late_ns() const { return late_ns_; }

 private:
  std::atomic<std::int64_t> late_ns_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace hobbs
