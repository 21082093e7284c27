// What a run found out: the vocabulary that drivers, the campaign and all reporters share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs {

enum class Verdict : std::uint8_t { kPass, kFail, kInconclusive, kSkipped };
std::string_view to_string(Verdict verdict);

/// One line of a finding's story: what one worker (a lane) did at one point.
struct Moment {
  std::uint32_t worker = 0;     // Lane: platform id; 0 is the environment (nemesis, clock).
  std::string text;             // "exchange state 0 -> 1", "lock ... acquired".
  std::string where;            // "ticket.h:41", or empty.
  std::int64_t from_ns = -1;    // Real or virtual time; -1: only the order is known.
  std::int64_t to_ns = -1;
  bool evidence = false;        // Part of what breaks the rule: reporters mark it.
};

/// A broken rule with its evidence.
struct Finding {
  std::string summary;              // The violation in one sentence, naming the workers.
  std::string program;              // to_text(Program), shrunk.
  std::string schedule;             // Readable text; empty where the driver controls nothing.
  std::vector<Moment> history;      // In order; lanes by worker.
  std::vector<std::string> evidence;  // Facts: word values, states of workers, margins.
  std::uint64_t failed = 0;         // How often the shrunk case failed ...
  std::uint64_t of = 0;             // ... of how many repetitions.
  std::string replay_json;          // The replay file's content (ReplayCase as JSON).
  std::string replay;               // The line that replays it; filled in by the campaign.
};

/// The verdict on one rule (or one group of rules) by one scenario on one driver.
struct Result {
  std::string lock;
  std::string scenario;
  std::string driver;      // conform, free, explore, step.
  std::string topology;    // fork, spawn, threads, mixed, fibres, ...
  std::string rule;        // ME-1, LV-1, ...; several as "ME-1,ME-2" in a pass.
  Verdict verdict = Verdict::kPass;
  std::string reason;      // Why inconclusive or skipped; how contended a pass was.
  std::uint64_t executions = 0;
  bool complete = false;   // Every execution of the scenario's programs was covered.
  std::int64_t duration_ms = 0;
  std::optional<Finding> finding;
};

/// What a whole run says: fail before inconclusive before pass; kSkipped when nothing ran.
Verdict overall(const std::vector<Result>& results);

}  // namespace hobbs
