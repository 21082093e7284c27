// The judge alone, told of calls in an order of our choice.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "harness/explore/judge_calls.h"

namespace hobbs::explore {
namespace {

constexpr Step kLock{.verb = Verb::kAcquire};
constexpr Step kRead{.verb = Verb::kAcquire, .mode = Mode::kShared};
constexpr Step kTry{.verb = Verb::kTry};
constexpr Step kTimed{.verb = Verb::kTimed};
constexpr Step kUnlock{.verb = Verb::kRelease};
constexpr Step kUnread{.verb = Verb::kRelease, .mode = Mode::kShared};
constexpr Step kUpgrade{.verb = Verb::kUpgrade};

/// An execution of four workers, each a process.
class Told {
 public:
  explicit Told(const Claims& claims) : lock_(std::make_unique<LockSpec>()) {
    lock_->claims = claims;
    judge_ = std::make_unique<Judge>(*lock_);
    judge_->begin(true);
    for (int w = 0; w < 4; ++w) judge_->place(w, static_cast<std::uint32_t>(w + 1), 1001 + w);
  }
  Judge& judge() { return *judge_; }

  /// The rule that the call breaks; empty: none.
  std::string begins(int w, Step step, std::int64_t now_ns = 0, std::int64_t deadline_ns = 0) {
    return judge_->begins(w, step, now_ns, deadline_ns) ? "" : judge_->broken().rule;
  }
  std::string ends(int w, Step step, Outcome outcome, std::int64_t now_ns = 0) {
    return judge_->ends(w, step, outcome, now_ns) ? "" : judge_->broken().rule;
  }
  std::string calls(int w, Step step, Outcome outcome) {
    const std::string rule = begins(w, step);
    return rule.empty() ? ends(w, step, outcome) : rule;
  }
  std::string takes(int w, Step step) { return calls(w, step, Outcome::kAcquired); }
  std::string leaves(int w, Step step = kUnlock) { return calls(w, step, Outcome::kReleased); }
  /// w waits where others can see it, and nobody moves inside a call.
  void waits(int w) {
    judge_->waits_in_call(w);
    judge_->settle(0);
  }
  std::string nothing_moves(std::uint32_t blocked) {
    return judge_->nothing_moves(blocked, 0) ? "" : judge_->broken().rule;
  }
  bool behind_readers(int w) const { return judge_->behind_readers(w); }

