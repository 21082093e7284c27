#include "reports/json.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reports/json_words.h"

namespace hobbs {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kVerdicts{Verdict::kPass, Verdict::kFail, Verdict::kInconclusive,
                               Verdict::kSkipped};

Verdict read_verdict(const std::string& text) {
  for (const Verdict verdict : kVerdicts) {
    if (text == to_string(verdict)) return verdict;
  }
  throw std::invalid_argument("there is no verdict '" + text + "'");
}

Json moment_json(const Moment& moment) {
  return Json{{"worker", moment.worker},   {"text", moment.text},   {"where", moment.where},
              {"from_ns", moment.from_ns}, {"to_ns", moment.to_ns}, {"evidence", moment.evidence}};
}

Moment read_moment(const Json& json) {
  Moment moment;
  json.at("worker").get_to(moment.worker);
  json.at("text").get_to(moment.text);
  json.at("where").get_to(moment.where);
  json.at("from_ns").get_to(moment.from_ns);
  json.at("to_ns").get_to(moment.to_ns);
  json.at("evidence").get_to(moment.evidence);
  return moment;
}

Json finding_json(const Finding& finding) {
  Json history = Json::array();
  for (const Moment& moment : finding.history) history.push_back(moment_json(moment));
  return Json{{"summary", finding.summary},
              {"program", finding.program},
              {"schedule", finding.schedule},
              {"history", std::move(history)},
              {"evidence", finding.evidence},
              {"failure_rate", {{"failed", finding.failed}, {"of", finding.of}}},
              {"replay", finding.replay},
              {"replay_file", finding.replay_json}};
}

Finding read_finding(const Json& json) {
  Finding finding;
  json.at("summary").get_to(finding.summary);
  json.at("program").get_to(finding.program);
  json.at("schedule").get_to(finding.schedule);
  for (const Json& moment : json.at("history")) finding.history.push_back(read_moment(moment));
  json.at("evidence").get_to(finding.evidence);
  json.at("failure_rate").at("failed").get_to(finding.failed);
  json.at("failure_rate").at("of").get_to(finding.of);
  json.at("replay").get_to(finding.replay);
  json.at("replay_file").get_to(finding.replay_json);
  return finding;
}

Json result_json(const Result& result) {
  Json json{{"lock", result.lock},         {"scenario", result.scenario},
            {"driver", result.driver},     {"topology", result.topology},
            {"rule", result.rule},         {"verdict", to_string(result.verdict)},
            {"reason", result.reason},     {"executions", result.executions},
            {"complete", result.complete}, {"duration_ms", result.duration_ms}};
  if (result.finding) json["finding"] = finding_json(*result.finding);
  return json;
}

Result read_result(const Json& json) {
  Result result;
  json.at("lock").get_to(result.lock);
  json.at("scenario").get_to(result.scenario);
  json.at("driver").get_to(result.driver);
  json.at("topology").get_to(result.topology);
  json.at("rule").get_to(result.rule);
  result.verdict = read_verdict(json.at("verdict").get<std::string>());
  json.at("reason").get_to(result.reason);
  json.at("executions").get_to(result.executions);
  json.at("complete").get_to(result.complete);
  json.at("duration_ms").get_to(result.duration_ms);
  if (json.contains("finding")) result.finding = read_finding(json.at("finding"));
  return result;
}

Json results_json(const std::vector<Result>& results) {
  Json json = Json::array();
  for (const Result& result : results) json.push_back(result_json(result));
  return json;
}

Run read_run(const Json& json) {
  if (!json.is_object() || !json.contains("schema")) {
    throw std::invalid_argument("it has no \"schema\"");
  }
  if (json.at("schema") != kSchema) {
    throw std::invalid_argument("its schema is " + json.at("schema").dump() +
                                ", and this version reads " + std::to_string(kSchema));
  }
  Run run;
  json.at("tool").at("name").get_to(run.tool);
  json.at("tool").at("version").get_to(run.version);
  run.command = json.value("command", "");
  run.started = json.value("started", "");
  for (const auto& [key, value] : json.at("machine").items()) {
    run.machine.emplace_back(key, value.get<std::string>());
  }
  json.at("seed").get_to(run.seed);
  run.duration_ms = json.value("duration_ms", std::int64_t{0});
  run.note = json.value("note", "");
  for (const Json& result : json.at("results")) run.results.push_back(read_result(result));
  return run;
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string to_json(const Run& run) {
  Json machine = Json::object();
  for (const auto& [key, value] : run.machine) machine[key] = value;
  return dump(Json{{"schema", kSchema},
                   {"tool", {{"name", run.tool}, {"version", run.version}}},
                   {"command", run.command},
                   {"started", run.started},
                   {"machine", std::move(machine)},
                   {"seed", run.seed},
                   {"duration_ms", run.duration_ms},
                   {"note", run.note},
                   {"results", results_json(run.results)}},
              2) +
         "\n";
}

RunParse parse_run(std::string_view text) {
  RunParse result;
  try {
    result.run = read_run(Json::parse(text));
  } catch (const Json::exception& error) {
    result.error = "not a hobbs result file: " + plain_words(error);
  } catch (const std::exception& error) {
    result.error = std::string("not a hobbs result file: ") + error.what();
  }
  return result;
}

std::string to_json(const std::vector<Result>& results) { return dump(results_json(results), -1); }

ResultsParse parse_results(std::string_view text) {
  ResultsParse parsed;
  try {
    for (const Json& result : Json::parse(text)) parsed.results.push_back(read_result(result));
  } catch (const std::exception& error) {
    parsed.error = std::string("not a list of results: ") + error.what();
  }
  return parsed;
}

}  // namespace hobbs
