// One HTML file that needs nothing else: no network, no script, light and dark. It opens from
// file:// and reads from top to bottom: verdict, table of locks x drivers, findings as lanes.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "reports/render/reporter.h"
#include "reports/render/timeline.h"
#include "reports/render/words.h"

namespace hobbs {
namespace {

constexpr std::size_t kMomentsMax = 10'000;

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --faint: #667080;
  --line: #d5dae1; --pass: #1a7f37; --fail: #c62828; --unsure: #9a6700; --mark: #ffebe9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14171b; --faint: #98a2b0;
  --line: #343b44; --pass: #4cc26a; --fail: #ff7b72; --unsure: #d7a536; --mark: #46201f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 70rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; } p { margin: .25rem 0; }
.faint { color: var(--faint); } .pass { color: var(--pass); }
.fail { color: var(--fail); font-weight: 600; } .inconclusive { color: var(--unsure); }
.skipped { color: var(--faint); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
th { font-weight: 600; } .lanes td, .lanes th { padding: .1rem 1rem .1rem .25rem;
  font: 13px/1.5 ui-monospace, monospace; } .lanes .number { color: var(--faint); }
.lanes tr.evidence { background: var(--mark); } .lanes tr.evidence td { color: var(--fail); }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
pre { padding: .75rem; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto;
  white-space: pre-wrap; } pre.replay { user-select: all; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; margin: .5rem 0; }
dt { color: var(--faint); } dd { margin: 0; } a { color: inherit; }
svg text { fill: var(--ink); font: 12px ui-monospace, monospace; } svg .axis { fill: var(--faint); }
svg .lane { stroke: var(--line); } svg .call { fill: var(--faint); fill-opacity: .55; }
svg .evidence { fill: var(--fail); fill-opacity: .85; }
)";

std::string_view word_of(Verdict verdict) {
  return verdict == Verdict::kFail ? "FAIL" : to_string(verdict);
}

class Page {
 public:
  explicit Page(const Run& run) : run_(run) {}

