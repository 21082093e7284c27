// Remembered moves against moves made anew: the same states, transition by transition, and the same
// answers from a search that keeps whole states.
#include "harness/step/space.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <set>
#include <string>

#include "harness/step/search.h"
#include "harness/step/subjects_for_test.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

std::string bytes_of(const State& state) {
  std::string bytes(reinterpret_cast<const char*>(&state.head), head_bytes(state.head.count));
  bytes.append(reinterpret_cast<const char*>(state.shared.bytes), state.shared.used);
  std::string local;
  for (std::size_t w = 0; w < state.head.count; ++w) {
    pack(state.locals[w], local);
    bytes += local;
  }
  return bytes;
}

/// How many states there are, and transitions, by a search without any economy.
std::pair<std::uint64_t, std::uint64_t> plain_counts(World& world) {
  std::set<std::string> seen;
  std::deque<State> frontier{world.initial()};
  seen.insert(bytes_of(frontier.front()));
  std::uint64_t transitions = 0;
  std::vector<Transition> enabled;
  for (; !frontier.empty(); frontier.pop_front()) {
    world.enabled(frontier.front(), enabled);
    for (const Transition& transition : enabled) {
      State next = frontier.front();
      ++transitions;
      EXPECT_TRUE(world.step(next, transition).none());
      if (seen.insert(bytes_of(next)).second) frontier.push_back(next);
    }
  }
  return {seen.size(), transitions};
}

void expect_same(const LockSpec& lock, const char* program, const WorldOptions& options) {
  World world(lock, parse_program(program).program, options);
  const SearchReport report = search(world, {.all_stops = true});
  EXPECT_EQ(report.end, SearchReport::End::kComplete) << lock.name << " " << report.summary;
  const auto [states, transitions] = plain_counts(world);
  EXPECT_EQ(report.states, states) << lock.name;
  EXPECT_EQ(report.transitions, transitions) << lock.name;
  EXPECT_LE(report.moves, report.transitions) << lock.name;
}

TEST(Space, FindsTheStatesOfAPlainSearch) {
  const char* const kTwo = "lock unlock | lock unlock";
  expect_same(spec_of<FutexMutex>("futex mutex"), kTwo, {});
  expect_same(spec_of<FutexMutex>("futex mutex"), kTwo, {.memory = Memory::kTotalStoreOrder});
  expect_same(spec_of<FutexMutex>("futex mutex"), kTwo, {.signals = 1});
  expect_same(spec_of<PosixMutex>("pthread mutex"), kTwo, {.memory = Memory::kTotalStoreOrder});
  expect_same(spec_of<PosixReadWrite>("rwlock"), "lock unlock | lock_shared unlock", {});
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  expect_same(spec_of<PosixRobust>("robust", robust), kTwo, {.kills = 1});
}

TEST(Space, FollowsARandomScheduleAsTheWorldDoes) {
  World world(spec_of<PosixMutex>("pthread mutex"),
              parse_program("lock unlock lock unlock | lock unlock | try unlock").program,
              {.memory = Memory::kTotalStoreOrder, .kills = 1, .signals = 1});
  Space space(world);
  std::mt19937_64 random(3);
  std::vector<Transition> enabled;
  for (int run = 0; run < 50; ++run) {
    State state = world.initial();
    Compact compact = space.compact(state);
    for (int i = 0; i < 200; ++i) {
      space.enabled(compact, enabled);
      if (enabled.empty()) break;
      const Transition transition = enabled[random() % enabled.size()];
      Event event;
      ASSERT_TRUE(space.step(compact, transition, event).none());
      ASSERT_TRUE(world.step(state, transition).none());
      ASSERT_EQ(bytes_of(space.expand(compact)), bytes_of(state)) << to_text(transition);
    }
  }
}

TEST(Space, APreemptionBoundLeavesSomeSchedulesOut) {
  const Program program = parse_program("lock unlock | lock unlock").program;
  const LockSpec lock = spec_of<PosixMutex>("pthread mutex");
  std::uint64_t before = 0;
  for (const int bound : {0, 1, 2, -1}) {
    World world(lock, program, {.preemptions = bound});
    const SearchReport report = search(world, {});
    EXPECT_EQ(report.end, SearchReport::End::kComplete) << report.summary;
    EXPECT_GT(report.transitions, 0u);
    if (bound > 0) {
      EXPECT_GT(report.transitions, before);
    }
    before = report.transitions;
  }
  // One preemption, between the test and the set, is enough; none is not.
  for (const int bound : {0, 1}) {
    World broken(spec_of<TestThenSet>("test then set"), program, {.preemptions = bound});
    EXPECT_EQ(search(broken, {}).end == SearchReport::End::kViolation, bound == 1);
  }
}

}  // namespace
}  // namespace hobbs::step
