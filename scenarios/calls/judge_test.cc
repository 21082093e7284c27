#include "scenarios/calls/judge.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "scenarios/calls/agent_lock.h"

namespace hobbs {
namespace {

/// Tells a judge a story: a line is one call and how it was answered ("-" : it waits), or a fork
/// or death; "reply ACTOR" ends an earlier call. A line that ends with '&' is no step of its own.
class Story {
 public:
  explicit Story(const std::string& lock) : judge_(make(lock)) { judge_.add_process("A"); }

  Story& call(const std::string& text, std::optional<Outcome> outcome) {
    const Move move = parse_moves(text).moves.at(0);
    judge_.begin(move);
    if (outcome) judge_.reply(move.actor, *outcome);
    return *this;
  }
  Story& reply(const Actor& actor, Outcome outcome) {
    judge_.reply(actor, outcome);
    return *this;
  }
  std::string settle() {
    const std::optional<Breach> breach = judge_.settle();
    return breach ? breach->rule + ": " + breach->sentence : "";
  }
  CallJudge* operator->() { return &judge_; }

 private:
  static CallJudge make(const std::string& name) {
    const auto& locks = seed_agent_locks();
    const auto lock =
        std::find_if(locks.begin(), locks.end(), [&](const auto& l) { return l.name == name; });
    return CallJudge(lock->claims, lock->home);
  }
  CallJudge judge_;
};

constexpr Outcome kGot = Outcome::kAcquired;
constexpr Outcome kReleased = Outcome::kReleased;
const Actor kA{"A", "main"};
const Actor kB{"B", "main"};

TEST(JudgeTest, AnOrdinaryStoryFits) {
  Story story("mp.Lock");
  story->add_process("B", kA);
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("B try", Outcome::kBusy).settle(), "");
  EXPECT_EQ(story.call("B timed 30ms", Outcome::kTimedOut).settle(), "");
  EXPECT_EQ(story.call("B acquire", {}).settle(), "");
  EXPECT_TRUE(story->is_waiting(kB));
  EXPECT_EQ(story.call("A release", kReleased).reply(kB, kGot).settle(), "");
  EXPECT_TRUE(story->surely_holds(kB, Mode::kExclusive));
  EXPECT_EQ(story.call("A release", kReleased).settle(), "");
  EXPECT_EQ(story.call("A release", Outcome::kOverRelease).settle(), "");
}

TEST(JudgeTest, TwoHoldersAreTold) {
  Story story("mp.Lock");
  story->add_process("B");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("B try", kGot).settle(),
            "ME-3: 'B try' returned 'acquired', but it must return 'busy': A holds it");
  Story child("mp.RLock");
  child->add_process("B", kA);
  EXPECT_EQ(child.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(child.call("B acquire", kGot).settle(),
            "FK-1: 'B acquire' returned 'acquired', but it must wait: A holds it");
}

TEST(JudgeTest, ALostWakeIsTold) {
  Story story("mp.Lock");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("A.t1 acquire", {}).settle(), "");
  EXPECT_EQ(story.call("A release", kReleased).settle(),
            "LV-1: 'A.t1 acquire' waits, but it must return 'acquired': nobody holds it");
  // The same step, once the reply has come after all.
  EXPECT_EQ(story.reply({"A", "t1"}, kGot).settle(), "");
}

TEST(JudgeTest, OneReleaseAdmitsOneWaiter) {
  Story story("mp.Lock");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("A.t1 acquire", {}).settle(), "");
  EXPECT_EQ(story.call("A.t2 acquire", {}).settle(), "");
  story.call("A release", kReleased).reply({"A", "t1"}, kGot);
  EXPECT_EQ(story.reply({"A", "t2"}, kGot).settle().substr(0, 5), "ME-1:");
}

TEST(JudgeTest, CallsMadeTogetherMayTakeEffectInAnyOrder) {
  for (const bool first : {true, false}) {
    Story story("mp.Lock");
    story.call("A try", first ? kGot : Outcome::kBusy);
    EXPECT_EQ(story.call("A.t1 try", first ? Outcome::kBusy : kGot).settle(), "");
    EXPECT_TRUE(story->surely_held("A"));
  }
  Story both("mp.Lock");
  both.call("A try", Outcome::kBusy);
  EXPECT_EQ(both.call("A.t1 try", Outcome::kBusy).settle().substr(0, 5), "TR-2:");
}

TEST(JudgeTest, AThreadLockIsCopiedByAFork) {
  Story story("th.Lock");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  story->add_process("B", kA);
  EXPECT_EQ(story.call("A release", kReleased).settle(), "");
  EXPECT_EQ(story.call("B try", Outcome::kBusy).settle(), "");
  EXPECT_EQ(story.call("B release", kReleased).settle(), "");
  EXPECT_EQ(story.call("B try", kGot).settle(), "");
  EXPECT_EQ(story.call("A try", kGot).settle(), "");
}

TEST(JudgeTest, WhoIsTheCopyOfAHolderIsNotAskedWhatItHolds) {
  Story story("th.RLock");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  story->add_process("B", kA);
  story->add_process("C", kB);
  story->add_process("D", Actor{"A", "t1"});
  EXPECT_FALSE(story->is_defined(kB, Verb::kTry, Mode::kExclusive));
  EXPECT_FALSE(story->is_defined({"C", "main"}, Verb::kTry, Mode::kExclusive));
  EXPECT_TRUE(story->is_defined({"B", "t1"}, Verb::kTry, Mode::kExclusive));
  EXPECT_TRUE(story->is_defined({"D", "main"}, Verb::kTry, Mode::kExclusive));
  EXPECT_EQ(story.call("A release", kReleased).settle(), "");
  EXPECT_TRUE(story->is_defined(kA, Verb::kTry, Mode::kExclusive));
  story->add_process("E", kA);
  EXPECT_TRUE(story->is_defined({"E", "main"}, Verb::kTry, Mode::kExclusive));
}

