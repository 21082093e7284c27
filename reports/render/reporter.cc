#include "reports/render/reporter.h"

#include "reports/json.h"

namespace hobbs {

std::string render_json(const Run& run, const RenderOptions&) { return to_json(run); }

const std::vector<Reporter>& reporters() {
  static const std::vector<Reporter> all = {
      {"text", "for a person at a terminal", render_text},
      {"json", "everything, one object (schema 1)", render_json},
      {"junit", "JUnit XML for CI", render_junit},
      {"html", "one page for a browser, offline", render_html},
      {"markdown", "a summary for a CI page", render_markdown},
      {"sarif", "SARIF 2.1.0 for code scanning", render_sarif},
  };
  return all;
}

const Reporter* find_reporter(std::string_view name) {
  for (const Reporter& reporter : reporters()) {
    if (reporter.name == name) return &reporter;
  }
  return nullptr;
}

}  // namespace hobbs
