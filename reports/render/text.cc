// The report for a person at a terminal at two in the morning: the table of verdicts, then what
// needs attention with the line to paste at the end of each block, then one line that sums up.
#include <fmt/color.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "reports/render/lanes.h"
#include "reports/render/reporter.h"
#include "reports/render/words.h"

namespace hobbs {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kLabelWidth = 13;
constexpr std::size_t kMomentsMax = 200;
constexpr std::size_t kSubjectsMax = 6;

class TextReport {
 public:
  TextReport(const Run& run, const RenderOptions& options) : run_(run), options_(options) {}

  std::string render() {
    header();
    if (!run_.results.empty()) table();
    for (const Result& result : run_.results) {
      if (result.verdict == Verdict::kFail) failure(result);
    }
    if (options_.verbose) every_result();
    groups(Verdict::kInconclusive, "Inconclusive");
    groups(Verdict::kSkipped, "Skipped");
    last_line();
    return std::move(out_);
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  /// Text of several lines, aligned under its first.
  static std::string indented(std::string_view text) {
    text = text.substr(0, text.find_last_not_of('\n') + 1);
    std::string aligned;
    for (const char c : text) {
      aligned += c;
      if (c == '\n') aligned.append(kLabelWidth, ' ');
    }
    return aligned;
  }

  std::string paint(std::string text, fmt::text_style style) const {
    return options_.colour ? fmt::format(style, "{}", text) : text;
  }
  std::string bold(std::string text) const { return paint(std::move(text), fmt::emphasis::bold); }
  std::string dim(std::string text) const { return paint(std::move(text), fmt::emphasis::faint); }

  static fmt::text_style style_of(Verdict verdict) {
    switch (verdict) {
      case Verdict::kPass: return fmt::fg(fmt::terminal_color::green);
      case Verdict::kFail: return fmt::fg(fmt::terminal_color::red) | fmt::emphasis::bold;
      case Verdict::kInconclusive: return fmt::fg(fmt::terminal_color::yellow);
      case Verdict::kSkipped: return fmt::emphasis::faint;
    }
    return {};
  }

  void header() {
    std::string facts =
        fmt::format("{} {} {}, seed {}", run_.tool, run_.version, run_.command, run_.seed);
    for (const auto& [key, value] : run_.machine) {
      if (key == "host" || key == "cores" || key == "cpu")
        facts += fmt::format(", {} {}", key, value);
    }
    line("{}", dim(facts));
    line("");
  }

  void table() {
    const VerdictTable table = verdict_table(run_);
    std::size_t name_width = 4;
    for (const auto& row : table.rows) name_width = std::max(name_width, row.lock.size());
    std::string head = fmt::format("{:<{}}", "lock", name_width);
    for (const std::string& driver : table.drivers) head += fmt::format("  {:<13}", driver);
    line("{}", bold(head));
    for (const auto& row : table.rows) {
      std::string text = fmt::format("{:<{}}", row.lock, name_width);
      for (std::size_t i = 0; i < table.drivers.size(); ++i) {
        text += "  ";
        text += cell(i < row.cells.size() ? row.cells[i] : std::vector<const Result*>{});
      }
      text.resize(text.find_last_not_of(' ') + 1);
      line("{}", text);
    }
    line("");
  }

  std::string cell(const std::vector<const Result*>& results) const {
    if (results.empty()) return fmt::format("{:<13}", "-");
    const Verdict verdict = worst(results);
    const std::string word = verdict == Verdict::kFail ? "FAIL" : std::string(to_string(verdict));
    return paint(fmt::format("{:<13}", word), style_of(verdict));
  }

  void failure(const Result& result) {
    line("{}  {}", paint("FAIL", style_of(Verdict::kFail)),
         bold(fmt::format("{} breaks {}", result.lock, result.rule)));
    if (const std::string rule = rule_sentence(result.rule); !rule.empty()) {
      line("  rule:      {}", rule);
    }
    if (!result.finding) {
      line("  what:      {}", result.reason);
      line("");
      return;
    }
    const Finding& finding = *result.finding;
    line("  what:      {}", bold(finding.summary));
    line("  where:     {} driver, scenario {}, {}", result.driver, result.scenario,
         result.topology.empty() ? "no topology" : result.topology);
    if (!finding.program.empty()) line("  program:   {}", indented(finding.program));
    if (!finding.history.empty()) {
      line("");
      const Excerpt excerpt = around_evidence(finding.history, kMomentsMax);
      for (const std::string& row : draw_lanes(excerpt.moments, kWidth - 2)) {
        const bool marked = row.starts_with('!');
        line("  {}", marked ? paint(row, fmt::fg(fmt::terminal_color::red)) : row);
      }
      if (excerpt.left_out != 0) line("  ({} not shown)", counted(excerpt.left_out, "moment"));
      line("");
    }
    for (const std::string& fact : finding.evidence) line("  evidence:  {}", fact);
    if (!finding.schedule.empty() && finding.schedule.size() <= 4 * kWidth) {
      line("  schedule:  {}", finding.schedule);
    }
    line("  fails:     {}", failure_rate_words(finding));
    if (!finding.replay.empty()) line("  replay:    {}", bold(finding.replay));
    line("");
  }

  void every_result() {
    line("{}", bold("Every result"));
    for (const Result& result : run_.results) {
      line("  {}  {} / {} / {} / {}  {}{}, {}  {}",
           paint(fmt::format("{:<12}", to_string(result.verdict)), style_of(result.verdict)),
           result.lock, result.driver, result.scenario, result.rule,
           counted(result.executions, "execution"), result.complete ? " (all there are)" : "",
           duration_words(result.duration_ms), result.reason);
    }
    line("");
  }

  void groups(Verdict verdict, std::string_view title) {
    const std::vector<ReasonGroup> all = group_reasons(run_, verdict);
    if (all.empty()) return;
    line("{}", bold(std::string(title)));
    for (const ReasonGroup& group : all) {
      const std::size_t shown = std::min(group.subjects.size(), kSubjectsMax);
      std::string subjects = fmt::format(
          "{}", fmt::join(group.subjects.begin(),
                          group.subjects.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
      if (shown < group.subjects.size()) {
        subjects += fmt::format(" and {} more", group.subjects.size() - shown);
      }
      line("  {}: {}", subjects, group.reason.empty() ? "no reason given" : group.reason);
    }
    line("");
  }

  void last_line() {
    if (!run_.note.empty()) line("{}", run_.note);
    const Tally counts = tally(run_.results);
    const VerdictTable table = verdict_table(run_);
    const Verdict verdict = overall(run_.results);
    const std::string word = verdict == Verdict::kFail      ? "FAIL"
                             : verdict == Verdict::kSkipped ? "nothing ran"
                                                            : std::string(to_string(verdict));
    line("{}: {} in {}: {} passed, {} failed, {} inconclusive, {} skipped",
         paint(word, style_of(verdict)), counted(table.rows.size(), "lock"),
         duration_words(run_.duration_ms), counts.pass, counts.fail, counts.inconclusive,
         counts.skipped);
  }

  const Run& run_;
  const RenderOptions& options_;
  std::string out_;
};

}  // namespace

std::string render_text(const Run& run, const RenderOptions& options) {
  return TextReport(run, options).render();
}

}  // namespace hobbs
