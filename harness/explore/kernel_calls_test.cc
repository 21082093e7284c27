// What a lock asks the kernel for past its platform: clocks are the modelled ones, and a wall clock
// is one that somebody sets; what has no model refuses the lock by name.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "harness/explore/explore_driver.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

std::vector<Result> explore(const LockSpec& lock, std::chrono::milliseconds budget) {
  Request request;
  request.until = std::chrono::steady_clock::now() + budget;
  return ExploreDriver().run(lock, request);
}

/// A futex mutex without a timeout; `Timed` adds one.
template <class P>
class Sleeping {
 public:
  void lock() {
    while (word_.exchange(2, std::memory_order_acquire) != 0) P::futex_wait(word_, 2);
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    P::futex_wake(word_, 1);
  }

 protected:
  typename P::template atomic<std::uint32_t> word_{};
};

/// Asks the standard library for the time, not its platform.
template <class P>
class SteadyTimeout : public Sleeping<P> {
 public:
  bool try_lock_until(typename P::time_point deadline) {
    while (this->word_.exchange(2, std::memory_order_acquire) != 0) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      P::futex_wait(this->word_, 2, deadline);
    }
    return true;
  }
};

/// Broken: measures its wait on a clock that may be set.
template <class P>
class WallTimeout : public Sleeping<P> {
 public:
  bool try_lock_until(typename P::time_point deadline) {
    constexpr std::chrono::hours kLongest{24 * 365};  // Clocks overflow at the greatest deadline.
    const auto wait = std::min<std::chrono::nanoseconds>(deadline - P::now(), kLongest);
    const auto until = std::chrono::system_clock::now() + wait;
    while (this->word_.exchange(2, std::memory_order_acquire) != 0) {
      const auto left = until - std::chrono::system_clock::now();
      if (left <= left.zero()) return false;
      P::futex_wait(this->word_, 2, P::now() + left);
    }
    return true;
  }
};

TEST(Clocks, TheSteadyOneIsThePlatforms) {
  for (const Result& result : explore(spec_of<SteadyTimeout>("steady"), std::chrono::seconds(2))) {
    EXPECT_EQ(result.verdict, Verdict::kPass) << result.scenario << ": " << result.reason
                                              << (result.finding ? result.finding->summary : "");
  }
}

TEST(Clocks, TheWallClockIsSetWhileSomebodyWaits) {
  const auto results = explore(spec_of<WallTimeout>("wall"), std::chrono::seconds(30));
  const auto found = std::ranges::find(results, Verdict::kFail, &Result::verdict);
  ASSERT_NE(found, results.end());
  EXPECT_EQ(found->rule, "TO-2") << found->finding->summary;
  EXPECT_EQ(found->finding->failed, found->finding->of);
}

/// Knows its holder by a number that the modelled threads have in common.
template <class P>
class OwnedByThread : public Sleeping<P> {
 public:
  void lock() {
    Sleeping<P>::lock();
    owner_.store(static_cast<std::uint32_t>(::gettid()));
  }

 private:
  typename P::template atomic<std::uint32_t> owner_{};
};

/// Sleeps in the kernel, where nobody would wake it.
template <class P>
class FutexByNumber : public Sleeping<P> {
 public:
  void lock() {
    while (this->word_.exchange(2) != 0) ::syscall(SYS_futex, &this->word_, 0, 2, nullptr);
  }
};

void expect_refused(const LockSpec& lock, const std::string& word) {
  for (const Result& result : explore(lock, std::chrono::milliseconds(500))) {
    EXPECT_EQ(result.verdict, Verdict::kSkipped) << result.scenario;
    EXPECT_NE(result.reason.find(word), std::string::npos) << result.reason;
  }
}

TEST(Refusals, NameWhatIsNotModelled) {
  expect_refused(spec_of<OwnedByThread>("owned_by_thread"), "its thread's id");
  expect_refused(spec_of<FutexByNumber>("futex_by_number"), "the futex call itself");
}

}  // namespace
}  // namespace hobbs
