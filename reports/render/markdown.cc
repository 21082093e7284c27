// The summary that CI systems show on a run's page. They refuse more than 1 MiB, so the text is
// cut before that, with the failures first and a sentence that says what was left out.
#include <fmt/format.h>

#include <iterator>

#include "reports/render/lanes.h"
#include "reports/render/reporter.h"
#include "reports/render/words.h"

namespace hobbs {
namespace {

constexpr std::size_t kBytesMax = 1'000'000;
constexpr std::size_t kMomentsMax = 200;

/// Text inside a table cell or a sentence: no markup of its own.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += ' ';
      continue;
    }
    if (std::string_view("\\`*_{}[]<>|#").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// A fence longer than any run of backquotes inside.
std::string fenced(const std::string& text) {
  std::string fence = "```";
  while (text.find(fence) != std::string::npos) fence += '`';
  return fmt::format("{}text\n{}\n{}\n", fence, text, fence);
}

std::string_view mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass: return "pass";
    case Verdict::kFail: return "**FAIL**";
    case Verdict::kInconclusive: return "inconclusive";
    case Verdict::kSkipped: return "skipped";
  }
  return "?";
}

std::string headline(const Run& run) {
  const Tally counts = tally(run.results);
  return fmt::format(
      "## {} {}: {}\n\n{} passed, {} failed, {} inconclusive, {} skipped in {}, seed {}, version "
      "{}\n",
      run.tool, run.command, mark(overall(run.results)), counts.pass, counts.fail,
      counts.inconclusive, counts.skipped, duration_words(run.duration_ms), run.seed, run.version);
}

std::string failure(const Result& result) {
  std::string out =
      fmt::format("\n### {} breaks {}\n\n", escaped(result.lock), escaped(result.rule));
  if (const std::string rule = rule_sentence(result.rule); !rule.empty()) {
    out += fmt::format("Rule: {}\n\n", escaped(rule));
  }
  if (!result.finding) return out + escaped(result.reason) + "\n";
  const Finding& finding = *result.finding;
  out += fmt::format("{} ({} driver, {}, {}; fails {})\n\n", escaped(finding.summary),
                     escaped(result.driver), escaped(result.scenario), escaped(result.topology),
                     failure_rate_words(finding));
  std::string block = finding.program;
  const Excerpt excerpt = around_evidence(finding.history, kMomentsMax);
  if (!excerpt.moments.empty()) block += "\n";
  for (const std::string& line : draw_lanes(excerpt.moments, 100)) block += "\n" + line;
  out += fenced(block);
  for (const std::string& fact : finding.evidence) out += fmt::format("- {}\n", escaped(fact));
  if (!finding.replay.empty()) out += "\nReplay:\n\n" + fenced(finding.replay);
  return out;
}

std::string table(const Run& run) {
  const VerdictTable verdicts = verdict_table(run);
  std::string out = "\n| lock |";
  std::string rule = "|---|";
  for (const std::string& driver : verdicts.drivers) {
    out += fmt::format(" {} |", escaped(driver));
    rule += "---|";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : verdicts.rows) {
    out += fmt::format("| {} |", escaped(row.lock));
    for (std::size_t i = 0; i < verdicts.drivers.size(); ++i) {
      const bool any = i < row.cells.size() && !row.cells[i].empty();
      out += fmt::format(" {} |", any ? mark(worst(row.cells[i])) : "");
    }
    out += "\n";
  }
  return out;
}

std::string groups(const Run& run, Verdict verdict, std::string_view title) {
  std::string out;
  for (const ReasonGroup& group : group_reasons(run, verdict)) {
    if (out.empty()) out = fmt::format("\n### {}\n\n", title);
    out += fmt::format("- {}: {}\n", escaped(fmt::format("{}", fmt::join(group.subjects, ", "))),
                       escaped(group.reason));
  }
  return out;
}

}  // namespace

std::string render_markdown(const Run& run, const RenderOptions&) {
  std::string out = headline(run);
  if (!run.note.empty()) out += "\n" + escaped(run.note) + "\n";
  std::vector<std::string> parts;
  for (const Result& result : run.results) {
    if (result.verdict == Verdict::kFail) parts.push_back(failure(result));
  }
  parts.push_back(table(run));
  parts.push_back(groups(run, Verdict::kInconclusive, "Inconclusive"));
  parts.push_back(groups(run, Verdict::kSkipped, "Skipped"));
  constexpr std::size_t kRoomForNotice = 200;
  std::size_t left_out = 0;
  for (const std::string& part : parts) {
    if (left_out == 0 && out.size() + part.size() + kRoomForNotice <= kBytesMax) {
      out += part;
    } else if (!part.empty()) {
      ++left_out;
    }
  }
  if (left_out != 0) {
    out += fmt::format("\n{} more left out to stay below {} bytes.\n", counted(left_out, "part"),
                       kBytesMax);
  }
  return out;
}

}  // namespace hobbs
