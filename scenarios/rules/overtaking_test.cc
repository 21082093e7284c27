#include "scenarios/rules/overtaking.h"

#include <gtest/gtest.h>

#include <string>

namespace hobbs {
namespace {

constexpr int kWaiter = 0, kLater = 1;

Overtaking under(Fairness fairness, std::uint32_t bound = 0) {
  Claims claims;
  claims.fairness = fairness;
  claims.bypass_bound = bound;
  return Overtaking(claims);
}

void wait(Overtaking& watch, int w, Mode mode = Mode::kExclusive, bool timed = false) {
  watch.calls(w, 0, mode, timed);
  watch.waits(w);
}

std::string pass(Overtaking& watch, Mode mode = Mode::kExclusive) {
  watch.calls(kLater, 0, mode, false);
  const auto broken = watch.enters(kLater);
  return broken ? broken->rule : "";
}

TEST(Overtaking, FirstComeFirstServedMeansThatNobodyIsPassed) {
  Overtaking watch = under(Fairness::kFifo);
  wait(watch, kWaiter);
  watch.calls(kLater, 0, Mode::kExclusive, true);
  const auto broken = watch.enters(kLater);
  ASSERT_TRUE(broken);
  EXPECT_STREQ(broken->rule, "FA-3");
  EXPECT_EQ(broken->passed, kWaiter);
}

TEST(Overtaking, WhoeverCalledBeforeTheWaiterWasSeenMayPass) {
  Overtaking watch = under(Fairness::kFifo);
  watch.calls(kWaiter, 0, Mode::kExclusive, false);
  watch.calls(kLater, 0, Mode::kExclusive, false);
  watch.waits(kWaiter);
  EXPECT_FALSE(watch.enters(kLater));
  EXPECT_FALSE(watch.enters(kWaiter));
}

TEST(Overtaking, ACallThatIsOverWaitsNoLonger) {
  Overtaking watch = under(Fairness::kFifo);
  wait(watch, kWaiter);
  watch.calls(kLater, 0, Mode::kExclusive, false);
  watch.gives_up(kWaiter);
  wait(watch, kWaiter);  // Another call, later than that of kLater.
  EXPECT_FALSE(watch.enters(kLater));
  EXPECT_EQ(pass(watch), "FA-3");
}

TEST(Overtaking, TimedWaitersOtherLocksAndReadersAmongReadersMayBePassed) {
  Overtaking watch = under(Fairness::kFifo);
  wait(watch, kWaiter, Mode::kExclusive, true);
  EXPECT_EQ(pass(watch), "");
  watch.gives_up(kWaiter);
  watch.calls(kWaiter, 1, Mode::kExclusive, false);
  watch.waits(kWaiter);
  EXPECT_EQ(pass(watch), "");
  watch.gives_up(kWaiter);
  wait(watch, kWaiter, Mode::kShared);
  EXPECT_EQ(pass(watch, Mode::kShared), "");
  EXPECT_EQ(pass(watch, Mode::kExclusive), "FA-3");
}

TEST(Overtaking, BoundedBypassCountsEachWorkerThatPasses) {
  Overtaking watch = under(Fairness::kBoundedBypass, 2);
  wait(watch, kWaiter);
  EXPECT_EQ(pass(watch), "");
  EXPECT_EQ(pass(watch), "");
  EXPECT_EQ(pass(watch), "FA-4");
}

TEST(Overtaking, WritersFirstIsBrokenByReadersOnly) {
  Overtaking watch = under(Fairness::kWriterPreference);
  wait(watch, kWaiter);
  EXPECT_EQ(pass(watch), "");
  EXPECT_EQ(pass(watch, Mode::kShared), "FA-1");
  watch.gives_up(kWaiter);
  wait(watch, kWaiter, Mode::kShared);
  EXPECT_EQ(pass(watch), "");
}

TEST(Overtaking, PhaseFairLetsOneWriterPassAReader) {
  Overtaking watch = under(Fairness::kPhaseFair);
  wait(watch, kWaiter, Mode::kShared);
  EXPECT_EQ(pass(watch), "");
  EXPECT_EQ(pass(watch), "FA-2");
}

/// The readers of one phase come in in any order, and then one of them writes.
TEST(Overtaking, PhaseFairDoesNotCountTheReadersThatPassAReader) {
  Overtaking watch = under(Fairness::kPhaseFair);
  wait(watch, kWaiter, Mode::kShared);
  EXPECT_EQ(pass(watch, Mode::kShared), "");
  EXPECT_EQ(pass(watch, Mode::kShared), "");
  EXPECT_EQ(pass(watch), "");
  EXPECT_EQ(pass(watch), "FA-2");
}

TEST(Overtaking, WhereNothingIsPromisedNothingBreaks) {
  for (const Fairness fairness : {Fairness::kNone, Fairness::kReaderPreference}) {
    Overtaking watch = under(fairness);
    EXPECT_FALSE(watch.promises());
    wait(watch, kWaiter);
    EXPECT_EQ(pass(watch), "");
    EXPECT_EQ(pass(watch), "");
  }
}

}  // namespace
}  // namespace hobbs
