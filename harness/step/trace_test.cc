// A schedule as a story: symbols, fields, and what each transition is.
#include "harness/step/trace.h"

#include <gtest/gtest.h>

#include <string>

#include "harness/step/search.h"
#include "harness/step/subjects_for_test.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

std::string whole_text(World& world, const char* schedule) {
  std::vector<Transition> path;
  EXPECT_TRUE(parse_path(schedule, path));
  std::string text;
  for (const TraceLine& line : trace(world, path)) text += line.text + "\n";
  return text;
}

TEST(Trace, NamesCodeAndFieldsOfTheCLibrarysMutex) {
  World world(spec_of<PosixMutex>("pthread mutex"),
              parse_program("lock unlock | lock unlock").program, {});
  const std::string text = whole_text(world, "1 1 1 1 1 1 1");
  EXPECT_NE(text.find("calls lock"), std::string::npos) << text;
  EXPECT_NE(text.find("pthread_mutex_lock"), std::string::npos) << text;
  EXPECT_NE(text.find("lock cmpxchg"), std::string::npos) << text;
  EXPECT_NE(text.find(" owner=0x1001"), std::string::npos) << text;
}

TEST(Trace, TellsOffsetsWhereNoLayoutIsKnownAndMarksTheViolation) {
  World world(spec_of<TestThenSet>("test then set"),
              parse_program("lock unlock | lock unlock").program, {});
  const SearchReport report = search(world, {});
  ASSERT_EQ(report.end, SearchReport::End::kViolation);
  const std::vector<TraceLine> lines = trace(world, report.path);
  ASSERT_EQ(lines.size(), report.path.size());
  EXPECT_NE(lines.back().text.find("<- worker"), std::string::npos) << lines.back().text;
  EXPECT_NE(lines.back().text.find("lock+0=0x1"), std::string::npos) << lines.back().text;
}

TEST(Trace, ReadsBackASchedule) {
  std::vector<Transition> path;
  const std::string text = "1 2d 1t 2k 1g 2s 1w";
  ASSERT_TRUE(parse_path(text, path));
  EXPECT_EQ(to_text(path), text);
  EXPECT_FALSE(parse_path("1 9", path));
  EXPECT_FALSE(parse_path("1x", path));
}

}  // namespace
}  // namespace hobbs::step
