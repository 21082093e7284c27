#include "reports/replay_case.h"

#include <gtest/gtest.h>

namespace hobbs {
namespace {

TEST(ReplayCase, ReadsBackWhatItWrites) {
  ReplayCase replay;
  replay.lock = "ticket";
  replay.driver = "explore";
  replay.program = parse_program("preset=3: lock unlock | try unlock").program;
  replay.schedule = "1 1 2 2";
  replay.claims.fairness = Fairness::kFifo;
  replay.options["memory"] = "tso";
  const ReplayParse parsed = parse_replay(to_json(replay));
  ASSERT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.replay.program, replay.program);
  EXPECT_EQ(parsed.replay.claims, replay.claims);
  EXPECT_EQ(parsed.replay.options, replay.options);
  EXPECT_EQ(to_json(parsed.replay), to_json(replay));
}

TEST(ReplayCase, NamesWhatIsWrong) {
  EXPECT_NE(parse_replay("{").error, "");
  EXPECT_NE(parse_replay("[]").error.find("\"lock\""), std::string::npos);
  EXPECT_NE(parse_replay(R"({"lock":"a","driver":"free","program":"lokc"})").error.find("lokc"),
            std::string::npos);
  EXPECT_NE(
      parse_replay(R"({"lock":"a","driver":"free","program":"lock","x":1})").error.find("'x'"),
      std::string::npos);
  EXPECT_EQ(parse_replay(R"({"lock":"a","driver":"free","program":"lock","seed":"x"})").error,
            "not a replay file: the value of \"seed\": type must be number, but is string");
}

}  // namespace
}  // namespace hobbs
