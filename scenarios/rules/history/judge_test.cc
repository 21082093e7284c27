#include "scenarios/rules/history/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/rules/history/accusation.h"
#include "scenarios/rules/history/verify_certificate.h"

namespace hobbs {
namespace {

using testing::HasSubstr;

Operation call(std::uint32_t worker, Verb verb, std::int64_t from, std::int64_t to,
               Outcome outcome = Outcome::kAcquired, Mode mode = Mode::kExclusive) {
  Operation operation;
  operation.worker = worker;
  operation.verb = verb;
  operation.mode = mode;
  operation.outcome = verb == Verb::kRelease ? Outcome::kReleased : outcome;
  operation.invoked_ns = from;
  operation.returned_ns = to;
  return operation;
}

Disturbance kill(std::uint32_t worker, std::int64_t from, std::int64_t to) {
  return {.kind = Disturbance::Kind::kKill, .worker = worker, .from_ns = from, .to_ns = to};
}

/// The only accusation, whose certificate must stand.
Accusation accused(const History& history, const Claims& claims = {}) {
  const Judgement judgement = judge_history(history, claims);
  EXPECT_TRUE(judgement.illegal());
  const std::vector<Accusation> all = accusations(judgement, claims);
  EXPECT_EQ(all.size(), 1u);
  if (all.empty()) return {};
  EXPECT_EQ(flaw_in(all[0].violation, history, claims), "");
  return all[0];
}

TEST(Judge, AcceptsTheEmptyHistory) { EXPECT_TRUE(judge_history({}, {}).legal()); }

TEST(Judge, AcceptsTouchingHolds) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10), call(1, Verb::kRelease, 20, 30),
                        call(2, Verb::kAcquire, 5, 20), call(2, Verb::kRelease, 40, 50)};
  EXPECT_TRUE(judge_history(history, {}).legal());
}

TEST(Judge, TellsWhoHeldTogetherAndForHowLong) {
  History history;
  history.operations = {call(4, Verb::kAcquire, 0, 10), call(4, Verb::kRelease, 30, 40),
                        call(10, Verb::kAcquire, 5, 23), call(10, Verb::kRelease, 60, 70)};
  const Accusation found = accused(history);
  EXPECT_EQ(found.rule, "ME-1");
  EXPECT_EQ(found.violation.margin_ns, 7);
  EXPECT_EQ(found.violation.certificate.size(), 4u);
  EXPECT_THAT(found.summary, HasSubstr("worker 4 and worker 10"));
  EXPECT_THAT(found.summary, HasSubstr("at least 7 ns"));
}

TEST(Judge, BlamesATryThatGotInByItsOwnRule) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10), call(2, Verb::kTry, 15, 20)};
  EXPECT_EQ(accused(history).rule, "ME-3");
}

/// Workers of any life, in processes of any number.
TEST(Judge, LetsTheDeadsHoldsBeTakenOverWhoeverTheyWere) {
  const Claims claims{.releaser = Releaser::kProcess, .crash = CrashBehaviour::kTakeover};
  for (std::uint32_t worker = 1; worker < 63; ++worker) {
    std::vector<std::uint32_t> process(kMaxWorkers + 1);
    for (std::uint32_t id = 0; id <= kMaxWorkers; ++id) process[id] = id + 1;
    History history;
    for (std::int64_t life = 0; life < 3; ++life) {
      history.operations.push_back(
          call(worker, Verb::kAcquire, 1'000 * life + 10, 1'000 * life + 20));
      history.disturbances.push_back(kill(worker, 1'000 * life + 30, 1'000 * life + 40));
    }
    history.operations.push_back(call(worker + 1, Verb::kAcquire, 3'010, 3'020));
    EXPECT_TRUE(judge_history(history, claims, {.process_of = process}).legal()) << worker;
    history.disturbances.pop_back();  // The last one lives.
    EXPECT_TRUE(judge_history(history, claims, {.process_of = process}).illegal()) << worker;
  }
}

TEST(Judge, FindsAReaderBesideAWriter) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10),
                        call(2, Verb::kAcquire, 15, 20, Outcome::kAcquired, Mode::kShared)};
  EXPECT_EQ(accused(history).rule, "RW-1");
}

