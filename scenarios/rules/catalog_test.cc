#include "scenarios/rules/catalog.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

namespace hobbs {
namespace {

TEST(RuleCatalog, NumbersRunFromOneInEveryFamilyInOrder) {
  std::size_t at = 0;
  for (const RuleFamily& family : rule_families()) {
    for (int number = 1;; ++number) {
      const std::string id = std::string(family.prefix) + "-" + std::to_string(number);
      if (at == all_rules().size() || all_rules()[at].id != id) {
        EXPECT_GT(number, 1) << family.prefix << " has no rule where it should";
        break;
      }
      ++at;
    }
  }
  EXPECT_EQ(at, all_rules().size()) << "out of order: " << all_rules()[at].id;
}

TEST(RuleCatalog, SentencesFitTheMiddleOfASentence) {
  std::set<std::string_view> seen;
  for (const Rule& rule : all_rules()) {
    ASSERT_FALSE(rule.sentence.empty()) << rule.id;
    EXPECT_TRUE(std::islower(static_cast<unsigned char>(rule.sentence.front()))) << rule.id;
    EXPECT_NE(rule.sentence.back(), '.') << rule.id;
    EXPECT_LE(rule.sentence.size(), 90u) << rule.id;
    EXPECT_TRUE(seen.insert(rule.sentence).second) << rule.id;
  }
}

TEST(RuleCatalog, GivesReasonsOnlyForRulesThatExist) {
  std::size_t reasons = 0;
  for (const Rule& rule : all_rules()) {
    const std::string_view why = why_unchecked(rule.id);
    reasons += why.empty() ? 0 : 1;
    EXPECT_FALSE(why.ends_with('.')) << rule.id;
  }
  EXPECT_EQ(why_unchecked("ME-1"), "");
  EXPECT_EQ(why_unchecked("ME-8").empty(), false);
  EXPECT_EQ(reasons, 24u);
}

TEST(RuleCatalog, FindsByTheWholeId) {
  ASSERT_NE(find_rule("ME-1"), nullptr);
  EXPECT_TRUE(find_rule("ME-1")->core);
  EXPECT_EQ(find_rule("ME-10")->id, "ME-10");
  EXPECT_FALSE(find_rule("FA-3")->core);
  EXPECT_EQ(find_rule("ME"), nullptr);
  EXPECT_EQ(find_rule("ME-*"), nullptr);
}

}  // namespace
}  // namespace hobbs