 private:
  std::unique_ptr<LockSpec> lock_;
  std::unique_ptr<Judge> judge_;
};

TEST(Judge, ATryNeedsAReason) {
  Told told({});
  EXPECT_EQ(told.takes(0, kLock), "");
  EXPECT_EQ(told.calls(1, kTry, Outcome::kBusy), "");
  EXPECT_EQ(told.begins(1, kTry), "");
  EXPECT_EQ(told.leaves(0), "");
  EXPECT_EQ(told.ends(1, kTry, Outcome::kBusy), "") << "it was held when the try began";
  EXPECT_EQ(told.calls(1, kTry, Outcome::kBusy), "TR-2");
}

TEST(Judge, TwoTriesMayNotFailAgainstEachOther) {
  Told told({});
  EXPECT_EQ(told.begins(0, kTry), "");
  EXPECT_EQ(told.begins(1, kTry), "");
  EXPECT_EQ(told.ends(0, kTry, Outcome::kBusy), "") << "the other may still get it";
  EXPECT_EQ(told.ends(1, kTry, Outcome::kBusy), "TR-2");
  Told other({});
  EXPECT_EQ(other.begins(0, kTry), "");
  EXPECT_EQ(other.begins(1, kTry), "");
  EXPECT_EQ(other.ends(0, kTry, Outcome::kBusy), "");
  EXPECT_EQ(other.ends(1, kTry, Outcome::kAcquired), "");
  EXPECT_EQ(other.calls(0, kTry, Outcome::kBusy), "") << "it is held now, not only tried for";
  EXPECT_EQ(other.leaves(1), "");
  EXPECT_EQ(other.takes(2, kLock), "");
  EXPECT_EQ(other.calls(1, kTry, Outcome::kBusy), "") << "and what that try was for is settled";
  EXPECT_EQ(other.leaves(2), "");
  EXPECT_EQ(other.calls(0, kTry, Outcome::kBusy), "TR-2");
}

TEST(Judge, ATryThatFailsIsNoReasonForAnother) {
  for (const bool weak : {false, true}) {
    Told told({.spurious_try_failure = weak});
    EXPECT_EQ(told.takes(0, kLock), "");
    EXPECT_EQ(told.begins(1, kTry), "") << "it fails for the hold of worker 1 ...";
    EXPECT_EQ(told.leaves(0), "");
    EXPECT_EQ(told.calls(0, kTry, Outcome::kBusy), "") << "... but might have got it after that";
    EXPECT_EQ(told.ends(1, kTry, Outcome::kBusy), weak ? "" : "TR-2");
  }
}

TEST(Judge, AnUpgradeIsOverWithItsRelease) {
  Told told({});
  EXPECT_EQ(told.takes(0, kRead), "");
  EXPECT_EQ(told.takes(0, kUpgrade), "");
  EXPECT_EQ(told.calls(1, {.verb = Verb::kTry, .mode = Mode::kShared}, Outcome::kBusy), "");
  EXPECT_EQ(told.leaves(0), "");
  EXPECT_EQ(told.calls(1, kTry, Outcome::kBusy), "TR-2");
}

TEST(Judge, ARefusedUpgradeExcludesNoReaders) {
  Told told({});
  EXPECT_EQ(told.takes(0, kRead), "");
  EXPECT_EQ(told.calls(0, kUpgrade, Outcome::kUpgradeRefused), "");
  EXPECT_EQ(told.calls(1, {.verb = Verb::kTry, .mode = Mode::kShared}, Outcome::kBusy), "TR-2");
}

TEST(Judge, OnesOwnPermitsAreAReasonToo) {
  Told told({.semaphore = true, .permits = 2});
  EXPECT_EQ(told.takes(0, kLock), "");
  EXPECT_EQ(told.takes(0, kLock), "");
  EXPECT_EQ(told.calls(0, kTry, Outcome::kBusy), "");
  EXPECT_EQ(told.leaves(0), "");
  EXPECT_EQ(told.calls(0, kTry, Outcome::kBusy), "TR-2");
}

TEST(Judge, ATimedCallIsNotEarly) {
  Told told({});
  EXPECT_EQ(told.takes(0, kLock), "");
  EXPECT_EQ(told.begins(1, kTimed, 0, 100), "");
  EXPECT_EQ(told.ends(1, kTimed, Outcome::kTimedOut, 100), "");
  EXPECT_EQ(told.begins(1, kTimed, 100, 200), "");
  EXPECT_EQ(told.ends(1, kTimed, Outcome::kTimedOut, 199), "TO-1");
}

TEST(Judge, WhoWaitsInLineIsNotPassedUnlessSomebodyDied) {
  for (const bool dies : {false, true}) {
    Told told({.fairness = Fairness::kFifo});
    EXPECT_EQ(told.takes(0, kLock), "");
    EXPECT_EQ(told.begins(1, kLock), "");
    told.waits(1);
    EXPECT_EQ(told.begins(2, kLock), "");
    if (dies) told.judge().dies(3);
    EXPECT_EQ(told.leaves(0), "");
    const std::string rule = told.ends(2, kLock, Outcome::kAcquired);
    EXPECT_EQ(rule, dies ? "" : "FA-3");
  }
}

TEST(Judge, OnlyTheLastExclusiveHolderMayDestroy) {
  const auto last = [](auto story) {
    Told told({});
    story(told);
    return told.judge().was_last(0, 0);
  };
  EXPECT_TRUE(last([](Told& told) {
    told.takes(1, kLock), told.leaves(1);
    told.takes(0, kLock), told.leaves(0);
  }));
  EXPECT_FALSE(last([](Told& told) {
    told.takes(0, kLock), told.leaves(0);
    told.takes(1, kLock), told.leaves(1);
  })) << "somebody came later";
  EXPECT_FALSE(last([](Told& told) {
    told.takes(1, kRead);
    told.takes(0, kRead), told.leaves(0, kUnread);
    told.leaves(1, kUnread);
  })) << "readers leave beside each other";
  EXPECT_FALSE(last([](Told& told) {
    told.takes(1, kRead), told.leaves(1, kUnread);
    told.takes(0, kRead), told.leaves(0, kUnread);
  })) << "a shared hold is no proof that others are gone";
  EXPECT_FALSE(last([](Told& told) {
    told.takes(0, kLock), told.leaves(0);
    told.begins(1, kLock);
  })) << "somebody wants it";
}

TEST(Judge, WhoDiedInACallMayHaveHeldTheLock) {
  constexpr Claims kRobust{.crash = CrashBehaviour::kOwnerDied};
  for (const bool releasing : {false, true}) {
    Told told(kRobust);
    if (releasing) {
      EXPECT_EQ(told.takes(0, kLock), "");
    }
    EXPECT_EQ(told.begins(0, releasing ? kUnlock : kLock), "");
    told.judge().dies(0);
    EXPECT_EQ(told.calls(1, kLock, Outcome::kOwnerDied), "") << releasing;
    EXPECT_EQ(told.leaves(1), "");
    EXPECT_EQ(told.calls(2, kLock, Outcome::kOwnerDied), "CR-3") << "nobody else has died";
  }
}

TEST(Judge, KnowsAReaderWhoIsLateFromOneWhoIsForgotten) {
  Told late({});
  EXPECT_EQ(late.takes(1, kRead), "");
  EXPECT_EQ(late.begins(0, kRead), "");
  EXPECT_TRUE(late.behind_readers(0));
  EXPECT_FALSE(late.behind_readers(1));
  EXPECT_EQ(late.nothing_moves(1), "RW-2");
  Told forgotten({});
  EXPECT_EQ(forgotten.takes(1, kRead), "");
  EXPECT_EQ(forgotten.begins(0, kRead), "");
  EXPECT_EQ(forgotten.leaves(1, kUnread), "");
  EXPECT_FALSE(forgotten.behind_readers(0));
  EXPECT_EQ(forgotten.nothing_moves(1), "LV-1");
}

TEST(Judge, SaysWhyNothingMoves) {
  Told lost({});
  EXPECT_EQ(lost.begins(0, kLock), "");
  EXPECT_EQ(lost.nothing_moves(1), "LV-1");
  Told held({});
  EXPECT_EQ(held.takes(1, kLock), "");
  EXPECT_EQ(held.begins(0, kLock), "");
  EXPECT_EQ(held.nothing_moves(1), "") << "as promised";
  Told again({.reentrant = true});
  EXPECT_EQ(again.takes(0, kLock), "");
  EXPECT_EQ(again.begins(0, kLock), "");
  EXPECT_EQ(again.nothing_moves(1), "RE-1");
  Told dead({.crash = CrashBehaviour::kReleasedBySystem});
  EXPECT_EQ(dead.takes(1, kLock), "");
  dead.judge().dies(1);
  EXPECT_EQ(dead.begins(0, kLock), "");
  EXPECT_EQ(dead.nothing_moves(1), "CR-5");
}

TEST(Judge, TwoUpgradesThatWaitForEachOtherAreTold) {
  const auto both = [](Told& told) {
    EXPECT_EQ(told.takes(0, kRead), "");
    EXPECT_EQ(told.takes(1, kRead), "");
    EXPECT_EQ(told.begins(0, kUpgrade), "");
    EXPECT_EQ(told.begins(1, kUpgrade), "");
  };
  Told alive({});
  both(alive);
  EXPECT_EQ(alive.nothing_moves(3), "RW-7");
  Told bereaved({});
  both(bereaved);
  EXPECT_EQ(bereaved.takes(2, kRead), "");
  bereaved.judge().dies(2);
  EXPECT_EQ(bereaved.nothing_moves(3), "") << "they wait for the dead reader";
}

}  // namespace
}  // namespace hobbs::explore