TEST(Judge, FindsATryThatFailedForNothing) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10), call(1, Verb::kRelease, 20, 30),
                        call(2, Verb::kTry, 34, 40, Outcome::kBusy),
                        call(1, Verb::kAcquire, 50, 60)};
  const Accusation found = accused(history);
  EXPECT_EQ(found.rule, "TR-2");
  EXPECT_EQ(found.violation.margin_ns, 4);
  EXPECT_TRUE(judge_history(history, {.spurious_try_failure = true}).legal());
}

TEST(Judge, ExcusesATryDuringAWaitThatIsGivenUp) {
  History history;
  history.operations = {call(2, Verb::kTry, 34, 40, Outcome::kBusy),
                        call(3, Verb::kTimed, 35, 50, Outcome::kTimedOut)};
  history.operations[1].deadline_ns = 45;
  const Judgement judgement = judge_history(history, {});
  EXPECT_EQ(judgement.counts[static_cast<std::size_t>(Breach::kGroundlessFailure)], 0u);
  EXPECT_EQ(judgement.counts[static_cast<std::size_t>(Breach::kGroundlessTimeout)], 1u);
}

TEST(Judge, FindsATimeoutBeforeTheDeadline) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10),
                        call(2, Verb::kTimed, 20, 90, Outcome::kTimedOut)};
  history.operations[1].deadline_ns = 100;
  const Accusation found = accused(history);
  EXPECT_EQ(found.rule, "TO-1");
  EXPECT_EQ(found.violation.margin_ns, 10);
}

TEST(Judge, KnowsThatANewWorkerUnderAnOldIdHoldsNothing) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10), call(1, Verb::kAcquire, 200, 210)};
  history.disturbances = {kill(1, 50, 100)};
  const Claims freed{.crash = CrashBehaviour::kReleasedBySystem};
  EXPECT_TRUE(judge_history(history, freed).legal());
  EXPECT_EQ(accused(history, {}).rule, "ME-1");  // Stuck is its contract: it got a held lock.
}

TEST(Judge, WantsTheNextHolderToldOfADeath) {
  const Claims robust{.crash = CrashBehaviour::kOwnerDied};
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10), call(2, Verb::kAcquire, 200, 210)};
  history.disturbances = {kill(1, 50, 100)};
  EXPECT_EQ(accused(history, robust).rule, "CR-1");
  history.operations[1].outcome = Outcome::kOwnerDied;
  EXPECT_TRUE(judge_history(history, robust).legal());
  history.operations.push_back(call(2, Verb::kRelease, 220, 230));
  history.operations.push_back(call(3, Verb::kAcquire, 240, 250, Outcome::kOwnerDied));
  EXPECT_EQ(accused(history, robust).rule, "CR-3");
}

TEST(Judge, SaysNothingAfterACallOutsideTheContract) {
  History history;
  history.operations = {call(1, Verb::kRelease, 0, 10), call(2, Verb::kAcquire, 20, 30),
                        call(3, Verb::kAcquire, 40, 50)};
  const Judgement judgement = judge_history(history, {});
  EXPECT_EQ(judgement.kind, Judgement::Kind::kInconclusive);
  EXPECT_THAT(judgement.inconclusive, HasSubstr("from 0 ns on"));
}

TEST(Judge, AccusesNobodyWithinTheErrorOfTheClocks) {
  History history;  // Windows widened by more than the section is long.
  history.operations = {call(1, Verb::kAcquire, 0, 30), call(1, Verb::kRelease, 10, 40),
                        call(2, Verb::kAcquire, 5, 35), call(2, Verb::kRelease, 15, 45),
                        call(3, Verb::kTry, 20, 50, Outcome::kBusy)};
  history.clock_error_ns = 15;
  EXPECT_TRUE(judge_history(history, {}).legal());
}

TEST(Judge, JudgesEachLockByItself) {
  History history;
  history.operations = {call(1, Verb::kAcquire, 0, 10), call(2, Verb::kAcquire, 15, 20)};
  history.operations[1].lock = 3;
  EXPECT_TRUE(judge_history(history, {}).legal());
}

}  // namespace
}  // namespace hobbs
