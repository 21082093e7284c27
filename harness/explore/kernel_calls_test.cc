// What a lock asks the kernel for past its platform: clocks are the modelled ones, and a wall clock
// is one that somebody sets; what has no model refuses the lock by name.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <thread>

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

/// Stays away, by the clock alone, when it looks in vain; the broken one goes in after that.
template <class P, bool kGoesIn>
class WatchesTheClock {
 public:
  void lock() {
    for (int us = 1; word_.exchange(1, std::memory_order_acquire) != 0; us = std::min(2 * us, 64)) {
      const auto until = P::now() + std::chrono::microseconds(us);
      while (P::now() < until) {
      }
      if (kGoesIn && us == 2) return;
    }
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
class StaysAway : public WatchesTheClock<P, false> {};
template <class P>
class GoesIn : public WatchesTheClock<P, true> {};

TEST(Clocks, MayBeAllThatALockLooksAt) {
  const auto first_rule = [](const LockSpec& lock) {
    for (const Result& result : explore(lock, std::chrono::seconds(3))) {
      if (result.verdict == Verdict::kFail) return result.rule;
      if (result.verdict != Verdict::kPass) return result.reason;
    }
    return std::string();
  };
  EXPECT_EQ(first_rule(spec_of<StaysAway>("stays")), "");
  const std::string rule = first_rule(spec_of<GoesIn>("goes_in"));
  EXPECT_TRUE(rule == "ME-1" || rule == "MM-1") << rule;
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

/// Re-entrant, and right between threads: its owner is known by what no other thread has.
template <class P, class Who>
class OwnedBy : public Sleeping<P> {
 public:
  void lock() {
    if (owner_.load(std::memory_order_relaxed) == Who::me()) {
      ++depth_;
      return;
    }
    Sleeping<P>::lock();
    owner_.store(Who::me(), std::memory_order_relaxed);
    depth_ = 1;
  }
  void unlock() {
    if (--depth_ > 0) return;
    owner_.store(0, std::memory_order_relaxed);
    Sleeping<P>::unlock();
  }

 private:
  typename P::template atomic<std::uintptr_t> owner_{};
  int depth_ = 0;
};
struct ThreadId {
  static std::uintptr_t me() { return std::hash<std::thread::id>{}(std::this_thread::get_id()); }
};
struct PthreadSelf {
  static std::uintptr_t me() { return ::pthread_self(); }
};
struct ThreadLocal {
  static std::uintptr_t me() {
    thread_local char mark;
    return reinterpret_cast<std::uintptr_t>(&mark);
  }
};
template <class P>
class ByThreadId : public OwnedBy<P, ThreadId> {};
template <class P>
class ByPthreadSelf : public OwnedBy<P, PthreadSelf> {};
template <class P>
class ByAddress : public OwnedBy<P, ThreadLocal> {};

/// As ByAddress, but that the owner is a plain word of the lock.
template <class P>
class ByPlainAddress : public Sleeping<P> {
 public:
  void lock() {
    const std::uintptr_t me = ThreadLocal::me();
    if (__atomic_load_n(&owner_, __ATOMIC_RELAXED) == me) {
      ++depth_;
      return;
    }
    Sleeping<P>::lock();
    __atomic_store_n(&owner_, me, __ATOMIC_RELAXED);
    depth_ = 1;
  }
  void unlock() {
    if (--depth_ > 0) return;
    __atomic_store_n(&owner_, 0, __ATOMIC_RELAXED);
    Sleeping<P>::unlock();
  }

 private:
  std::uintptr_t owner_ = 0;
  int depth_ = 0;
};

/// "pass", or the rules and the reasons told.
std::set<std::string> told(const LockSpec& lock, std::chrono::milliseconds budget) {
  std::set<std::string> told;
  for (const Result& result : explore(lock, budget)) {
    if (result.verdict == Verdict::kPass) told.insert("pass");
    if (result.verdict == Verdict::kFail) told.insert(result.rule);
    if (result.verdict == Verdict::kSkipped) told.insert(result.reason);
  }
  return told;
}

constexpr Claims kOfThreads{.process_shared = false, .reentrant = true};
constexpr Claims kOfProcesses{.reentrant = true};

TEST(Identity, ThreadsDifferByTheirIds) {
  const std::set<std::string> pass = {"pass"};
  EXPECT_EQ(told(spec_of<ByThreadId>("id", kOfThreads), std::chrono::seconds(3)), pass);
  EXPECT_EQ(told(spec_of<ByPthreadSelf>("self", kOfThreads), std::chrono::seconds(3)), pass);
}

TEST(Identity, FirstThreadsOfForkedProcessesDoNot) {
  for (const LockSpec& lock :
       {spec_of<ByThreadId>("id", kOfProcesses), spec_of<ByPthreadSelf>("self", kOfProcesses),
        spec_of<ByAddress>("address", kOfProcesses)}) {
    const std::set<std::string> rules = told(lock, std::chrono::seconds(3));
    EXPECT_TRUE(rules.contains("ME-1") || rules.contains("MM-1")) << lock.name;
  }
}

TEST(Identity, AddressesThatModelledThreadsShareAreNoFinding) {
  for (const LockSpec& lock : {spec_of<ByAddress>("address", kOfThreads),
                               spec_of<ByPlainAddress>("plain_address", kOfThreads)}) {
    bool refused = false;
    for (const std::string& word : told(lock, std::chrono::seconds(3))) {
      refused |= word.find("addresses of thread-local variables") != std::string::npos;
      EXPECT_TRUE(word == "pass" || word.starts_with("cannot be run")) << lock.name << ": " << word;
    }
    EXPECT_TRUE(refused) << lock.name;
  }
}

TEST(Refusals, NameWhatIsNotModelled) {
  expect_refused(spec_of<OwnedByThread>("owned_by_thread"), "its thread's id");
  expect_refused(spec_of<FutexByNumber>("futex_by_number"), "the futex call itself");
}

}  // namespace
}  // namespace hobbs