  std::string render() {
    const Verdict verdict = overall(run_.results);
    add("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>hobbs {}: {}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
        html_escaped(run_.command), word_of(verdict), kStyle);
    head(verdict);
    overview();
    findings();
    reasons(Verdict::kInconclusive, "Inconclusive");
    reasons(Verdict::kSkipped, "Skipped");
    results();
    add("</main>\n</body>\n</html>\n");
    return std::move(out_);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  static std::string anchor(std::size_t index) { return fmt::format("finding-{}", index); }

  void head(Verdict verdict) {
    const Tally counts = tally(run_.results);
    add("<h1>hobbs {}: <span class=\"{}\">{}</span></h1>\n", html_escaped(run_.command),
        to_string(verdict), word_of(verdict));
    add("<p>{} passed, {} failed, {} inconclusive, {} skipped in {}</p>\n", counts.pass,
        counts.fail, counts.inconclusive, counts.skipped, duration_words(run_.duration_ms));
    if (!run_.note.empty()) add("<p>{}</p>\n", html_escaped(run_.note));
    add("<p class=\"faint\">version {}, seed {}", html_escaped(run_.version), run_.seed);
    if (!run_.started.empty()) add(", {}", html_escaped(run_.started));
    for (const auto& [key, value] : run_.machine) {
      add(", {} {}", html_escaped(key), html_escaped(value));
    }
    add("</p>\n");
  }

  void overview() {
    const VerdictTable table = verdict_table(run_);
    if (table.rows.empty()) return;
    add("<h2>Locks</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">lock</th>");
    for (const std::string& driver : table.drivers) {
      add("<th scope=\"col\">{}</th>", html_escaped(driver));
    }
    add("</tr></thead>\n<tbody>\n");
    for (const auto& row : table.rows) {
      add("<tr><th scope=\"row\">{}</th>", html_escaped(row.lock));
      for (std::size_t i = 0; i < table.drivers.size(); ++i) {
        cell(i < row.cells.size() ? row.cells[i] : std::vector<const Result*>{});
      }
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
  }

  void cell(const std::vector<const Result*>& results) {
    if (results.empty()) {
      add("<td></td>");
      return;
    }
    const Verdict verdict = worst(results);
    const auto failed = std::find_if(results.begin(), results.end(), [](const Result* result) {
      return result->verdict == Verdict::kFail;
    });
    if (failed == results.end()) {
      add("<td class=\"{}\">{}</td>", to_string(verdict), word_of(verdict));
      return;
    }
    add("<td><a class=\"fail\" href=\"#{}\">FAIL {}</a></td>",
        anchor(static_cast<std::size_t>(*failed - run_.results.data())),
        html_escaped((*failed)->rule));
  }

  void findings() {
    for (std::size_t i = 0; i < run_.results.size(); ++i) {
      if (run_.results[i].verdict == Verdict::kFail) finding(run_.results[i], anchor(i));
    }
  }

  void fact(std::string_view name, std::string_view value) {
    if (!value.empty()) add("<dt>{}</dt><dd>{}</dd>\n", name, html_escaped(value));
  }

  void finding(const Result& result, const std::string& id) {
    add("<section id=\"{}\">\n<h2><span class=\"fail\">FAIL</span> {} breaks {}</h2>\n", id,
        html_escaped(result.lock), html_escaped(result.rule));
    if (!result.finding) {
      add("<p>{}</p>\n</section>\n", html_escaped(result.reason));
      return;
    }
    const Finding& finding = *result.finding;
    add("<p><strong>{}</strong></p>\n<dl>\n", html_escaped(finding.summary));
    fact("rule", rule_sentence(result.rule));
    fact("driver", result.driver);
    fact("scenario", result.scenario);
    fact("topology", result.topology);
    fact("fails", failure_rate_words(finding));
    add("</dl>\n");
    if (!finding.program.empty()) {
      add("<h3>Program</h3>\n<pre>{}</pre>\n", html_escaped(finding.program));
    }
    history(finding);
    if (!finding.evidence.empty()) {
      add("<h3>Evidence</h3>\n<ul>\n");
      for (const std::string& text : finding.evidence) add("<li>{}</li>\n", html_escaped(text));
      add("</ul>\n");
    }
    if (!finding.schedule.empty()) {
      add("<h3>Schedule</h3>\n<pre>{}</pre>\n", html_escaped(finding.schedule));
    }
    if (!finding.replay.empty()) {
      add("<h3>Replay</h3>\n<pre class=\"replay\">{}</pre>\n", html_escaped(finding.replay));
    }
    add("</section>\n");
  }

  void history(const Finding& finding) {
    if (finding.history.empty()) return;
    const Excerpt excerpt = around_evidence(finding.history, kMomentsMax);
    add("<h3>What happened</h3>\n");
    out_ += draw_timeline(excerpt.moments);
    const std::vector<std::uint32_t> lanes = lanes_of(excerpt.moments);
    add("<div class=\"scroll\"><table class=\"lanes\">\n<thead><tr><th scope=\"col\">#</th>");
    for (const std::uint32_t lane : lanes) add("<th scope=\"col\">{}</th>", lane_name(lane));
    add("</tr></thead>\n<tbody>\n");
    std::size_t number = 0;
    for (const Moment& moment : excerpt.moments) {
      add("<tr{}><td class=\"number\">{}</td>", moment.evidence ? " class=\"evidence\"" : "",
          ++number);
      for (const std::uint32_t lane : lanes) {
        add("<td>{}</td>", lane == moment.worker ? moment_html(moment) : "");
      }
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
    if (excerpt.left_out != 0) {
      add("<p class=\"faint\">{} far from the evidence not shown</p>\n",
          counted(excerpt.left_out, "moment"));
    }
  }

  static std::string moment_html(const Moment& moment) {
    std::string text = html_escaped(moment.text);
    if (moment.evidence) text = "<strong>" + text + "</strong>";
    if (!moment.where.empty()) {
      text += fmt::format(" <span class=\"faint\">{}</span>", html_escaped(moment.where));
    }
    return text;
  }

  void reasons(Verdict verdict, std::string_view title) {
    const std::vector<ReasonGroup> groups = group_reasons(run_, verdict);
    if (groups.empty()) return;
    add("<h2>{}</h2>\n<ul>\n", title);
    for (const ReasonGroup& group : groups) {
      add("<li>{}: {}</li>\n", html_escaped(fmt::format("{}", fmt::join(group.subjects, ", "))),
          html_escaped(group.reason));
    }
    add("</ul>\n");
  }

  void results() {
    add("<h2>Every result</h2>\n<details>\n<summary>{}</summary>\n<div class=\"scroll\"><table>\n"
        "<thead><tr><th>verdict</th><th>lock</th><th>driver</th><th>scenario</th><th>topology</th>"
        "<th>rule</th><th>executions</th><th>time</th><th>remark</th></tr></thead>\n<tbody>\n",
        counted(run_.results.size(), "result"));
    for (const Result& r : run_.results) {
      add("<tr><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
          "<td>{}{}</td><td>{}</td><td>{}</td></tr>\n",
          to_string(r.verdict), word_of(r.verdict), html_escaped(r.lock), html_escaped(r.driver),
          html_escaped(r.scenario), html_escaped(r.topology), html_escaped(r.rule), r.executions,
          r.complete ? ", all" : "", duration_words(r.duration_ms), html_escaped(r.reason));
    }
    add("</tbody></table></div>\n</details>\n");
  }

  const Run& run_;
  std::string out_;
};

}  // namespace

std::string render_html(const Run& run, const RenderOptions&) { return Page(run).render(); }

}  // namespace hobbs
