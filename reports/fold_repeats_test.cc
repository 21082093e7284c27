#include "reports/fold_repeats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace hobbs {
namespace {

std::vector<Moment> story_of(const std::string& letters) {
  std::vector<Moment> story;
  for (const char letter : letters) {
    Moment moment;
    moment.worker = letter % 2 + 1;
    moment.text = letter;
    moment.from_ns = moment.to_ns = static_cast<std::int64_t>(story.size());
    story.push_back(moment);
  }
  return story;
}

std::string texts(const std::vector<Moment>& story) {
  std::string text;
  for (const Moment& moment : story) text += moment.text;
  return text;
}

TEST(FoldRepeats, TellsABlockOnce) {
  const std::vector<Moment> folded = fold_repeats(story_of("xabcabcabcabcy"));
  EXPECT_EQ(texts(folded), "xabc(the last 3 lines 3 more times)y");
  EXPECT_EQ(folded[4].from_ns, 4);
  EXPECT_EQ(folded[4].to_ns, 12);
  EXPECT_EQ(texts(fold_repeats(story_of("aaaaaaaa"))), "a(the same 7 more times)");
}

TEST(FoldRepeats, LeavesWhatIsShortOrDiffers) {
  EXPECT_EQ(texts(fold_repeats({})), "");
  EXPECT_EQ(texts(fold_repeats(story_of("ababab"))), "ababab") << "four lines less, one more";
  EXPECT_EQ(texts(fold_repeats(story_of("abcdefgabcdefg"))), "abcdefgabcdefg");
}

TEST(FoldRepeats, NeverFoldsEvidence) {
  std::vector<Moment> story = story_of("abababababab");
  story[6].evidence = true;
  const std::vector<Moment> folded = fold_repeats(story);
  EXPECT_EQ(std::count_if(folded.begin(), folded.end(),
                          [](const Moment& moment) { return moment.evidence; }),
            1);
  std::vector<Moment> last = story_of("abababababab");
  last.back().evidence = true;
  EXPECT_EQ(texts(fold_repeats(last)), "ab(the last 2 lines 4 more times)ab");
}

}  // namespace
}  // namespace hobbs
