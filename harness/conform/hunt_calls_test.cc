#include "harness/conform/hunt_calls.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/conform/agent_command.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

const AgentLock& seed_lock(const std::string& name) {
  const auto& locks = seed_agent_locks();
  return *std::find_if(locks.begin(), locks.end(), [&](const auto& l) { return l.name == name; });
}

/// A hunt on the Python agent, or (with a lie) on the lying one.
CallHunt python_hunt(const std::string& lock, const Canary& canary, const std::string& lie = {}) {
  CallHunt hunt;
  hunt.setting.lock = &seed_lock(lock);
  hunt.setting.command = find_agent("python").words;
  hunt.setting.agent = "python";
  hunt.setting.canary = &canary;
  hunt.agent = "python";
  if (!lie.empty()) {
    hunt.setting.command = {hunt.setting.command[0], "harness/conform/lying_agent.py", lie};
  }
  return hunt;
}

void expect_no_finding(const std::vector<Result>& results) {
  EXPECT_FALSE(results.empty());
  for (const Result& result : results) {
    EXPECT_NE(result.verdict, Verdict::kFail)
        << result.topology << ": " << (result.finding ? result.finding->summary : "") << "\n"
        << (result.finding ? result.finding->program : "");
  }
}

const Result* finding_of(const std::vector<Result>& results) {
  const auto found = std::find_if(results.begin(), results.end(),
                                  [](const Result& r) { return r.verdict == Verdict::kFail; });
  return found == results.end() ? nullptr : &*found;
}

struct Lie {
  const char* lie;
  const char* rule;
  const char* program;  // The fewest calls that show it.
};

class LieHuntTest : public testing::TestWithParam<Lie> {};

TEST_P(LieHuntTest, IsFoundAndShrunk) {
  const auto [lie, rule, program] = GetParam();
  const Canary canary;
  CallHunt hunt = python_hunt("th.Lock", canary, lie);
  hunt.sequences = 12;
  const std::vector<Result> results = hunt_calls(hunt);
  const Result* result = finding_of(results);
  ASSERT_NE(result, nullptr) << results.front().reason;
  EXPECT_EQ(result->rule, rule) << result->finding->summary;
  EXPECT_EQ(result->finding->program + "\n", program) << result->finding->summary;
  EXPECT_EQ(result->finding->failed, result->finding->of);
  // And its replay fails again, from the file alone.
  const ReplayParse replay = parse_replay(result->finding->replay_json);
  EXPECT_EQ(replay.error, "");
  const CallRepeats again =
      repeat_calls(parse_moves(replay.replay.options.at("calls")).moves, hunt.setting, 2);
  EXPECT_EQ(again.failed, 2U);
}

INSTANTIATE_TEST_SUITE_P(AboutTheLock, LieHuntTest,
                         testing::Values(Lie{"returns though held", "ME-3", "A try\nA try\n"},
                                         Lie{"no error", "MU-1", "A release\n"},
                                         Lie{"times out early", "TO-1", "A try\nA timed 40ms\n"},
                                         Lie{"never wakes", "LV-1",
                                             "A try\nA.t1 acquire\nA release\n"},
                                         Lie{"dies", "LV-2", "A try\nA try\n"}));

class HonestHuntTest : public testing::TestWithParam<const char*> {};

TEST_P(HonestHuntTest, PythonsOwnLocksAreNotAccused) {
  const Canary canary;
  CallHunt hunt = python_hunt(GetParam(), canary);
  hunt.sequences = 4;
  expect_no_finding(hunt_calls(hunt));
}

INSTANTIATE_TEST_SUITE_P(Seeds, HonestHuntTest,
                         testing::Values("th.Lock", "th.RLock", "mp.Lock", "mp.RLock",
                                         "mp.Semaphore", "mp.BoundedSemaphore",
                                         "fa.InterProcessLock", "fa.InterProcessReaderWriterLock",
                                         "mpu.SharedLock"));

/// What is left out for the agent python is found where it is not: the real one has the hazard.
TEST(HuntCallsTest, AKnownHazardIsFoundWhereItIsNotExcused) {
  const Canary canary;
  CallHunt hunt = python_hunt("mp.RLock", canary);
  const Moves moves = parse_moves("A acquire\nrawfork B A\nB try\n").moves;
  EXPECT_EQ(repeat_calls(moves, hunt.setting, 1).failed, 0U);
  hunt.setting.agent = "exec";
  const CallRepeats repeats = repeat_calls(moves, hunt.setting, 1);
  EXPECT_EQ(repeats.failed, 1U);
  EXPECT_EQ(repeats.run.rule, "FK-1") << repeats.run.sentence;
}

}  // namespace
}  // namespace hobbs
