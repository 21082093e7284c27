#include "reports/replay_case.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "reports/json_words.h"

namespace hobbs {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kReleasers{"anyone", "process", "thread"};
constexpr std::array kCrashes{"stuck", "released-by-system", "owner-died", "takeover"};
constexpr std::array kFairness{
    "none", "bounded-bypass", "fifo", "reader-preference", "writer-preference", "phase-fair"};
constexpr std::array kForks{"shared", "private-copy"};
constexpr std::array kDeadlocks{"unnoticed", "own", "ring"};

template <class Enum, std::size_t n>
Enum read_enum(const Json& json, const char* key, const std::array<const char*, n>& names) {
  const std::string text = json.at(key).get<std::string>();
  for (std::size_t i = 0; i < n; ++i) {
    if (text == names[i]) return static_cast<Enum>(i);
  }
  throw std::invalid_argument("claims." + std::string(key) + " has no value '" + text + "'");
}

Json claims_json(const Claims& c) {
  return Json{{"process_shared", c.process_shared},
              {"thread_shared", c.thread_shared},
              {"releaser", kReleasers.at(static_cast<std::size_t>(c.releaser))},
              {"reentrant", c.reentrant},
              {"crash", kCrashes.at(static_cast<std::size_t>(c.crash))},
              {"fairness", kFairness.at(static_cast<std::size_t>(c.fairness))},
              {"bypass_bound", c.bypass_bound},
              {"spurious_try_failure", c.spurious_try_failure},
              {"fork", kForks.at(static_cast<std::size_t>(c.fork))},
              {"semaphore", c.semaphore},
              {"permits", c.permits},
              {"bounded_release", c.bounded_release},
              {"counts_above_permits", c.counts_above_permits},
              {"max_workers", c.max_workers},
              {"checks_misuse", c.checks_misuse},
              {"pristine_when_free", c.pristine_when_free},
              {"position_independent", c.position_independent},
              {"max_depth", c.max_depth},
              {"destroyable", c.destroyable},
              {"exec_is_death", c.exec_is_death},
              {"reports_errors", c.reports_errors},
              {"content_ignored", c.content_ignored},
              {"path_replaceable", c.path_replaceable},
              {"across_namespaces", c.across_namespaces},
              {"zero_is_free", c.zero_is_free},
              {"waits_asleep", c.waits_asleep},
              {"closing_frees", c.closing_frees},
              {"finds_deadlock", kDeadlocks.at(static_cast<std::size_t>(c.finds_deadlock))}};
}

Claims read_claims(const Json& json) {
  Claims c;
  json.at("process_shared").get_to(c.process_shared);
  json.at("thread_shared").get_to(c.thread_shared);
  c.releaser = read_enum<Releaser>(json, "releaser", kReleasers);
  json.at("reentrant").get_to(c.reentrant);
  c.crash = read_enum<CrashBehaviour>(json, "crash", kCrashes);
  c.fairness = read_enum<Fairness>(json, "fairness", kFairness);
  json.at("bypass_bound").get_to(c.bypass_bound);
  json.at("spurious_try_failure").get_to(c.spurious_try_failure);
  c.fork = read_enum<ForkBehaviour>(json, "fork", kForks);
  json.at("semaphore").get_to(c.semaphore);
  json.at("permits").get_to(c.permits);
  json.at("bounded_release").get_to(c.bounded_release);
  json.at("counts_above_permits").get_to(c.counts_above_permits);
  json.at("max_workers").get_to(c.max_workers);
  json.at("checks_misuse").get_to(c.checks_misuse);
  json.at("pristine_when_free").get_to(c.pristine_when_free);
  json.at("position_independent").get_to(c.position_independent);
  json.at("max_depth").get_to(c.max_depth);
  c.destroyable = json.value("destroyable", true);
  c.exec_is_death = json.value("exec_is_death", false);
  c.reports_errors = json.value("reports_errors", false);
  c.content_ignored = json.value("content_ignored", false);
  c.path_replaceable = json.value("path_replaceable", false);
  c.across_namespaces = json.value("across_namespaces", false);
  c.zero_is_free = json.value("zero_is_free", false);
  c.waits_asleep = json.value("waits_asleep", false);
  if (json.contains("finds_deadlock")) {
    c.finds_deadlock = read_enum<Deadlock>(json, "finds_deadlock", kDeadlocks);
  }
  c.closing_frees = json.value("closing_frees", false);
  return c;
}

void read_member(const std::string& key, const Json& value, ReplayCase& replay) {
  if (key == "lock") {
    value.get_to(replay.lock);
  } else if (key == "claims") {
    replay.claims = read_claims(value);
  } else if (key == "driver") {
    value.get_to(replay.driver);
  } else if (key == "scenario") {
    value.get_to(replay.scenario);
  } else if (key == "rule") {
    value.get_to(replay.rule);
  } else if (key == "program") {
    ParseResult parsed = parse_program(value.get<std::string>());
    if (!parsed.error.empty()) throw std::invalid_argument(parsed.error);
    replay.program = std::move(parsed.program);
  } else if (key == "topology") {
    value.get_to(replay.topology);
  } else if (key == "schedule") {
    value.get_to(replay.schedule);
  } else if (key == "seed") {
    value.get_to(replay.seed);
  } else if (key == "version") {
    value.get_to(replay.version);
  } else if (key == "options") {
    value.get_to(replay.options);
  } else {
    throw std::invalid_argument("unknown key '" + key + "'");
  }
}

ReplayCase read_case(const Json& json) {
  ReplayCase replay;
  for (const auto& [key, value] : json.items()) {
    try {
      read_member(key, value, replay);
    } catch (const Json::exception& error) {
      throw std::invalid_argument("the value of \"" + key + "\": " + plain_words(error));
    }
  }
  return replay;
}

}  // namespace

std::string to_json(const ReplayCase& replay) {
  return Json{{"lock", replay.lock},
              {"driver", replay.driver},
              {"scenario", replay.scenario},
              {"rule", replay.rule},
              {"topology", replay.topology},
              {"program", to_text(replay.program)},
              {"schedule", replay.schedule},
              {"seed", replay.seed},
              {"options", replay.options},
              {"version", replay.version},
              {"claims", claims_json(replay.claims)}}
      .dump(2);
}

ReplayParse parse_replay(std::string_view text) {
  ReplayParse result;
  try {
    const Json json = Json::parse(text);
    for (const char* key : {"lock", "driver", "program"}) {
      if (!json.is_object() || !json.contains(key)) {
        result.error = std::string("not a replay file: it has no \"") + key + "\"";
        return result;
      }
    }
    result.replay = read_case(json);
  } catch (const Json::exception& error) {
    result.error = "not a replay file: " + plain_words(error);
  } catch (const std::exception& error) {
    result.error = std::string("not a replay file: ") + error.what();
  }
  return result;
}

}  // namespace hobbs
