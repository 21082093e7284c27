// What a walk finds in a large program is told of a small one; what is small already stays.
#include "harness/step/shrink.h"

#include <gtest/gtest.h>

#include "harness/step/subjects_for_test.h"
#include "harness/step/walk.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

StepCase case_of(const LockSpec& lock, const char* program, Memory memory = Memory::kSequential) {
  return make_case(lock, {.name = "test", .program = parse_program(program).program}, memory, -1,
                   "");
}

Small shrunk(const StepCase& found, const SearchReport& report) {
  return shrink(found, report, std::chrono::steady_clock::now() + std::chrono::seconds(60));
}

SearchReport drawn(const StepCase& one) {
  World world(one.lock, one.program.program, one.options);
  SearchReport report = walk(world, {.schedules_max = 200'000});
  EXPECT_EQ(report.end, SearchReport::End::kViolation) << one.lock.name << " " << report.summary;
  return report;
}

const char* const kFiveByTwo =
    "lock unlock lock unlock | lock unlock lock unlock | lock unlock lock unlock |"
    "lock unlock lock unlock | lock unlock lock unlock";

void expect_small(const LockSpec& lock, const char* expected, int preemptions, const char* rule) {
  const StepCase found = case_of(lock, kFiveByTwo);
  const Small small = shrunk(found, drawn(found));
  EXPECT_EQ(to_text(small.program), expected) << lock.name;
  EXPECT_EQ(small.report.rule, rule) << lock.name;
  EXPECT_TRUE(small.finished) << lock.name;
  const StepCase told = case_of(lock, expected);
  World world(lock, small.program, told.options);
  EXPECT_EQ(preemptions_of(world, small.report.path), preemptions) << lock.name;
  EXPECT_TRUE(happens_again(told, rule, small.report.path,
                            std::chrono::steady_clock::now() + std::chrono::seconds(30)))
      << lock.name << " " << to_text(small.report.path);
}

TEST(Shrink, EndsWithTheSmallestProgramAndTheFewestPreemptions) {
  expect_small(spec_of<TestThenSet>("test then set"), "lock unlock | lock unlock", 1, "ME-1");
  expect_small(spec_of<PrivateFutex>("private futex"), "lock unlock | lock unlock", 0, "LV-1");
  expect_small(spec_of<ForgetsWaiters>("forgets waiters"),
               "lock unlock | lock unlock | lock unlock", 0, "LV-1");
}

TEST(Shrink, KeepsTheMemoryModel) {
  const LockSpec lock = spec_of<NoStoreLoadFence>("no fence");
  const StepCase found =
      case_of(lock, "lock unlock lock unlock | lock unlock lock unlock", Memory::kTotalStoreOrder);
  const Small small = shrunk(found, drawn(found));
  EXPECT_EQ(to_text(small.program), "lock unlock | lock unlock");
  EXPECT_EQ(small.report.rule, "ME-1");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto again = [&](Memory memory) {
    return happens_again(case_of(lock, "lock unlock | lock unlock", memory), "ME-1",
                         small.report.path, until);
  };
  EXPECT_TRUE(again(Memory::kTotalStoreOrder));
  EXPECT_FALSE(again(Memory::kSequential)) << "it needs the store buffer";
}

/// Nothing smaller breaks: the finding stays of its own program, and only gets straight.
TEST(Shrink, KeepsWhatIsSmallAlready) {
  const LockSpec lock = spec_of<TestThenSet>("test then set");
  const StepCase found = case_of(lock, "lock unlock | lock unlock");
  const Small small = shrunk(found, drawn(found));
  EXPECT_EQ(small.program, found.program.program);
  EXPECT_EQ(small.report.rule, "ME-1");
}

TEST(Shrink, WithoutTimeTellsWhatWasFound) {
  const LockSpec lock = spec_of<TestThenSet>("test then set");
  const StepCase found = case_of(lock, kFiveByTwo);
  const SearchReport report = drawn(found);
  const Small small = shrink(found, report, std::chrono::steady_clock::now());
  EXPECT_EQ(small.program, found.program.program);
  EXPECT_EQ(to_text(small.report.path), to_text(report.path));
  EXPECT_FALSE(small.finished);
}

}  // namespace
}  // namespace hobbs::step
