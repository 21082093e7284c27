// A control sleeper: what it loses, the machine lost, not the lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace hobbs {

/// A thread that sleeps a little, again and again, and remembers each sleep that took much longer.
class Canary {
 public:
  Canary();
  ~Canary();
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;

  /// By how much the worst sleep that ended since then (CLOCK_MONOTONIC) was late, in ns; a sleep
  /// that is late right now counts. Thread-safe.
  std::int64_t worst_late_ns(std::int64_t since_ns) const;

 private:
  void sleep_again();

  struct Lapse {
    std::int64_t end_ns;
    std::int64_t late_ns;
  };
  mutable std::mutex mutex_;
  std::vector<Lapse> lapses_;  // The latest kLapsesMax, in order.
  std::int64_t due_ns_ = 0;    // Of the current sleep.
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace hobbs
