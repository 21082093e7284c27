// The exhaustive search both ways: broken locks are caught by their rules with schedules that
// replay, healthy ones are accused of nothing, and small programs are finished.
#include "harness/explore/graph/exhaust.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "locks/mutants/gallery.h"
#include "scenarios/suites/controlled_programs.h"

namespace hobbs::explore::graph {
namespace {

constexpr std::chrono::milliseconds kTime{30};
constexpr std::chrono::milliseconds kShortTime{4};
constexpr std::chrono::milliseconds kAllTheTime{60'000};
constexpr MemoryModel kModels[] = {MemoryModel::kSc, MemoryModel::kTso, MemoryModel::kC11};

Exhausted search(const LockSpec& lock, const ControlledProgram& program, MemoryModel model,
                 KnownWorkers* known = nullptr, std::chrono::milliseconds time = kTime) {
  const auto explorer = hobbs::explore::Explorer::create(lock, model, program.topology);
  if (!explorer->load(program.program).empty()) return {};
  return exhaust(lock, program.program, model, program.topology, *explorer,
                 std::chrono::steady_clock::now() + time, known);
}

class Gallery : public testing::TestWithParam<mutants::Mutant> {};

TEST_P(Gallery, IsCaughtByItsRule) {
  const mutants::Mutant& mutant = GetParam();
  bool all_finished = true;
  for (const ControlledProgram& program : controlled_programs(mutant.lock)) {
    for (const MemoryModel model : kModels) {
      const Exhausted found = search(mutant.lock, program, model);
      all_finished &= found.complete && !found.sleeps;
      if (!found.caught) continue;
      const std::string& rule = found.caught->broken.rule;
      EXPECT_EQ(std::ranges::count(mutant.rules, rule), 1)
          << rule << ": " << found.caught->broken.text << " in " << to_text(program.program);
      for (int i = 0; i < 2; ++i) EXPECT_TRUE(happens_again(mutant.lock, *found.caught, nullptr));
      return;
    }
  }
  // What breaks only in programs that cannot be searched (deaths, meetings), or by a futex wait
  // that ends for no reason, is not caught here.
  EXPECT_FALSE(all_finished) << "all executions of all programs pass";
}

INSTANTIATE_TEST_SUITE_P(Exhaust, Gallery, testing::ValuesIn(mutants::gallery()),
                         [](const auto& info) { return info.param.lock.name; });

bool is_caught(const LockSpec& lock) {
  for (const ControlledProgram& program : controlled_programs(lock)) {
    for (const MemoryModel model : kModels) {
      if (search(lock, program, model).caught) return true;
    }
  }
  return false;
}

TEST(GalleryAsAWhole, IsMostlyCaught) {
  std::vector<mutants::Mutant> gallery = mutants::gallery();
  std::erase_if(gallery, [](const mutants::Mutant& m) { return m.lock.home == Home::kPath; });
  const auto caught = std::ranges::count_if(
      gallery, [](const mutants::Mutant& mutant) { return is_caught(mutant.lock); });
  EXPECT_GE(2 * caught, std::ssize(gallery));
}

class Reference : public testing::TestWithParam<LockSpec> {};

TEST_P(Reference, IsAccusedOfNothing) {
  const LockSpec& lock = GetParam();
  if (!lock.controlled.available() || lock.home == Home::kPath) return;
  for (const ControlledProgram& program : controlled_programs(lock)) {
    if (program.program.workers.size() > 3 || program.program.repeat > 2) continue;
    if (program.relocks) continue;  // Not every lock has a contract for it.
    KnownWorkers known;
    for (const MemoryModel model : kModels) {
      const Exhausted found = search(lock, program, model, &known);
      EXPECT_FALSE(found.caught) << found.caught->broken.rule << ": " << found.caught->broken.text
                                 << " in " << to_text(program.program);
      EXPECT_EQ(found.why_not.find("not found out"), std::string::npos)
          << found.why_not << " in " << to_text(program.program);
    }
  }
}

/// Whether two searches that came to their end met the same.
void expect_same(const Exhausted& a, const Exhausted& b, const Program& program) {
  ASSERT_EQ(a.caught.has_value(), b.caught.has_value()) << to_text(program);
  if (a.timed_out || b.timed_out) return;
  EXPECT_EQ(a.complete, b.complete) << a.why_not << "; " << b.why_not << " in " << to_text(program);
  if (!a.complete || !b.complete) return;
  EXPECT_EQ(a.executions, b.executions) << to_text(program);
  EXPECT_EQ(a.blocked, b.blocked) << to_text(program);
}

/// Searches by who has met the workers under the models before, and by who has not. Returns whether
/// all were finished.
bool judge_alike(const LockSpec& lock, const ControlledProgram& program,
                 std::chrono::milliseconds time) {
  bool complete = true;
  KnownWorkers known;
  for (const MemoryModel model : kModels) {
    const Exhausted as_known = search(lock, program, model, &known, time);
    const Exhausted as_new = search(lock, program, model, nullptr, time);
    expect_same(as_known, as_new, program.program);
    complete = complete && as_known.complete && as_new.complete;
  }
  return complete;
}

TEST_P(Reference, IsJudgedAlikeByWhoKnowsItsWorkers) {
  const LockSpec& lock = GetParam();
  if (!lock.controlled.available() || lock.home == Home::kPath) return;
  ControlledProgram smallest = controlled_programs(lock).front();
  smallest.program = plain_program(2, 1);
  // Who watches for an owner's death looks at the clock outside timed calls, which is refused.
  const bool refused = lock.claims.crash == CrashBehaviour::kOwnerDied;
  EXPECT_EQ(judge_alike(lock, smallest, kAllTheTime), !refused);
  for (const ControlledProgram& program : controlled_programs(lock)) {
    if (program.program.workers.size() > 2 || program.program.repeat > 2) continue;
    judge_alike(lock, program, kShortTime);
  }
}

INSTANTIATE_TEST_SUITE_P(Exhaust, Reference, testing::ValuesIn(reference_catalog()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hobbs::explore::graph
