#include "scenarios/smaller_programs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace hobbs {
namespace {

std::set<std::string> below(const char* text) {
  std::set<std::string> list;
  for (const Program& less : smaller_programs(parse_program(text).program)) {
    list.insert(to_text(less));
  }
  return list;
}

TEST(SmallerPrograms, GoOneWorkerOrOneSectionDown) {
  EXPECT_EQ(below("lock unlock lock unlock | lock_shared unlock"),
            (std::set<std::string>{"lock unlock lock unlock", "lock_shared unlock",
                                   "lock unlock | lock_shared unlock"}));
  EXPECT_EQ(below("lock lock unlock unlock | lock unlock"),
            (std::set<std::string>{"lock lock unlock unlock", "lock unlock",
                                   "lock unlock | lock unlock"}));
}

TEST(SmallerPrograms, LoseTheirOptions) {
  EXPECT_EQ(below("repeat=2 preset=7: lock unlock"),
            (std::set<std::string>{"preset=7: lock unlock", "repeat=2: lock unlock"}));
}

TEST(SmallerPrograms, EndWithOneSection) { EXPECT_TRUE(below("lock unlock").empty()); }

}  // namespace
}  // namespace hobbs
