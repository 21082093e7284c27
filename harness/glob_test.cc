#include "harness/glob.h"

#include <gtest/gtest.h>

namespace hobbs {
namespace {

TEST(Glob, AnyOfSeveralPatterns) {
  EXPECT_TRUE(glob_match("*", "ticket"));
  EXPECT_TRUE(glob_match("mcs, tick*", "ticket"));
  EXPECT_TRUE(glob_match("th.?ock", "th.Lock"));
  EXPECT_FALSE(glob_match("mcs,clh", "ticket"));
  EXPECT_FALSE(glob_match("", "ticket"));
  EXPECT_FALSE(glob_match("tick", "ticket"));
}

TEST(Glob, AnyPartOfAList) {
  EXPECT_TRUE(glob_match_any("LV-*", "ME-1,LV-1"));
  EXPECT_FALSE(glob_match_any("RW-*", "ME-1,LV-1"));
  EXPECT_FALSE(glob_match_any("*", ""));
}

TEST(Glob, NearMatchesAreTheLikeliestFirst) {
  const std::vector<std::string> names = {"mcs", "ticket", "th.Lock", "th.RLock"};
  ASSERT_FALSE(near_matches("tikcet", names).empty());
  EXPECT_EQ(near_matches("tikcet", names).front(), "ticket");
  EXPECT_EQ(near_matches("rlock", names).front(), "th.RLock");
  EXPECT_TRUE(near_matches("quite-another-thing", names).empty());
}

}  // namespace
}  // namespace hobbs
