#include "scenarios/suites/drawn_programs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "locks/reference/peterson_lock.h"
#include "locks/reference/reentrant_mutex.h"
#include "locks/reference/writer_preferring_lock.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

constexpr std::uint64_t kSeeds = 500;

TEST(DrawnPrograms, AreTheSameForTheSameSeedAndManyForMany) {
  const LockSpec lock = spec_of<WriterPreferringLock>("writer_preferring");
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Program program = drawn_program(lock, seed);
    EXPECT_EQ(program, drawn_program(lock, seed));
    EXPECT_EQ(program, parse_program(to_text(program)).program) << to_text(program);
    seen.insert(to_text(program));
  }
  EXPECT_GT(seen.size(), kSeeds * 9 / 10);
}

TEST(DrawnPrograms, FitTheLock) {
  const LockSpec lock = spec_of<PetersonLock>("peterson");
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    EXPECT_EQ(drawn_program(lock, seed).workers.size(), 2u);
  }
  LockSpec alone = lock;
  alone.claims.max_workers = 1;
  EXPECT_TRUE(drawn_program(alone, 1).workers.empty());
}

/// By depth: what is inside what. A lock that is not re-entrant is never asked for twice by one
/// worker, and nothing is asked for inside the second.
TEST(DrawnPrograms, NestInOneOrderAndGiveBackWhatTheyTake) {
  bool deep = false, other_inside = false, other_alone = false;
  for (const LockSpec& lock :
       {spec_of<WriterPreferringLock>("writer_preferring"), spec_of<ReentrantMutex>("recursive")}) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const Program program = drawn_program(lock, seed);
      for (const auto& steps : program.workers) {
        std::vector<std::uint8_t> held;
        for (const Step& step : steps) {
          const bool acquires =
              step.verb == Verb::kAcquire || step.verb == Verb::kTry || step.verb == Verb::kTimed;
          if (step.verb == Verb::kRelease) {
            ASSERT_FALSE(held.empty()) << to_text(program);
            held.pop_back();
          }
          if (!acquires) continue;
          const bool again = std::ranges::count(held, step.lock) > 0;
          EXPECT_TRUE(!again || lock.claims.reentrant) << to_text(program);
          EXPECT_TRUE(step.lock == 1 || std::ranges::count(held, 1) == 0) << to_text(program);
          deep |= std::ranges::count(held, step.lock) > 1;
          other_inside |= step.lock == 1 && std::ranges::count(held, 0) > 0;
          other_alone |= step.lock == 1 && held.empty();
          held.push_back(step.lock);
        }
        EXPECT_TRUE(held.empty()) << to_text(program);
      }
    }
  }
  EXPECT_TRUE(deep);
  EXPECT_TRUE(other_inside);
  EXPECT_TRUE(other_alone);
}

}  // namespace
}  // namespace hobbs
