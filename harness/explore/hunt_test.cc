#include "harness/explore/hunt.h"

#include <gtest/gtest.h>

#include "harness/explore/random_walk.h"
#include "locks/mutants/gallery.h"

namespace hobbs::explore {
namespace {

using namespace std::chrono_literals;

LockSpec mutant(std::string_view name) {
  for (auto& mutant : mutants::gallery()) {
    if (mutant.lock.name == name) return mutant.lock;
  }
  ADD_FAILURE() << "no mutant " << name;
  return {};
}

/// What a random walk finds in this program, made small; it must happen again each time.
Catch smallest(const LockSpec& lock, std::string_view text, std::uint64_t seed) {
  const Program program = parse_program(text).program;
  const auto explorer = Explorer::create(lock, MemoryModel::kSc, Topology::kFork);
  EXPECT_EQ(explorer->load(program), "");
  RandomWalk walk(seed);
  const Stretch stretch = hunt(*explorer, program, MemoryModel::kSc, Topology::kFork, walk,
                               1'000'000, Clock::now() + 60s);
  EXPECT_TRUE(stretch.caught);
  if (!stretch.caught) return {};
  const Catch best = shrink(lock, *stretch.caught, seed, Clock::now() + 30s);
  EXPECT_EQ(best.broken.rule, stretch.caught->broken.rule);
  EXPECT_TRUE(happens_again(lock, best, nullptr));
  EXPECT_TRUE(happens_again(lock, best, nullptr));
  return best;
}

class OfRandomWalks : public testing::TestWithParam<std::uint64_t> {};

TEST_P(OfRandomWalks, FindingsLoseTheSwitchesThatTheyDoNotNeed) {
  const LockSpec lock =
      mutant("double_takeover");  // Too large for all executions with few of them.
  const Catch best = smallest(lock, "lock die | lock work unlock | lock work unlock", GetParam());
  // The walks of 28 seeds had 7 to 18 of them, and 4 or 5 after shrinking.
  EXPECT_LE(best.preemptions, 6) << to_text(best.schedule);
}

TEST_P(OfRandomWalks, FindingsLoseWorkersSectionsAndPairsBeforeTheStart) {
  const LockSpec lock = mutant("split_test_and_set");
  const Catch best = smallest(
      lock, "preset=3: lock work unlock lock work unlock | lock work unlock | lock work unlock",
      GetParam());
  EXPECT_EQ(best.program.workers.size(), 2u) << to_text(best.program);
  EXPECT_LE(size_of(best.program), 6u) << to_text(best.program);
  EXPECT_EQ(best.program.preset, 0u);
  EXPECT_LE(best.preemptions, 2) << to_text(best.schedule);
}

INSTANTIATE_TEST_SUITE_P(Seeds, OfRandomWalks, testing::Values(1, 2, 3));

}  // namespace
}  // namespace hobbs::explore
