#include "harness/free/matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/free/programs.h"
#include "locks/mutants/split_test_and_set.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

using testing::HasSubstr;

/// Whether the scenario is one of the nemesis's own.
bool belongs(const std::string& nemesis, const std::string& scenario, const LockSpec& lock) {
  const std::vector<gang::Family> families = gang::families_of(lock);
  return std::ranges::any_of(families, [&](const gang::Family& family) {
    const auto named = [&](gang::Nemesis n) { return to_string(n) == nemesis; };
    return family.name == scenario &&
           (family.kills ? nemesis == "kill points" : std::ranges::any_of(family.nemeses, named));
  });
}

TEST(Matrix, ranks_nemeses_by_what_they_show_and_counts_what_nothing_else_does) {
  const std::string words = matrix_words({{"a", "churn", "burst/exclusion", "ME-1", 5},
                                          {"a", "signals", "", "", 900},
                                          {"b", "churn", "burst/exclusion", "ME-1", 7},
                                          {"b", "signals", "burst/signals", "ME-4", 3},
                                          {"c", "churn", "burst/try", "LV-1", 9},
                                          {"d", "churn", "", "", 900}});
  EXPECT_THAT(words, HasSubstr("3 of 4 locks shown\n"));
  EXPECT_THAT(words, HasSubstr("| churn | 3 | 4 | 2 | 7 |\n| signals | 1 | 2 | 0 | 3 |\n"));
  EXPECT_THAT(words, HasSubstr("| burst/exclusion | 2 | 7 |\n"));
  EXPECT_THAT(words, HasSubstr("| ME-1 | 2 |  |\n| ME-4 |  | 1 |\n"));
}

TEST(Matrix, tries_every_nemesis_that_fits_alone) {
  std::string directory = testing::TempDir() + "matrix-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const LockSpec lock = spec_of<mutants::SplitTestAndSet>("split_test_and_set");
  bool yields_show_it = false, signals_were_tried = false;
  for (const Sighting& sighting :
       try_each_nemesis(lock, std::chrono::milliseconds(500), directory)) {
    const bool shown = !sighting.scenario.empty();
    yields_show_it |= sighting.nemesis == "yields" && shown;
    signals_were_tried |= sighting.nemesis == "signals";
    if (shown) {
      EXPECT_TRUE(belongs(sighting.nemesis, sighting.scenario, lock))
          << sighting.nemesis << " in " << sighting.scenario;
    }
  }
  EXPECT_TRUE(yields_show_it);
  EXPECT_TRUE(signals_were_tried);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace hobbs
