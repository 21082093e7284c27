#include "scenarios/cases/case.h"

#include <gtest/gtest.h>

#include "scenarios/cases/arguments.h"
#include "scenarios/cases/differences.h"

namespace hobbs {
namespace {

using Kind = CaseStep::Kind;

const CaseVariables kVariables{{"D", "/tmp/d"}, {"DD", "long"}, {"N", "7"}};

std::string positional(std::string_view text) {
  const Arguments arguments = parse_arguments(text);
  return arguments.error.empty() ? arguments.positional_json() : "error: " + arguments.error;
}

TEST(ArgumentsTest, LiteralsKeepTheirPythonTypes) {
  EXPECT_EQ(positional(""), "[]");
  EXPECT_EQ(positional("True, False, None"), "[true,false,null]");
  EXPECT_EQ(positional("1, -2, 1_000, +3"), "[1,-2,1000,3]");
  EXPECT_EQ(positional("0.2, -1.0, 9223372036.0, 1e300, .5"), "[0.2,-1.0,9223372036.0,1e+300,0.5]");
  EXPECT_EQ(positional("nan, inf, -inf, 1e999"), "[NaN,Infinity,-Infinity,Infinity]");
  EXPECT_EQ(positional("'a', \"b'c\", 'x\\n\\'y\\x41', 'a' 'b'"),
            R"(["a","b'c","x\u000a'yA","ab"])");
  EXPECT_EQ(positional("[1, 'x'], (2, 3), (4), ()"), R"([[1,"x"],[2,3],4,[]])");
}

TEST(ArgumentsTest, ArithmeticIsExact) {
  EXPECT_EQ(positional("2**40, 2**63, -2**2, 1<<63, 2+3*4, 7/2, 2**-1"),
            "[1099511627776,9223372036854775808,-4,9223372036854775808,14,3.5,0.5]");
  EXPECT_EQ(positional("2**200"), "error: a whole number is beyond 127 bits");
}

TEST(ArgumentsTest, KeywordsFollowPositionals) {
  const Arguments arguments = parse_arguments("False, timeout=5, path='x'");
  EXPECT_EQ(arguments.error, "");
  EXPECT_EQ(arguments.positional_json(), "[false]");
  EXPECT_EQ(arguments.keyword_json(), R"({"timeout":5,"path":"x"})");
}

TEST(ArgumentsTest, WhatIsNoArgumentListIsRefused) {
  for (const char* bad : {"a", "1 2", "'open", "x=1, 2", "x=1, x=2", "1/0", "'a'+1", "[1", "0x",
                          "1e", "'\\q'", "-'a'", "=1", ",", "12abc", "True(1)"}) {
    EXPECT_NE(parse_arguments(bad).error, "") << bad;
  }
  EXPECT_NE(parse_arguments(std::string(10000, '(')).error, "");
  EXPECT_NE(parse_arguments(std::string(10000, '-')).error, "");
}

TEST(SubstituteTest, TheLongestVariableWins) {
  EXPECT_EQ(substitute("'$D/lk', $N, '$DD', '$Dx', '5$'", kVariables),
            "'/tmp/d/lk', 7, 'long', '/tmp/dx', '5$'");
  std::string unknown;
  substitute("$N $other $more", kVariables, &unknown);
  EXPECT_EQ(unknown, "$other");
}

CallExpectation expectation(std::string_view text) {
  CallExpectationParse parse = parse_expectation(text);
  EXPECT_EQ(parse.error, "") << text;
  return parse.expectation;
}

CallReply returned(std::string json) { return {std::move(json), "", "", 0, 0}; }
CallReply raised(std::string error, std::string message) {
  return {"null", std::move(error), std::move(message), 0, 0};
}

TEST(ExpectationTest, ResultsAreComparedAsJsonWithTheirTypes) {
  EXPECT_TRUE(fits(expectation("true"), returned("true")));
  EXPECT_FALSE(fits(expectation("true"), returned("1")));
  EXPECT_FALSE(fits(expectation("true"), returned("null")));
  EXPECT_TRUE(fits(expectation("none"), returned("null")));
  EXPECT_TRUE(fits(expectation("null"), returned("null")));
  EXPECT_FALSE(fits(expectation("none"), returned("false")));
  EXPECT_TRUE(fits(expectation("[0.03,0.1]"), returned("[0.03, 0.1]")));
  EXPECT_TRUE(fits(expectation("0"), returned("0.0")));
  EXPECT_TRUE(fits(expectation("~"), returned("17")));
  EXPECT_TRUE(fits(expectation("~"), raised("ValueError", "x")));
  EXPECT_FALSE(fits(expectation("none"), raised("ValueError", "x")));
}

TEST(ExpectationTest, ErrorsByNameAndPartOfTheMessage) {
  const CallExpectation one = expectation("!ValueError|OSError: too many");
  EXPECT_TRUE(fits(one, raised("OSError", "released too many times")));
  EXPECT_FALSE(fits(one, raised("OSError", "no")));
  EXPECT_FALSE(fits(one, raised("TypeError", "too many")));
  EXPECT_FALSE(fits(one, returned("null")));
}

TEST(ExpectationTest, TimeWindows) {
  const CallExpectation both = expectation("false @0.19..0.6");
  EXPECT_EQ(both.json, "false");
  EXPECT_EQ(both.least_s, 0.19);
  EXPECT_EQ(both.most_s, 0.6);
  const CallExpectation open = expectation("!OSError: x @..2");
  EXPECT_EQ(open.least_s, std::nullopt);
  EXPECT_EQ(open.most_s, 2.0);
  EXPECT_EQ(open.message_part, "x");
}

TEST(ExpectationTest, NonsenseIsRefused) {
  for (const char* bad : {"", "yes", "!", "!|A", "maybe blocks", "blocks @1..2", "true @2..1",
                          "true @1", "[1", "!A|", "none none"}) {
    EXPECT_NE(parse_expectation(bad).error, "") << bad;
  }
}

constexpr const char* kGood = R"(# a comment

## Locks
[X-01] mp.Lock | a title | the source
new L mp.Lock()
new G th.Lock()
new K mp.attach('$D', 1, 1) -> ~
fork B A
rawfork C A.t1
spawn S
new S.t1 L mp.spawn.Lock
let N = A L._semlock.name
A.t1 L.acquire(timeout='$N') -> blocks
A L._semlock._count() -> -1
A get L._num.value -> 3
A set L.x = 'a b' -> none
A del L.x
A enter L.read_lock(1)
A enter L -> none
A exit L -> ~
A alarm 0.15 raise -> none
A rec sleeps -> [0.5]
A G() -> maybe 5
settle A -> 5
wait A.t1 -> true @0.1..
sleep 0.1
jointhread A.t1
A drop L -> none
kill B
quit C
[X-02] th.Lock | no source
)";

TEST(CaseTest, EveryKindOfLineIsRead) {
  const CaseFile file = parse_cases(kGood);
  ASSERT_EQ(file.error, "");
  ASSERT_EQ(file.cases.size(), 2U);
  const ConformanceCase& first = file.cases[0];
  EXPECT_EQ(first.id, "X-01");
  EXPECT_EQ(first.lock, "mp.Lock");
  EXPECT_EQ(first.title, "a title");
  EXPECT_EQ(first.source, "the source");
  EXPECT_EQ(first.section, "Locks");
  ASSERT_EQ(first.steps.size(), 26U);
  EXPECT_EQ(first.steps[6].actor, (Actor{"S", "t1"}));
  EXPECT_EQ(first.steps[6].member, "mp.spawn.Lock");
  EXPECT_EQ(first.steps[7].kind, Kind::kLet);
  EXPECT_EQ(first.steps[7].member, "_semlock.name");
  EXPECT_EQ(first.steps[8].line, 13);
  EXPECT_EQ(first.steps[9].member, "_semlock._count");
  EXPECT_EQ(first.steps[11].arguments, "'a b'");
  EXPECT_EQ(first.steps[13].member, "read_lock");
  EXPECT_TRUE(first.steps[16].raises);
  EXPECT_EQ(first.steps[18].member, "");
  EXPECT_EQ(file.cases[1].source, "");
}

TEST(CaseTest, TextReadsBack) {
  const CaseFile file = parse_cases(kGood);
  ASSERT_EQ(file.error, "");
  const CaseFile again = parse_cases(to_text(file.cases[0]));
  ASSERT_EQ(again.error, "");
  EXPECT_EQ(to_text(again.cases[0]), to_text(file.cases[0]));
}

TEST(CaseTest, MistakesAreToldWithTheirLine) {
  const struct {
    const char* steps;
    const char* error;
  } kBad[] = {
      {"X L.acquire()", "line 3: there is no process 'X'"},
      {"A K.acquire()", "line 3: there is no object 'K'"},
      {"A L.acquire(x)", "line 3: 'x' is not a value"},
      {"A L.acquire('$N')", "line 3: the variable $N has no value"},
      {"A L.acquire", "line 3: 'L.acquire' is not a call"},
      {"A L.acquire() -> yes", "line 3: 'yes' is no expectation"},
      {"fork A A", "line 3: there is a process 'A' already"},
      {"fork B X", "line 3: there is no process 'X'"},
      {"kill A\nA L.acquire()", "line 4: the process 'A' has ended already"},
      {"wait A -> true", "line 3: no call of A can be waiting here"},
      {"A L.acquire() -> blocks\nwait A -> blocks", "line 4: a wait expects the end"},
      {"sleep x", "line 3: 'x' is not a number of seconds"},
      {"sleep 61", "line 3: '61' seconds are too long"},
      {"jointhread A", "line 3: jointhread needs a thread"},
      {"sleep 1 -> none", "line 3: 'sleep' takes no expectation"},
      {"A alarm 1 loud", "line 3: write: alarm"},
      {"A set L.x 1", "line 3: write: set"},
      {"A set L.x = 1, 2", "line 3: set takes one value"},
      {"A get L", "line 3: 'L' names no attribute"},
      {"let N A L.x", "line 3: write: let"},
      {"new L", "line 3: write: new"},
      {"A", "line 3: an action is missing"},
      {"[X 2] a | b", "line 3: a case begins with its name in brackets"},
      {"[X-2] a", "line 3: the title of the case is missing"},
  };
  for (const auto& [steps, error] : kBad) {
    const CaseFile file =
        parse_cases(std::string("[X-1] mp.Lock | t\nnew L mp.Lock()\n") + steps + "\n");
    EXPECT_TRUE(file.error.starts_with(error)) << steps << " gave: " << file.error;
    EXPECT_TRUE(file.cases.empty());
  }
  EXPECT_EQ(parse_cases("").error, "there is no case in it");
  EXPECT_EQ(parse_cases("A L.x()").error, "line 1: a step stands before the first case");
}

TEST(CaseTest, AnyBytesGiveASentenceOrCases) {
  std::string text(kGood);
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'\0', '(', '\xff', '\n'}) {
      std::string broken = text;
      broken[i] = c;
      const CaseFile file = parse_cases(broken);
      EXPECT_NE(file.error.empty(), file.cases.empty());
    }
  }
}

