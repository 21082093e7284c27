#include "scenarios/program.h"

#include <gtest/gtest.h>

namespace hobbs {
namespace {

TEST(Program, SaysHowDeepItNests) {
  EXPECT_EQ(deepest_nesting(parse_program("lock unlock lock unlock | try unlock").program), 1u);
  EXPECT_EQ(deepest_nesting(parse_program("lock lock unlock try unlock unlock").program), 2u);
  EXPECT_EQ(deepest_nesting(parse_program("lock lock(300) unlock unlock | lock unlock").program),
            301u);
  EXPECT_EQ(deepest_nesting(parse_program("post | lock work").program), 1u);
}

TEST(ProgramText, ReadsBackWhatItPrints) {
  for (const char* text :
       {"lock work unlock | try unlock | timed(2ms) work(20us) unlock",
        "repeat=3 first_id=2 id_step=8 preset=65535 kill=1@7: lock_shared meet(2) unlock | die",
        "lock#1 lock unlock unlock#1", "timed_shared(150ns) upgrade downgrade unlock",
        "lock(300) work unlock | try unlock", "timed(ever) unlock | timed_shared(ever) unlock",
        "misuse | misuse_shared | post | fork exec rest(1ms) destroy"}) {
    const ParseResult parsed = parse_program(text);
    ASSERT_EQ(parsed.error, "") << text;
    EXPECT_EQ(to_text(parsed.program), text);
    EXPECT_EQ(parse_program(to_text(parsed.program)).program, parsed.program);
  }
}

TEST(ProgramText, SaysWhatIsWrongInOneSentence) {
  EXPECT_NE(parse_program("lokc").error.find("unknown step 'lokc'"), std::string::npos);
  EXPECT_NE(parse_program("timed(2 parsecs)").error, "");
  EXPECT_NE(parse_program("timed(99999999999s)").error.find("no more than a hundred days"),
            std::string::npos);
  EXPECT_NE(parse_program("rest(ever)").error, "");
  EXPECT_NE(parse_program("lock#9").error.find("#0 to #7"), std::string::npos);
  EXPECT_NE(parse_program("kill=1: lock").error.find("WORKER@POINT"), std::string::npos);
  EXPECT_NE(parse_program("repeat=x: lock").error.find("whole number"), std::string::npos);
}

}  // namespace
}  // namespace hobbs
