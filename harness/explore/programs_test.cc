// What only certain programs show: a broken lock for each, and a healthy one that passes it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdint>
#include <optional>
#include <string>

#include "harness/explore/explore_driver.h"
#include "harness/explore/explorer.h"
#include "locks/reference/reader_preferring_lock.h"
#include "locks/spec_of.h"
#include "scenarios/program.h"
#include "scenarios/suites/controlled_programs.h"

namespace hobbs {
namespace {

/// The first finding's rule in this scenario; empty if there is none, why not if it was not run.
std::string accusation(const LockSpec& lock, const std::string& scenario) {
  Request request;
  request.scenarios = scenario;
  request.until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  const auto results = ExploreDriver().run(lock, request);
  const auto found = std::ranges::find(results, Verdict::kFail, &Result::verdict);
  if (found != results.end()) return found->rule;
  const bool passed = !results.empty() && results[0].verdict == Verdict::kPass;
  return passed ? "" : results.empty() ? "not run" : results[0].reason;
}

/// A readers-writer lock that counts its readers modulo `kReaders`, and whose downgrade, unless it
/// `kOpens`, keeps the readers out.
template <class P, std::uint32_t kReaders, bool kOpens>
class Counting {
 public:
  void lock() {
    for (std::uint32_t free = 0; !take(free, kWriter); free = 0) P::pause();
  }
  bool try_lock() {
    std::uint32_t free = 0;
    return take(free, kWriter);
  }
  void unlock() { word_.store(0, std::memory_order_release); }
  void lock_shared() {
    while (!try_lock_shared()) P::pause();
  }
  bool try_lock_shared() {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & (kWriter | kClosed)) == 0) {
      if (take(seen, (seen + 1) % kReaders)) return true;
    }
    return false;
  }
  void unlock_shared() {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(seen, left_by(seen), std::memory_order_release,
                                        std::memory_order_relaxed)) {
    }
  }
  void downgrade() { word_.store(kOpens ? 1 : 1 | kClosed, std::memory_order_release); }

 private:
  static constexpr std::uint32_t kWriter = 1u << 31, kClosed = 1u << 30;
  static std::uint32_t left_by(std::uint32_t seen) {
    return ((seen & ~kClosed) + kReaders - 1) % kReaders;
  }
  bool take(std::uint32_t& expected, std::uint32_t wanted) {
    return word_.compare_exchange_strong(expected, wanted, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
class ManyReaders : public Counting<P, 1000, true> {};
template <class P>
class ThreeReaders : public Counting<P, 4, true> {};
template <class P>
class FourReaders : public Counting<P, 5, true> {};
template <class P>
class ClosedDowngrade : public Counting<P, 1000, false> {};

TEST(Programs, HaveMoreReadersThanANarrowCountHolds) {
  EXPECT_EQ(accusation(spec_of<ManyReaders>("many_readers"), "controlled/readers"), "");
  EXPECT_EQ(accusation(spec_of<ThreeReaders>("three_readers"), "controlled/readers"), "RW-1");
  EXPECT_EQ(accusation(spec_of<FourReaders>("four_readers"), "controlled/readers"), "RW-1");
}

TEST(Programs, TryToReadBehindADowngrade) {
  EXPECT_EQ(accusation(spec_of<ManyReaders>("many_readers"), "controlled/readers-try"), "");
  EXPECT_EQ(accusation(spec_of<ClosedDowngrade>("closed_downgrade"), "controlled/readers-try"),
            "TR-2");
}

/// Re-entrant by a mark of the thread's own: one for each lock, or one for all.
template <class P, bool kForEach>
class Marked {
 public:
  void lock() {
    if (depth()++ > 0) return;
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() {
    if (--depth() == 0) word_.store(0, std::memory_order_release);
  }

 private:
  int& depth() {
    struct Mark {
      const void* lock;
      int depth;
    };
    thread_local Mark marks[kMaxLocksPerProgram];
    const void* const key = kForEach ? this : nullptr;
    Mark* mark = marks;
    while (mark->depth != 0 && mark->lock != key) ++mark;
    mark->lock = key;
    return mark->depth;
  }
  typename P::template atomic<std::uint32_t> word_{};
};
template <class P>
class MarkedForEach : public Marked<P, true> {};
template <class P>
class MarkedForAll : public Marked<P, false> {};

TEST(Programs, DrawnHoldOneLockWithinAnother) {
  const Claims claims{.process_shared = false, .reentrant = true};
  EXPECT_EQ(accusation(spec_of<MarkedForEach>("for_each", claims), "controlled/drawn"), "");
  // Two are in, or the data shows that they were: which is seen first is drawn.
  const std::string rule = accusation(spec_of<MarkedForAll>("for_all", claims), "controlled/drawn");
  EXPECT_TRUE(rule == "ME-1" || rule == "MM-1") << rule;
  EXPECT_EQ(accusation(spec_of<MarkedForAll>("for_all", claims), "controlled/nested"), "");
}

/// A lock whose word became each thread's own by mistake. All workers are fibres of one thread: if
/// they shared the variable it would exclude them, and be as it was when all have left.
template <class P>
class EachItsOwn {
 public:
  void lock() {
    while (word_.load(std::memory_order_seq_cst) != 0 || own()) P::pause();
    own() = true;
    word_.store(1, std::memory_order_seq_cst);
  }
  void unlock() {
    word_.store(0, std::memory_order_seq_cst);
    own() = false;
  }

 private:
  static bool& own() {
    thread_local bool taken = false;
    return taken;
  }
  typename P::template atomic<std::uint32_t> word_{};
};

TEST(Programs, GiveEachWorkerThreadLocalVariablesOfItsOwn) {
  const std::string rule = accusation(spec_of<EachItsOwn>("each_its_own"), "controlled/exclusion");
  EXPECT_TRUE(rule == "ME-1" || rule == "MM-1") << rule;
}

/// A semaphore; the broken one has a permit too many.
template <class P, int kPermits, bool kBroken>
class Permits {
 public:
  static constexpr Claims claims{.semaphore = true, .permits = kPermits};
  void lock() {
    for (;;) {
      int left = left_.load(std::memory_order_relaxed);
      if (left > 0 && left_.compare_exchange_strong(left, left - 1)) return;
      P::pause();
    }
  }
  void unlock() { left_.fetch_add(1); }

 private:
  typename P::template atomic<int> left_{kBroken ? kPermits + 1 : kPermits};
};
template <class P>
class ManyPermits : public Permits<P, 33, false> {};
template <class P>
class OneTooMany : public Permits<P, 33, true> {};
template <class P>
class AsManyAsThereAre : public Permits<P, INT_MAX, false> {};

TEST(Programs, TakeManyPermits) {
  EXPECT_EQ(accusation(spec_of<ManyPermits>("many"), "controlled/permits"), "");
  EXPECT_EQ(accusation(spec_of<OneTooMany>("too_many"), "controlled/permits"), "ME-6");
  EXPECT_EQ(accusation(spec_of<AsManyAsThereAre>("all"), "controlled/permits"), "");
}

/// Counts its readers in and out; the broken one's writers stand right above the 16 bits in.
template <class P, std::uint32_t kWriter>
class CountsInAndOut {
 public:
  void lock() {
    while (writers_.exchange(1, std::memory_order_acquire) != 0) P::pause();
    const std::uint32_t in = in_.fetch_or(kWriter);
    while ((out_.load() ^ in) % (1 << 16) != 0) P::pause();
  }
  void unlock() {
    in_.fetch_and(~kWriter);
    writers_.store(0, std::memory_order_release);
  }
  void lock_shared() {
    if ((in_.fetch_add(1) & kWriter) == 0) return;
    while ((in_.load() & kWriter) != 0) P::pause();
  }
  void unlock_shared() { out_.fetch_add(1); }

 private:
  typename P::template atomic<std::uint32_t> writers_{}, in_{}, out_{};
};
template <class P>
class CountsFarBelow : public CountsInAndOut<P, 1u << 31> {};
template <class P>
class CountsRightBelow : public CountsInAndOut<P, 1u << 16> {};

TEST(Programs, UseReadersUpBeforehand) {
  const Claims claims{.fairness = Fairness::kNone};
  EXPECT_EQ(accusation(spec_of<CountsFarBelow>("far", claims), "controlled/wrap"), "");
  const std::string rule =
      accusation(spec_of<CountsRightBelow>("right", claims), "controlled/wrap");
  EXPECT_TRUE(rule == "RW-2" || rule == "LV-1") << rule;
}

/// Recovers what a dead owner left. The broken one's timed acquire does not say who owns it; and it
/// touches the lock after the release if somebody waited for some time only.
template <class P, bool kBroken>
class Recovers {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kOwnerDied};
  Outcome lock() {
    for (;;) {
      if (const auto taken = take(P::self())) return *taken;
      P::pause();
    }
  }
  Outcome try_lock_until(typename P::time_point deadline) {
    timed_.store(1);
    for (;;) {
      if (const auto taken = take(kBroken ? kSomebody : P::self())) return *taken;
      if (P::now() >= deadline) return Outcome::kTimedOut;
      P::pause();
    }
  }
  void unlock() {
    const bool timed = timed_.load() != 0;
    owner_.store(0, std::memory_order_release);
    if (kBroken && timed) timed_.store(0);
  }

 private:
  static constexpr std::uint32_t kSomebody = UINT32_MAX;
  std::optional<Outcome> take(std::uint32_t me) {
    std::uint32_t owner = 0;
    if (owner_.compare_exchange_strong(owner, me)) return Outcome::kAcquired;
    if (owner == kSomebody || P::alive(owner)) return std::nullopt;
    if (owner_.compare_exchange_strong(owner, me)) return Outcome::kOwnerDied;
    return std::nullopt;
  }
  typename P::template atomic<std::uint32_t> owner_{}, timed_{};
};
template <class P>
class RecoversTimed : public Recovers<P, false> {};
template <class P>
class ForgetsTimed : public Recovers<P, true> {};

TEST(Programs, DieInTimedCallsAndDestroyBehindThem) {
  EXPECT_EQ(accusation(spec_of<RecoversTimed>("recovers"), "controlled/crash"), "");
  EXPECT_EQ(accusation(spec_of<ForgetsTimed>("forgets"), "controlled/crash"), "CR-5");
  EXPECT_EQ(accusation(spec_of<RecoversTimed>("recovers"), "controlled/lifetime"), "");
  EXPECT_EQ(accusation(spec_of<ForgetsTimed>("forgets"), "controlled/lifetime"), "AB-5");
}

/// Its destructor waits for who is leaving; the broken one's last to leave comes back once more.
template <class P, bool kComesBack>
class WaitsToDie {
 public:
  ~WaitsToDie() {
    while (leaving_.load(std::memory_order_acquire) != 0) P::pause();
  }
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() {
    leaving_.fetch_add(1, std::memory_order_relaxed);
    word_.store(0, std::memory_order_release);
    leaving_.fetch_sub(1, std::memory_order_release);
    if (kComesBack) word_.load(std::memory_order_relaxed);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{}, leaving_{};
};
template <class P>
class WaitsForAll : public WaitsToDie<P, false> {};
template <class P>
class ComesBack : public WaitsToDie<P, true> {};

TEST(Programs, RunADestructorThatWaits) {
  EXPECT_EQ(accusation(spec_of<WaitsForAll>("waits"), "controlled/lifetime"), "");
  EXPECT_EQ(accusation(spec_of<ComesBack>("comes_back"), "controlled/lifetime"), "AB-5");
}

/// Made of what std::atomic has besides loads and stores; the broken one forgets to notify.
template <class P, bool kForgets>
class WaitsOnItsAtomic {
 public:
  static constexpr Claims claims{.process_shared = false};
  void lock() {
    for (std::uint32_t free = 0; !word_.compare_exchange_strong(free, kTaken); free = 0) {
      sleepers_ += 1;
      word_.wait(kTaken);
      sleepers_ -= 1;
    }
  }
  void unlock() {
    word_ &= ~kTaken;
    if (!kForgets || sleepers_ == 0) word_.notify_one();
  }

 private:
  static constexpr std::uint32_t kTaken = 1;
  static_assert(std::is_same_v<typename P::template atomic<int>::value_type, int> &&
                P::template atomic<int>::is_always_lock_free);
  typename P::template atomic<std::uint32_t> word_{};
  typename P::template atomic<std::uint8_t> sleepers_{};
};
template <class P>
class Notifies : public WaitsOnItsAtomic<P, false> {};
template <class P>
class ForgetsToNotify : public WaitsOnItsAtomic<P, true> {};

TEST(Programs, WaitOnAtomics) {
  EXPECT_EQ(accusation(spec_of<Notifies>("notifies"), "controlled/exclusion"), "");
  EXPECT_EQ(accusation(spec_of<ForgetsToNotify>("forgets"), "controlled/exclusion"), "LV-1");
}

/// A reader's try waits for whoever upgrades, who waits for all other readers.
template <class P, bool kBroken>
class UpgradesAlone : public ReaderPreferringLock<P> {
 public:
  static constexpr Claims claims{.fairness = Fairness::kReaderPreference};
  using Lock = ReaderPreferringLock<P>;
  auto upgrade() {
    upgrading_.store(1);
    const auto outcome = Lock::upgrade();
    upgrading_.store(0);
    return outcome;
  }
  bool try_lock_shared() {
    while (kBroken && upgrading_.load() != 0) P::pause();
    return Lock::try_lock_shared();
  }

 private:
  typename P::template atomic<std::uint32_t> upgrading_{};
};
template <class P>
class TriesBesideUpgrades : public UpgradesAlone<P, false> {};
template <class P>
class WaitsForUpgrades : public UpgradesAlone<P, true> {};

TEST(Programs, TryBesideWhoeverUpgrades) {
  EXPECT_EQ(accusation(spec_of<TriesBesideUpgrades>("tries"), "controlled/readers-try"), "");
  EXPECT_EQ(accusation(spec_of<WaitsForUpgrades>("waits"), "controlled/readers-try"), "TR-1");
}

/// A try that fails beside an upgrade has its reason in that.
TEST(Programs, TryToReadBesideAnUpgrade) {
  EXPECT_EQ(accusation(spec_of<ReaderPreferringLock>("rw"), "controlled/enumerated"), "");
}

/// After an upgrade the next try of another worker fails, although the lock is free.
template <class P>
class ShakenByUpgrades : public ReaderPreferringLock<P> {
 public:
  static constexpr Claims claims{.fairness = Fairness::kReaderPreference};
  using Lock = ReaderPreferringLock<P>;
  auto upgrade() {
    shaken_by_.store(P::self(), std::memory_order_relaxed);
    return Lock::upgrade();
  }
  bool try_lock() {
    const std::uint32_t by = shaken_by_.exchange(0, std::memory_order_relaxed);
    return (by == 0 || by == P::self()) && Lock::try_lock();
  }

 private:
  typename P::template atomic<std::uint32_t> shaken_by_{};
};

TEST(Programs, AreNoneThatCannotBeRun) {
  for (LockSpec lock : reference_catalog()) {
    if (!lock.controlled.available()) continue;
    for (const bool reentrant : {lock.claims.reentrant, true}) {
      lock.claims.reentrant = reentrant;
      for (const ControlledProgram& one : controlled_programs(lock)) {
        const auto explorer =
            explore::Explorer::create(lock, explore::MemoryModel::kSc, one.topology);
        EXPECT_EQ(explorer->load(one.program), "")
            << lock.name << ", " << one.family << ": " << to_text(one.program);
      }
    }
  }
}

TEST(Programs, UpgradeInSmallOnes) {
  EXPECT_EQ(accusation(spec_of<ReaderPreferringLock>("rw"), "controlled/enumerated"), "");
  const std::string rule = accusation(spec_of<ShakenByUpgrades>("shaken"), "controlled/enumerated");
  EXPECT_TRUE(rule == "RW-3" || rule == "TR-2") << rule;
}

}  // namespace
}  // namespace hobbs
