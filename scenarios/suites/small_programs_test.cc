#include "scenarios/suites/small_programs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "locks/reference/futex_mutex.h"
#include "locks/reference/peterson_lock.h"
#include "locks/reference/ticket_lock.h"
#include "locks/reference/writer_preferring_lock.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

/// The workers in one order: programs that differ in nothing else are the same.
std::string without_order(const Program& program) {
  std::multiset<std::string> workers;
  for (const auto& steps : program.workers) {
    Program alone;
    alone.workers = {steps};
    workers.insert(to_text(alone));
  }
  std::string all;
  for (const std::string& worker : workers) all += worker + "|";
  return all;
}

TEST(SmallPrograms, AreAllThereAreAndEachOnce) {
  // lock, try: 3 of two workers, 4 of three; of 6 scripts 21 pairs, 3 of which are those of before.
  EXPECT_EQ(small_programs(spec_of<TicketLock>("ticket")).size(), 3u + 4 + 18);
  for (const LockSpec& lock :
       {spec_of<FutexMutex>("futex_mutex"), spec_of<WriterPreferringLock>("writer_preferring")}) {
    std::set<std::string> seen;
    for (const Program& program : small_programs(lock)) {
      EXPECT_TRUE(seen.insert(without_order(program)).second) << to_text(program);
    }
    EXPECT_GT(seen.size(), 25u);
  }
}

TEST(SmallPrograms, FitTheLock) {
  const auto programs = small_programs(spec_of<PetersonLock>("peterson"));
  ASSERT_FALSE(programs.empty());
  for (const Program& program : programs) EXPECT_EQ(program.workers.size(), 2u);
}

TEST(SmallPrograms, GiveBackWhatTheyTake) {
  for (const Program& program :
       small_programs(spec_of<WriterPreferringLock>("writer_preferring"))) {
    for (const auto& steps : program.workers) {
      const auto count = [&steps](Verb verb) {
        return std::ranges::count(steps, verb, &Step::verb);
      };
      EXPECT_EQ(count(Verb::kAcquire) + count(Verb::kTry) + count(Verb::kTimed),
                count(Verb::kRelease))
          << to_text(program);
    }
  }
}

}  // namespace
}  // namespace hobbs
