// explore's strategies over the modelled processor: broken locks found in programs too large for a
// complete search, correct ones never accused.
#include "harness/step/walk.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>

#include "harness/explore/bounded_search.h"
#include "harness/step/subjects_for_test.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

const char* const kThree = "lock unlock | lock unlock | lock unlock";
const char* const kFiveByThree =
    "lock unlock lock unlock lock unlock | lock unlock lock unlock lock unlock |"
    "lock unlock lock unlock lock unlock | lock unlock lock unlock lock unlock |"
    "lock unlock lock unlock lock unlock";

/// Follows a counterexample; the rule that its end breaks, or that nobody can finish from there.
std::string rule_at_end(World& world, const std::vector<Transition>& path) {
  State state = world.initial();
  for (const Transition& one : path) {
    const Incident incident = world.step(state, one);
    if (!incident.none()) return &one == &path.back() ? incident.rule : "broke before its end";
  }
  return search_from(world, state, {}).rule;
}

void expect_found(const LockSpec& lock, const char* program, const WorldOptions& options,
                  const char* rule) {
  for (const WalkLimits::By by : {WalkLimits::By::kChance, WalkLimits::By::kPriorities}) {
    World world(lock, parse_program(program).program, options);
    const SearchReport report = walk(world, {.schedules_max = 50'000, .by = by});
    ASSERT_EQ(report.end, SearchReport::End::kViolation)
        << lock.name << " " << static_cast<int>(by) << ": " << report.summary;
    EXPECT_EQ(report.rule, rule) << lock.name;
    EXPECT_EQ(rule_at_end(world, report.path), rule) << lock.name << " " << to_text(report.path);
  }
}

TEST(Walk, FindsWhatIsBrokenByChanceAndByPriorities) {
  expect_found(spec_of<TestThenSet>("test then set"), kThree, {}, "ME-1");
  expect_found(spec_of<ForgetsWaiters>("forgets waiters"), kThree, {}, "LV-1");
  expect_found(spec_of<PrivateFutex>("private futex"), kFiveByThree, {}, "LV-1");
  expect_found(spec_of<NoStoreLoadFence>("no fence"), "lock unlock | lock unlock",
               {.memory = Memory::kTotalStoreOrder}, "ME-1");
}

TEST(Walk, FindsWhatADeathLeavesBehind) {
  Claims robust;  // Which it is not.
  robust.crash = CrashBehaviour::kOwnerDied;
  World world(spec_of<FutexMutex>("futex mutex", robust), parse_program(kFiveByThree).program,
              {.kills = 1});
  const SearchReport report = walk(world, {.schedules_max = 1000});
  ASSERT_EQ(report.end, SearchReport::End::kViolation) << report.summary;
  EXPECT_EQ(report.rule, "CR-5");
  EXPECT_EQ(rule_at_end(world, report.path), "CR-5");
}

void expect_clean(const LockSpec& lock, const char* program, const WorldOptions& options) {
  World world(lock, parse_program(program).program, options);
  const SearchReport report = walk(world, {.schedules_max = 3000});
  EXPECT_EQ(report.end, SearchReport::End::kLimit)
      << lock.name << " " << report.rule << " " << report.summary << " " << to_text(report.path);
  EXPECT_EQ(report.states, 3000u);
  EXPECT_LT(report.moves, report.transitions / 4) << "moves are remembered";
}

TEST(Walk, AccusesNobodyWrongly) {
  const WorldOptions tso{.memory = Memory::kTotalStoreOrder, .signals = 2};
  expect_clean(spec_of<FutexMutex>("futex mutex"), kFiveByThree, {});
  expect_clean(spec_of<FutexMutex>("futex mutex"), kFiveByThree, tso);
  expect_clean(spec_of<PosixMutex>("pthread mutex"), kFiveByThree, tso);
  expect_clean(spec_of<PosixSemaphore>("semaphore"), kFiveByThree, tso);
  expect_clean(spec_of<PosixReadWrite>("rwlock"),
               "lock unlock lock unlock | lock unlock | lock_shared unlock lock_shared unlock |"
               "lock_shared unlock",
               tso);
  // What is killed is not robust, and is stuck afterwards, as it says.
  expect_clean(spec_of<FutexMutex>("futex mutex"), kFiveByThree, {.kills = 1});
}

TEST(Walk, StrategiesOfExploreSearchItsWorldToTheEnd) {
  const auto count = [](const LockSpec& lock, int preemptions, bool& found) {
    World world(lock, parse_program("lock unlock | lock unlock").program, {});
    Walker walker(world, nullptr);
    explore::BoundedSearch search(preemptions);
    std::set<std::string> schedules;
    while (search.begin() && !found) {
      found = walker.run(search) == Walker::End::kViolation;
      EXPECT_TRUE(schedules.insert(to_text(walker.path())).second) << "a schedule twice";
    }
    return schedules.size();
  };
  bool found = false;
  const std::size_t none = count(spec_of<FutexMutex>("futex mutex"), 0, found);
  const std::size_t two = count(spec_of<FutexMutex>("futex mutex"), 2, found);
  EXPECT_FALSE(found);
  EXPECT_LT(none, two);
  count(spec_of<TestThenSet>("test then set"), 2, found);
  EXPECT_TRUE(found);
}

TEST(Walk, WhatIsTooLargeIsSearchedInPart) {
  World broken(spec_of<ForgetsWaiters>("forgets waiters"), parse_program(kFiveByThree).program, {});
  const SearchLimits small{.states_max = 20'000};
  EXPECT_EQ(search(broken, small).end, SearchReport::End::kLimit);
  const SearchReport found = search_in_part(broken, small, 1);
  ASSERT_EQ(found.end, SearchReport::End::kViolation) << found.summary;
  EXPECT_EQ(rule_at_end(broken, found.path), "LV-1");
  World sound(spec_of<FutexMutex>("futex mutex"), parse_program(kFiveByThree).program, {});
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  const SearchReport part = search_in_part(
      sound, {.states_max = 20'000, .deadline_ns = soon.time_since_epoch().count()}, 1);
  EXPECT_EQ(part.end, SearchReport::End::kLimit);
  EXPECT_NE(part.summary.find("schedules drawn"), std::string::npos) << part.summary;
}

}  // namespace
}  // namespace hobbs::step
