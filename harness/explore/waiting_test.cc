// How waiters wait: spins that have an end, sleeps that have one, clocks that are looked at. Each
// habit in a healthy lock, which is not accused, and in a broken one, which is.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "harness/explore/explore_driver.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;

std::vector<Result> explore(const LockSpec& lock, std::chrono::milliseconds budget) {
  Request request;
  request.until = std::chrono::steady_clock::now() + budget;
  return ExploreDriver().run(lock, request);
}

std::string reasons(const std::vector<Result>& results) {
  std::string text;
  for (const Result& result : results) {
    text += "\n" + result.scenario + ": " + result.reason;
    if (result.finding) text += result.finding->summary;
  }
  return text;
}

void expect_healthy(const LockSpec& lock) {
  const auto results = explore(lock, 2s);
  EXPECT_FALSE(results.empty());
  for (const Result& result : results) {
    EXPECT_EQ(result.verdict, Verdict::kPass) << lock.name << reasons({result});
  }
}

/// By one of these rules.
void expect_caught(const LockSpec& lock, const std::string& rules) {
  const auto results = explore(lock, 60s);
  const auto found = std::ranges::find(results, Verdict::kFail, &Result::verdict);
  ASSERT_TRUE(found != results.end()) << lock.name << ": " << reasons(results);
  EXPECT_NE(rules.find(found->rule), std::string::npos) << found->rule << found->finding->summary;
  EXPECT_EQ(found->finding->failed, found->finding->of);
}

