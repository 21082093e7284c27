// How often a scene is played, and what it then comes to.
#include "harness/free/scenes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "locks/reference/ticket_lock.h"
#include "locks/spec_of.h"

namespace hobbs::gang {
namespace {

using End = Played::End;

std::vector<End> ends;  // Of the plays, one after the other; the last one of all that follow.
int plays = 0;

Played play_next(const LockSpec&, const std::string&, int) {
  const std::size_t at = std::min<std::size_t>(static_cast<std::size_t>(plays++), ends.size() - 1);
  return {ends[at], "as was said"};
}

/// Plays the scene with an hour to go, or `late`, when its time is up.
Result play(std::vector<End> to_come, bool late) {
  ends = std::move(to_come);
  plays = 0;
  const Scene scene{"place/made-up", "FS-7", "", nullptr, play_next, "", "kept", "broken"};
  Request request;
  const auto hour = std::chrono::hours(1), now = std::chrono::hours(0);
  request.until = std::chrono::steady_clock::now() + (late ? now : hour);
  return play_scene(scene, spec_of<TicketLock>("ticket"), request);
}

TEST(ScenesTest, AccuseOfWhatIsBrokenInEveryPlayHoweverLateItIs) {
  for (const bool late : {false, true}) {
    const Result result = play({End::kBroken}, late);
    EXPECT_EQ(result.verdict, Verdict::kFail);
    EXPECT_EQ(plays, 3);
  }
  EXPECT_EQ(play({End::kBroken, End::kBroken, End::kKept}, false).verdict, Verdict::kPass);
  EXPECT_EQ(play({End::kBroken, End::kUnsure, End::kBroken}, false).verdict,
            Verdict::kInconclusive);
}

TEST(ScenesTest, AreGivenUpWhenTheTimeIsUpAndNothingCameOfThem) {
  EXPECT_EQ(play({End::kUnsure}, false).verdict, Verdict::kInconclusive);
  EXPECT_EQ(plays, 3);
  EXPECT_EQ(play({End::kUnsure}, true).verdict, Verdict::kInconclusive);
  EXPECT_EQ(plays, 1);
  EXPECT_EQ(play({End::kBroken, End::kUnsure}, true).verdict, Verdict::kInconclusive);
  EXPECT_EQ(plays, 2);
}

TEST(ScenesTest, AreOverWithTheFirstPlayThatKeepsThePromise) {
  EXPECT_EQ(play({End::kKept}, false).verdict, Verdict::kPass);
  EXPECT_EQ(plays, 1);
  EXPECT_EQ(play({End::kRefused}, false).verdict, Verdict::kSkipped);
  EXPECT_EQ(plays, 1);
}

}  // namespace
}  // namespace hobbs::gang
