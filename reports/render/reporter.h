// The seam of the reporters: a run in, a text out, nothing else touched.
//
// Adding a format is one file here and one line in reporter.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/run.h"

namespace hobbs {

struct RenderOptions {
  bool colour = false;   // ANSI colours; only the text format has any.
  bool verbose = false;  // Every result, not only what needs attention; text format.
};

/// One format that `--format` offers.
struct Reporter {
  std::string_view name;
  std::string_view about;  // One sentence for the help.
  std::string (*render)(const Run& run, const RenderOptions& options);
};

/// All formats, in the order in which the help lists them.
const std::vector<Reporter>& reporters();

/// The reporter of that name, or null.
const Reporter* find_reporter(std::string_view name);

std::string render_text(const Run& run, const RenderOptions& options);
std::string render_json(const Run& run, const RenderOptions& options);
std::string render_junit(const Run& run, const RenderOptions& options);
std::string render_markdown(const Run& run, const RenderOptions& options);
std::string render_sarif(const Run& run, const RenderOptions& options);
std::string render_html(const Run& run, const RenderOptions& options);

}  // namespace hobbs