/// A futex mutex whose waiters look at the word a number of times before they sleep; without
/// `kAnnounces` nobody wakes them.
template <class P, int kLooks, bool kAnnounces>
class LooksThenSleeps {
 public:
  void lock() {
    for (int i = 0; i < kLooks; ++i) {
      if (word_.load(std::memory_order_relaxed) == 0 && take()) return;
      P::pause();
    }
    while (kAnnounces ? word_.exchange(2, std::memory_order_acquire) != 0 : !take()) {
      P::futex_wait(word_, kAnnounces ? 2 : 1);
    }
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) P::futex_wake(word_, 1);
  }

 private:
  bool take() {
    std::uint32_t free = 0;
    return word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
class TenLooks : public LooksThenSleeps<P, 10, true> {};
template <class P>
class TenLooksUnannounced : public LooksThenSleeps<P, 10, false> {};
template <class P>
class ThousandLooksUnannounced : public LooksThenSleeps<P, 1000, false> {};

/// Takes itself for the holder when it has waited long enough.
template <class P>
class FallsThrough {
 public:
  void lock() {
    for (int i = 0; i < 100 && word_.exchange(1, std::memory_order_acquire) != 0; ++i) P::pause();
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

TEST(BoundedSpins, ThatEndInAnAnnouncedSleepAreHealthy) {
  expect_healthy(spec_of<TenLooks>("ten_looks"));
}

TEST(BoundedSpins, AreFollowedToTheirEnd) {
  expect_caught(spec_of<TenLooksUnannounced>("ten_looks_unannounced"), "LV-1");
  expect_caught(spec_of<ThousandLooksUnannounced>("thousand_looks_unannounced"), "LV-1");
  expect_caught(spec_of<FallsThrough>("falls_through"), "ME-1 MM-1");
}

/// Waits on a hint that is never taken back, so long that it could be for ever, then for the lock.
template <class P, int kLooks>
class Hint {
 public:
  void lock() {
    for (int i = 0; i < kLooks && hint_.load(std::memory_order_relaxed) != 0; ++i) P::pause();
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::pause();
    hint_.store(1, std::memory_order_relaxed);
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{}, hint_{};
};
template <class P>
class LongHint : public Hint<P, 4'000> {};
template <class P>
class EndlessHint : public Hint<P, 1'000'000> {};

TEST(LongSpins, ThatEndAreHealthy) { expect_healthy(spec_of<LongHint>("long_hint")); }

TEST(LongSpins, WhoseEndIsNotReachedAreNeitherPassedNorAccused) {
  const auto results = explore(spec_of<EndlessHint>("endless_hint"), 10s);
  EXPECT_EQ(std::ranges::count(results, Verdict::kFail, &Result::verdict), 0) << reasons(results);
  EXPECT_GT(std::ranges::count(results, Verdict::kInconclusive, &Result::verdict), 0);
}

/// Waits for what it has seen once to change; where it does not look again, a sleep that ends at
/// once every time.
template <class P, bool kLooksAgain>
class Sleeper {
 public:
  void lock() {
    std::uint32_t seen = word_.exchange(2, std::memory_order_acquire);
    while (seen != 0) {
      P::futex_wait(word_, 2);
      if (kLooksAgain) seen = word_.exchange(2, std::memory_order_acquire);
    }
  }
  void unlock() {
    word_.exchange(0, std::memory_order_release);
    P::futex_wake(word_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
using LooksAgain = Sleeper<P, true>;
template <class P>
using LooksOnce = Sleeper<P, false>;

/// Looks at its two words in turn, with a pause after each: what ends its waiting may be in the
/// look before the last.
template <class P, bool kClears>
class TwoLooks {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) {
      P::pause();
      if (hint_.load(std::memory_order_relaxed) != 0) P::pause();
    }
    hint_.store(1, std::memory_order_relaxed);
  }
  void unlock() {
    if (kClears) word_.store(0, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{}, hint_{};
};
template <class P>
using FindsOut = TwoLooks<P, true>;
template <class P>
using FindsNothing = TwoLooks<P, false>;

TEST(UnmarkedSpins, OfSeveralLooksAreEndedByAny) {
  expect_healthy(spec_of<FindsOut>("finds_out"));
  expect_caught(spec_of<FindsNothing>("finds_nothing"), "LV-1 LV-2 TR-2");
}

/// Counts its looks in memory of its own: what is the same on its stack is none the less not where
/// it was.
template <class P>
class CountsInMemory {
 public:
  void lock() {
    volatile std::uint32_t& looks = looks_[P::self()];
    for (looks = 0; word_.exchange(1, std::memory_order_acquire) != 0;) {
      looks = looks + 1;
      if (looks > 300) {
        while (second_.exchange(1, std::memory_order_acquire) != 0) P::pause();
        return;
      }
      P::pause();
    }
    while (second_.exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() { second_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{}, second_{};
  std::uint32_t looks_[65]{};
};

TEST(BoundedSpins, ThatCountInMemoryHaveAnEnd) {
  expect_healthy(spec_of<CountsInMemory>("counts_in_memory"));
}

/// Three words a look, and no mark that it waits: how often it has looked when it is first asked
/// says nothing about where it stands then. Without `kClears` nobody clears one of the words.
template <class P, bool kClears>
class ThreeWords {
 public:
  void lock() {
    for (;;) {
      while ((a_.load(std::memory_order_relaxed) | b_.load(std::memory_order_relaxed) |
              c_.load(std::memory_order_relaxed)) != 0) {
      }
      if (a_.exchange(1, std::memory_order_acquire) == 0) break;
    }
    c_.store(1, std::memory_order_relaxed);
  }
  void unlock() {
    if (kClears) c_.store(0, std::memory_order_relaxed);
    a_.store(0, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> a_{}, b_{}, c_{};
};
template <class P>
using Clears = ThreeWords<P, true>;
template <class P>
using ClearsNot = ThreeWords<P, false>;

TEST(UnmarkedSpins, ForEverAreToldFromThoseThatEnd) {
  expect_healthy(spec_of<LooksAgain>("looks_again"));
  expect_caught(spec_of<LooksOnce>("looks_once"), "LV-1");
  expect_healthy(spec_of<Clears>("clears"));
  expect_caught(spec_of<ClearsNot>("clears_not"), "LV-1 LV-2 TR-2");
}

/// Wakes nobody: waiters look again after a while, or by their deadline.
template <class P, int kNapUs>
class Naps {
 public:
  void lock() {
    while (!try_lock()) nap(P::now() + std::chrono::microseconds(kNapUs));
  }
  bool try_lock() { return word_.exchange(1, std::memory_order_acquire) == 0; }
  bool try_lock_until(typename P::time_point deadline) {
    while (!try_lock()) {
      if (P::now() >= deadline) return false;
      nap(std::min(deadline, P::now() + std::chrono::microseconds(kNapUs)));
    }
    return true;
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  void nap(typename P::time_point until) { P::futex_wait(never_, 0, until); }
  typename P::template atomic<std::uint32_t> word_{}, never_{};
};
template <class P>
class ShortNaps : public Naps<P, 50> {};
template <class P>
class LongNaps : public Naps<P, 10'000> {};

TEST(Naps, AreNoLostWakeups) {
  expect_healthy(spec_of<ShortNaps>("short_naps"));
  expect_healthy(spec_of<LongNaps>("long_naps"));
}

/// Looks at the clock although nobody has given it a deadline.
template <class P, bool kTakesOver>
class Lease {
 public:
  void lock() {
    const auto until = P::now() + std::chrono::microseconds(50);
    while (word_.exchange(1, std::memory_order_acquire) != 0) {
      if (P::now() < until) {
        P::pause();
      } else if (kTakesOver) {
        return;  // The holder is taken for dead.
      } else {
        P::yield();
      }
    }
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
class Patience : public Lease<P, false> {};
template <class P>
class Takeover : public Lease<P, true> {};

TEST(Clocks, MoveOnWhileSomebodyAsksForTheTime) {
  expect_healthy(spec_of<Patience>("patience"));
  expect_caught(spec_of<Takeover>("takeover"), "ME-1 MM-1");
}

/// Takes its mark back whenever it is not let in, so that its waiting never comes to rest.
template <class P>
class Wavers {
 public:
  void lock() {
    for (const std::uint32_t me = P::self() % 2;;) {
      mark_[me].store(1);
      if (mark_[1 - me].load() == 0) return;
      mark_[me].store(0);
      P::futex_wait(mark_[1 - me], 1, P::now() + std::chrono::milliseconds(3));
    }
  }
  void unlock() {
    mark_[P::self() % 2].store(0);
    P::futex_wake(mark_[P::self() % 2], 1);
  }
  static constexpr int max_workers = 2;

 private:
  typename P::template atomic<std::uint32_t> mark_[2]{};
};

TEST(Naps, OfThoseWhoWaverAreHealthyToo) { expect_healthy(spec_of<Wavers>("wavers")); }

/// Has its orders in fences.
template <class P>
class Fenced {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_relaxed) != 0) P::pause();
    P::fence(std::memory_order_acquire);
  }
  void unlock() {
    P::fence(std::memory_order_release);
    word_.store(0, std::memory_order_relaxed);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};
/// Without the one of its release.
template <class P>
class HalfFenced {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_relaxed) != 0) P::pause();
    P::fence(std::memory_order_acquire);
  }
  void unlock() { word_.store(0, std::memory_order_relaxed); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

TEST(Fences, OfThePlatformAreSeen) {
  expect_healthy(spec_of<Fenced>("fenced"));
  expect_caught(spec_of<HalfFenced>("half_fenced"), "MM-1");
}

/// A writer who has slept marks the lock, since others may sleep yet, and a downgrade keeps the
/// mark: readers who come then wait until the reader has gone, although no writer waits. Late, as
/// in Rust's RwLock and PostgreSQL's LWLock, and not forgotten, unless the last reader does not
/// `kTell`.
template <class P, bool kTell>
class KeepsTheMark {
 public:
  void lock() {
    std::uint32_t others = 0;
    for (;;) {
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      if ((seen & ~kWriters) == 0) {
        if (take(seen, seen | kWriter | others)) return;
        continue;
      }
      if ((seen & kWriters) == 0 && !take(seen, seen | kWriters)) continue;
      others = kWriters;
      P::futex_wait(word_, seen | kWriters);
    }
  }
  void unlock() {
    word_.exchange(0, std::memory_order_release);
    P::futex_wake(word_, kEverybody);
  }
  void lock_shared() {
    for (bool has_slept = false;;) {
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      if ((seen & kWriter) == 0 && (has_slept || (seen & kWriters) == 0)) {
        if (take(seen, seen + 1)) return;
        continue;
      }
      P::futex_wait(word_, seen);
      has_slept = true;
    }
  }
  void unlock_shared() {
    std::uint32_t left = word_.fetch_sub(1, std::memory_order_release) - 1;
    if ((left & ~kWriters) != 0 || !kTell) return;
    word_.compare_exchange_strong(left, 0, std::memory_order_relaxed, std::memory_order_relaxed);
    P::futex_wake(word_, kEverybody);
  }
  void downgrade() {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_strong(seen, (seen & kWriters) + 1, std::memory_order_release,
                                          std::memory_order_relaxed)) {
    }
    P::futex_wake(word_, kEverybody);
  }

 private:
  static constexpr std::uint32_t kWriter = 1u << 30, kWriters = 1u << 31;
  static constexpr int kEverybody = 1 << 30;

  bool take(std::uint32_t seen, std::uint32_t next) {
    return word_.compare_exchange_strong(seen, next, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
using LateReaders = KeepsTheMark<P, true>;
template <class P>
using ForgottenReaders = KeepsTheMark<P, false>;

TEST(Waiting, OfReadersForReadersIsLateOrForEver) {
  expect_healthy(spec_of<LateReaders>("late"));
  expect_caught(spec_of<ForgottenReaders>("forgotten"), "LV-1 RW-2");
}

}  // namespace
}  // namespace hobbs
