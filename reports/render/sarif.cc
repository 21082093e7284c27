// SARIF 2.1.0 for code scanning. Rule ids are hobbs's own and stable; the fingerprint is made of
// what stays the same when the same defect is found again, so that alerts do not multiply.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "reports/render/lanes.h"
#include "reports/render/reporter.h"
#include "reports/render/words.h"

namespace hobbs {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMomentsMax = 200;

/// FNV-1a: the same on every machine and in every version, unlike std::hash.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

std::string fingerprint(const Result& result) {
  const std::string program = result.finding ? result.finding->program : "";
  return fmt::format("{:016x}", stable_hash(fmt::format("{}\n{}\n{}\n{}", result.lock, result.rule,
                                                        result.scenario, program)));
}

/// "ticket.h:41" of the first piece of evidence that names its source, if any does.
std::string source_of(const Result& result) {
  if (!result.finding) return {};
  std::string any;
  for (const Moment& moment : result.finding->history) {
    if (moment.where.find(':') == std::string::npos) continue;
    if (moment.evidence) return moment.where;
    any = moment.where;
  }
  return any;
}

Json location(const Result& result) {
  Json place{{"logicalLocations",
              Json::array({Json{{"fullyQualifiedName", result.lock}, {"kind", "type"}}})}};
  const std::string source = source_of(result);
  const std::size_t colon = source.rfind(':');
  if (colon != std::string::npos) {
    const int line = std::atoi(source.c_str() + colon + 1);
    Json physical{{"artifactLocation", {{"uri", source.substr(0, colon)}}}};
    if (line > 0) physical["region"] = {{"startLine", line}};
    place["physicalLocation"] = std::move(physical);
  }
  return place;
}

std::string message(const Result& result) {
  if (!result.finding) return result.reason;
  const Finding& finding = *result.finding;
  std::string text =
      fmt::format("{}: {}\nprogram: {}\n", result.lock, finding.summary, finding.program);
  const Excerpt excerpt = around_evidence(finding.history, kMomentsMax);
  for (const std::string& line : draw_lanes(excerpt.moments, 100)) text += line + "\n";
  return text + fmt::format("fails: {}\nreplay: {}", failure_rate_words(finding), finding.replay);
}

Json rules_of(const Run& run) {
  std::set<std::string> ids;
  for (const Result& result : run.results) {
    if (result.verdict == Verdict::kFail) ids.insert(result.rule);
  }
  Json rules = Json::array();
  for (const std::string& id : ids) {
    const std::string sentence = rule_sentence(id);
    Json rule{{"id", id}, {"shortDescription", {{"text", sentence.empty() ? id : sentence}}}};
    if (!sentence.empty()) rule["help"] = {{"text", sentence}, {"markdown", sentence}};
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace

std::string render_sarif(const Run& run, const RenderOptions&) {
  Json results = Json::array();
  for (const Result& result : run.results) {
    if (result.verdict != Verdict::kFail) continue;
    results.push_back(Json{{"ruleId", result.rule},
                           {"level", "error"},
                           {"message", {{"text", message(result)}}},
                           {"locations", Json::array({location(result)})},
                           {"partialFingerprints", {{"hobbs/v1", fingerprint(result)}}}});
  }
  const Json driver{{"name", run.tool}, {"version", run.version}, {"rules", rules_of(run)}};
  const Json document{
      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
      {"version", "2.1.0"},
      {"runs",
       Json::array({Json{{"tool", {{"driver", driver}}}, {"results", std::move(results)}}})}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hobbs