TEST(JudgeTest, TheDeadKeepAProcessLockAndLoseAFileLock) {
  Story stuck("mp.Lock");
  stuck->add_process("B", kA);
  EXPECT_EQ(stuck.call("B acquire", kGot).settle(), "");
  stuck->kill("B");
  EXPECT_EQ(stuck.call("A try", kGot).settle(),
            "ME-3: 'A try' returned 'acquired', but it must return 'busy': B (killed) holds it");
  Story file("fa.InterProcessLock");
  file->add_process("B");
  EXPECT_EQ(file.call("B acquire", kGot).settle(), "");
  EXPECT_EQ(file.call("A acquire", {}).settle(), "");
  file->kill("B");
  EXPECT_EQ(file.settle().substr(0, 5), "LV-1:");
  EXPECT_EQ(file.reply(kA, kGot).settle(), "");
}

TEST(JudgeTest, AFileLockMayStayWhileAForkedChildHasItsDescriptor) {
  for (const auto answer : {std::optional<Outcome>(), std::optional(kGot)}) {
    Story file("fa.InterProcessLock");
    file->add_process("B");
    EXPECT_EQ(file.call("B acquire", kGot).settle(), "");
    file->add_process("C", kB);
    file->kill("B");
    EXPECT_EQ(file.call("A acquire", answer).settle(), "");
  }
  Story gone("fa.InterProcessLock");
  gone->add_process("B");
  EXPECT_EQ(gone.call("B acquire", kGot).settle(), "");
  gone->add_process("C", kB);
  gone->kill("C");
  gone->kill("B");
  EXPECT_EQ(gone.call("A acquire", {}).settle().substr(0, 5), "LV-1:");
}

TEST(JudgeTest, AThreadThatEndsNeedNotTakeItsFileLockAlong) {
  for (const auto answer : {std::optional<Outcome>(), std::optional(kGot)}) {
    Story file("fa.InterProcessLock");
    file->add_process("B");
    EXPECT_EQ(file.call("B.t1 acquire", kGot).settle(), "");
    file->end({"B", "t1"});
    EXPECT_EQ(file.call("A acquire", answer).settle(), "");
    if (answer) continue;
    file->kill("B");  // Now nobody has it any more.
    EXPECT_EQ(file.settle().substr(0, 5), "LV-1:");
  }
}

TEST(JudgeTest, ACallOfTheDeadMayHaveTakenEffect) {
  Story story("mp.Lock");
  story->add_process("B", kA);
  story.call("B acquire", {});
  story->kill("B");
  EXPECT_FALSE(story->surely_free("A"));
  EXPECT_EQ(story.call("A try", Outcome::kBusy).settle(), "");
}

TEST(JudgeTest, ReadersAndWriters) {
  Story story("fa.InterProcessReaderWriterLock");
  story->add_process("B");
  story->add_process("C");
  EXPECT_EQ(story.call("A acquire shared", kGot).settle(), "");
  EXPECT_EQ(story.call("B acquire", {}).settle(), "");
  EXPECT_EQ(story.call("C try shared", Outcome::kBusy).settle().substr(0, 5), "RW-2:");
  Story writer("fa.InterProcessReaderWriterLock");
  writer->add_process("B");
  EXPECT_EQ(writer.call("A acquire shared", kGot).settle(), "");
  EXPECT_EQ(writer.call("B try", kGot).settle(),
            "RW-1: 'B try' returned 'acquired', but it must return 'busy': A holds it shared");
}

TEST(JudgeTest, ReentryCountsAndOthersMayNotRelease) {
  Story story("mp.RLock");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("A.t1 release", Outcome::kNotOwner).settle(), "");
  EXPECT_EQ(story.call("A release", kReleased).settle(), "");
  EXPECT_EQ(story.call("A.t1 release", kReleased).settle(),
            "MU-2: 'A.t1 release' returned 'released', but it must return 'refused: not owner or "
            "refused: not locked or refused: over-release': A holds it");
  Story blocked("mp.RLock");
  EXPECT_EQ(blocked.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(blocked.call("A acquire", {}).settle(),
            "RE-1: 'A acquire' waits, but it must return 'acquired': A holds it");
}

TEST(JudgeTest, ATimedCallMustEndAfterItsDeadline) {
  Story story("mp.Lock");
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_EQ(story.call("A.t1 timed 40ms", {}).settle(), "");
  story->expire({"A", "t1"});
  EXPECT_EQ(story.settle(),
            "TO-3: 'A.t1 timed 40ms' waits, but it must return 'timed out': A holds it");
}

TEST(JudgeTest, WhatIsOutsideOfTheContractIsNotAsked) {
  Story story("fa.InterProcessLock");
  EXPECT_FALSE(story->is_defined(kA, Verb::kRelease, Mode::kExclusive));
  EXPECT_EQ(story.call("A acquire", kGot).settle(), "");
  EXPECT_FALSE(story->is_defined(kA, Verb::kAcquire, Mode::kExclusive));
  EXPECT_FALSE(story->is_defined({"A", "t1"}, Verb::kTry, Mode::kExclusive));
  EXPECT_TRUE(story->is_defined({"A", "t1"}, Verb::kRelease, Mode::kExclusive));
}

}  // namespace
}  // namespace hobbs
