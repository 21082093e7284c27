#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "reports/json.h"
#include "reports/render/lanes.h"
#include "reports/render/reporter.h"
#include "reports/render/sample_run.h"
#include "reports/render/words.h"

namespace hobbs {
namespace {

/// Any seven-bit text, control characters included: what a lock under test may put into a report.
rc::Gen<std::string> any_text() {
  return rc::gen::container<std::string>(
      rc::gen::resize(rc::kNominalSize, rc::gen::inRange<char>(0, 127)));
}

rc::Gen<Moment> any_moment() {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange<std::uint32_t>(0, 5), any_text(), any_text(),
                     rc::gen::arbitrary<bool>(), rc::gen::inRange<std::int64_t>(-1, 1'000'000)),
      [](const auto& parts) {
        const auto& [worker, text, where, evidence, from_ns] = parts;
        return Moment{worker, text, where, from_ns, from_ns, evidence};
      });
}

Finding any_finding() {
  Finding finding;
  finding.summary = *any_text();
  finding.program = *any_text();
  finding.schedule = *any_text();
  finding.history = *rc::gen::container<std::vector<Moment>>(any_moment());
  finding.evidence = *rc::gen::container<std::vector<std::string>>(any_text());
  finding.failed = *rc::gen::arbitrary<std::uint64_t>();
  finding.of = *rc::gen::arbitrary<std::uint64_t>();
  finding.replay_json = *any_text();
  finding.replay = *any_text();
  return finding;
}

Result any_result() {
  Result result;
  result.lock = *any_text();
  result.scenario = *any_text();
  result.driver = *any_text();
  result.topology = *any_text();
  result.rule = *any_text();
  result.verdict =
      *rc::gen::element(Verdict::kPass, Verdict::kFail, Verdict::kInconclusive, Verdict::kSkipped);
  result.reason = *any_text();
  result.executions = *rc::gen::arbitrary<std::uint64_t>();
  result.complete = *rc::gen::arbitrary<bool>();
  result.duration_ms = *rc::gen::arbitrary<std::int64_t>();
  if (result.verdict == Verdict::kFail && *rc::gen::arbitrary<bool>()) {
    result.finding = any_finding();
  }
  return result;
}

Run any_run() {
  Run run;
  run.command = *any_text();
  run.note = *any_text();
  run.seed = *rc::gen::arbitrary<std::uint64_t>();
  run.duration_ms = *rc::gen::arbitrary<std::int64_t>();
  run.machine = {{"host", *any_text()}};
  const int count = *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 4));
  for (int i = 0; i < count; ++i) run.results.push_back(any_result());
  return run;
}

TEST(Json, ReadsBackWhatItWrites) {
  EXPECT_TRUE(rc::check([] {
    const hobbs::Run run = any_run();
    const std::string text = to_json(run);
    const RunParse parsed = parse_run(text);
    RC_ASSERT(parsed.error == "");
    RC_ASSERT(to_json(parsed.run) == text);
    RC_ASSERT(parsed.run.results.size() == run.results.size());
    for (std::size_t i = 0; i < run.results.size(); ++i) {
      RC_ASSERT(parsed.run.results[i].reason == run.results[i].reason);
      RC_ASSERT(parsed.run.results[i].executions == run.results[i].executions);
      RC_ASSERT(parsed.run.results[i].finding.has_value() == run.results[i].finding.has_value());
    }
    const ResultsParse results = parse_results(to_json(run.results));
    RC_ASSERT(results.error == "");
    RC_ASSERT(to_json(results.results) == to_json(run.results));
  }));
}

TEST(Json, SaysWhatIsWrong) {
  EXPECT_NE(parse_run("{").error.find("not a hobbs result file"), std::string::npos);
  EXPECT_NE(parse_run("{}").error.find("schema"), std::string::npos);
  EXPECT_NE(parse_run(R"({"schema": 99})").error.find("99"), std::string::npos);
  std::string odd = to_json(testing::sample_run());
  odd.replace(odd.find("\"pass\""), 6, "\"fine\"");
  EXPECT_NE(parse_run(odd).error.find("fine"), std::string::npos);
  EXPECT_NE(parse_results("7").error, "");
}

TEST(Json, BytesThatAreNoUtf8DoNotStopIt) {
  hobbs::Run run = testing::sample_run();
  run.results[0].reason = "\xff\xfe text";
  EXPECT_EQ(parse_run(to_json(run)).error, "");
}