TEST(DifferencesTest, AnEntryExcusesOneAnswerToOneStepOfOneCase) {
  const DifferenceTable table = parse_differences(
      "# c\ncpp SL-1* \"A L.release() -> *\" gives \"!ValueError: again\"\n  First part\n"
      "  second part.\npython X \"a\" gives \"blocks\"\n s\n");
  ASSERT_EQ(table.error, "");
  ASSERT_EQ(table.entries.size(), 2U);
  const CallAnswer refused{.blocks = false,
                           .reply = {.error = "ValueError", .message = "released again"}};
  const CallAnswer other{.blocks = false, .reply = {.error = "TypeError", .message = "again"}};
  const CallAnswer blocks{.blocks = true, .reply = {}};
  const auto found = [&](const char* agent, const char* id, const char* step, const CallAnswer& a) {
    const KnownDifference* const entry = find_difference(table, agent, id, step, a);
    return entry == nullptr ? "" : entry->sentence;
  };
  EXPECT_EQ(found("cpp", "SL-19", "A L.release() -> none", refused), "First part second part.");
  EXPECT_EQ(found("cpp", "SL-19", "A L.release() -> none", other), "");
  EXPECT_EQ(found("cpp", "SL-19", "A L.release() -> none", blocks), "");
  EXPECT_EQ(found("python", "SL-19", "A L.release() -> none", refused), "");
  EXPECT_EQ(found("cpp", "SL-20", "A L.release() -> none", refused), "");
  EXPECT_EQ(found("cpp", "SL-19", "A L.acquire() -> none", refused), "");
  EXPECT_EQ(found("python", "X", "a", blocks), "s");
  EXPECT_EQ(found("python", "X", "a", refused), "");
}

TEST(DifferencesTest, MistakesAreToldWithTheirLine) {
  EXPECT_EQ(parse_differences(" s\n").error,
            "line 1: a sentence stands before the first difference");
  for (const char* line : {"cpp X\n s\n", "cpp X \"a\"\n s\n", "cpp X \"a\" gives \"\n s\n"}) {
    EXPECT_EQ(parse_differences(line).error, "line 1: write: AGENT CASE \"STEP\" gives \"ANSWER\"")
        << line;
  }
  EXPECT_NE(parse_differences("cpp X \"a\" gives \"!\"\n s\n").error, "");
  EXPECT_EQ(parse_differences("cpp X \"a\" gives \"none\"\n").error,
            "line 1: the last difference has no sentence");
}

}  // namespace
}  // namespace hobbs
