// JUnit XML as its readers really read it: the identity of a test is classname + name, the whole
// explanation stands in the element's text, and characters that XML 1.0 forbids are left out.
#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>

#include "reports/render/lanes.h"
#include "reports/render/reporter.h"
#include "reports/render/words.h"

namespace hobbs {
namespace {

constexpr std::size_t kMomentsMax = 400;

/// Only what XML 1.0 allows: no control characters but tab and the line ends, valid UTF-8.
std::string xml_text(std::string_view text) {
  std::string clean;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    bool valid = length != 0 && i + length <= text.size() && c <= 0xf4;
    for (std::size_t k = 1; valid && k < length; ++k) {
      valid = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    }
    if (!valid) {
      clean += '?';
      ++i;
      continue;
    }
    if (length > 1 || c >= 0x20 || c == '\t' || c == '\n') clean.append(text.substr(i, length));
    i += length;
  }
  return clean;
}

void set(pugi::xml_node node, const char* name, std::string_view value) {
  node.append_attribute(name) = xml_text(value).c_str();
}

std::string explanation(const Result& result) {
  if (!result.finding) return result.reason;
  const Finding& finding = *result.finding;
  std::string text = finding.summary + "\n";
  if (const std::string rule = rule_sentence(result.rule); !rule.empty()) {
    text += fmt::format("rule: {}\n", rule);
  }
  text += fmt::format("program: {}\n\n", finding.program);
  const Excerpt excerpt = around_evidence(finding.history, kMomentsMax);
  for (const std::string& line : draw_lanes(excerpt.moments, 100)) text += line + "\n";
  for (const std::string& fact : finding.evidence) text += fmt::format("evidence: {}\n", fact);
  if (!finding.schedule.empty()) text += fmt::format("schedule: {}\n", finding.schedule);
  text += fmt::format("fails: {}\nreplay: {}\n", failure_rate_words(finding), finding.replay);
  return text;
}

void add_verdict(pugi::xml_node testcase, const Result& result) {
  const std::string text = xml_text(explanation(result));
  switch (result.verdict) {
    case Verdict::kPass: return;
    case Verdict::kFail: {
      pugi::xml_node node = testcase.append_child("failure");
      set(node, "type", result.rule);
      set(node, "message", result.finding ? result.finding->summary : result.reason);
      node.text() = text.c_str();
      return;
    }
    case Verdict::kInconclusive: {
      pugi::xml_node node = testcase.append_child("error");
      set(node, "type", "inconclusive");
      set(node, "message", result.reason);
      node.text() = text.c_str();
      return;
    }
    case Verdict::kSkipped: set(testcase.append_child("skipped"), "message", result.reason); return;
  }
}

void add_property(pugi::xml_node properties, std::string_view name, std::string_view value) {
  pugi::xml_node property = properties.append_child("property");
  set(property, "name", name);
  set(property, "value", value);
}

std::string seconds(std::int64_t ms) {
  return fmt::format("{:.3f}", static_cast<double>(ms) / 1e3);
}

}  // namespace

std::string render_junit(const Run& run, const RenderOptions&) {
  const Tally counts = tally(run.results);
  pugi::xml_document document;
  pugi::xml_node declaration = document.append_child(pugi::node_declaration);
  declaration.append_attribute("version") = "1.0";
  declaration.append_attribute("encoding") = "UTF-8";
  pugi::xml_node suite = document.append_child("testsuites").append_child("testsuite");
  set(suite, "name", run.tool + "." + run.command);
  set(suite, "tests", std::to_string(run.results.size()));
  set(suite, "failures", std::to_string(counts.fail));
  set(suite, "errors", std::to_string(counts.inconclusive));
  set(suite, "skipped", std::to_string(counts.skipped));
  set(suite, "time", seconds(run.duration_ms));
  if (!run.started.empty()) set(suite, "timestamp", run.started);
  pugi::xml_node properties = suite.append_child("properties");
  add_property(properties, "seed", std::to_string(run.seed));
  add_property(properties, "version", run.version);
  for (const auto& [key, value] : run.machine) add_property(properties, key, value);
  for (const Result& result : run.results) {
    pugi::xml_node testcase = suite.append_child("testcase");
    set(testcase, "classname", "hobbs." + result.scenario);
    set(testcase, "name",
        fmt::format("{}/{} {}{}{}", result.lock, result.driver, result.rule,
                    result.topology.empty() ? "" : " ", result.topology));
    set(testcase, "time", seconds(result.duration_ms));
    add_verdict(testcase, result);
  }
  std::ostringstream out;
  document.save(out, "  ");
  return out.str();
}

}  // namespace hobbs