TEST(Junit, IsWellFormedWhateverTheTexts) {
  EXPECT_TRUE(rc::check([] {
    const hobbs::Run run = any_run();
    const std::string xml = render_junit(run, {});
    for (const char c : xml)
      RC_ASSERT(c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 32);
    pugi::xml_document document;
    RC_ASSERT(document.load_string(xml.c_str()));
    const pugi::xml_node suite = document.child("testsuites").child("testsuite");
    const auto cases = suite.children("testcase");
    RC_ASSERT(static_cast<std::size_t>(std::distance(cases.begin(), cases.end())) ==
              run.results.size());
  }));
}

TEST(Junit, BadBytesBecomeQuestionMarks) {
  hobbs::Run run = testing::sample_run();
  run.results[0].lock =
      "a\xff\xc3\x28"
      "b\x1b[0m\xc3\xa9";
  const std::string xml = render_junit(run, {});
  EXPECT_NE(xml.find("a?"
                     "?(b[0m\xc3\xa9/explore"),
            std::string::npos)
      << xml.substr(0, 900);
}

TEST(Sarif, FingerprintsStayAndNeverCollideHere) {
  const hobbs::Run run = testing::sample_run();
  hobbs::Run later = run;
  later.seed = 99;
  later.results[2].finding->schedule = "another";
  const auto prints = [](const hobbs::Run& r) {
    std::vector<std::string> all;
    const auto json = nlohmann::json::parse(render_sarif(r, {}));
    for (const auto& result : json.at("runs").at(0).at("results")) {
      all.push_back(result.at("partialFingerprints").at("hobbs/v1"));
    }
    return all;
  };
  ASSERT_EQ(prints(run).size(), 2u);
  EXPECT_EQ(prints(run), prints(later));
  EXPECT_NE(prints(run)[0], prints(run)[1]);
}

TEST(Markdown, StaysBelowAMillionBytesAndSaysSo) {
  hobbs::Run run = testing::sample_run();
  for (int i = 0; i < 3000; ++i) run.results.push_back(run.results[2]);
  const std::string text = render_markdown(run, {});
  EXPECT_LE(text.size(), 1'000'000u);
  EXPECT_NE(text.find("left out"), std::string::npos);
}

TEST(Html, NeedsNothingElseAndEscapesEverything) {
  hobbs::Run run = testing::sample_run();
  run.results[2].finding->summary = "<script>alert(1)</script>";
  run.results[0].lock = "a&b\"><img src=x>";
  const std::string page = render_html(run, {});
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
}

TEST(Text, TheReplayLineEndsEachFailure) {
  const std::string text = render_text(testing::sample_run(), {});
  const std::size_t fail = text.find("FAIL  a_spin_lock");
  ASSERT_NE(fail, std::string::npos);
  const std::string block = text.substr(fail, text.find("\n\nFAIL  rw lock") - fail);
  EXPECT_EQ(block.rfind("  replay:    hobbs replay"), block.rfind('\n') + 1) << block;
}

TEST(Text, HasNoEscapesUnlessAsked) {
  EXPECT_EQ(render_text(testing::sample_run(), {}).find('\x1b'), std::string::npos);
  EXPECT_NE(render_text(testing::sample_run(), {.colour = true}).find('\x1b'), std::string::npos);
}

TEST(Lanes, KeepToTheWidthAndLoseNoWord) {
  const Finding finding = *testing::sample_run().results[2].finding;
  const std::vector<std::string> lines = draw_lanes(finding.history, 60);
  std::string all;
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 60u) << line;
    all += line + " ";
  }
  for (const char* word : {"which", "longer", "sees", "enters", "worker"}) {
    EXPECT_NE(all.find(word), std::string::npos) << word;
  }
}

TEST(Excerpt, KeepsTheEvidence) {
  std::vector<Moment> history(1000);
  history[300].evidence = true;
  const Excerpt excerpt = around_evidence(history, 100);
  ASSERT_EQ(excerpt.moments.size(), 100u);
  EXPECT_EQ(excerpt.left_out, 900u);
  EXPECT_TRUE(std::any_of(excerpt.moments.begin(), excerpt.moments.end(),
                          [](const Moment& moment) { return moment.evidence; }));
}

}  // namespace
}  // namespace hobbs
