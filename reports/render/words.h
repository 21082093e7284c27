// Words and small layout that several formats share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reports/run.h"

namespace hobbs {

/// What a rule demands in one sentence without a full stop; empty for several rules or none.
std::string rule_sentence(std::string_view rule);

/// "300 ms", "4.2 s", "3 min 5 s".
std::string duration_words(std::int64_t duration_ms);

/// "1 result", "3 results".
std::string counted(std::size_t n, std::string_view singular);

/// "20 of 20", "7 of 20", or "once" where it was not repeated.
std::string failure_rate_words(const Finding& finding);

/// The worst verdict of one lock on each driver: the verdict table.
struct VerdictTable {
  std::vector<std::string> drivers;  // Columns, in order of first appearance.
  struct Row {
    std::string lock;
    std::vector<std::vector<const Result*>> cells;  // By driver: its results.
  };
  std::vector<Row> rows;  // In order of first appearance.
};
VerdictTable verdict_table(const Run& run);

/// The verdict of one cell: fail before inconclusive before pass before skipped.
Verdict worst(const std::vector<const Result*>& results);

/// Reasons with the locks they concern, so that forty locks skipped for one reason are one line.
struct ReasonGroup {
  std::string reason;
  std::vector<std::string> subjects;  // "ticket (free)", in order.
};
std::vector<ReasonGroup> group_reasons(const Run& run, Verdict verdict);

/// The workers of a history in order of their numbers; 0, the environment, comes last.
std::vector<std::uint32_t> lanes_of(const std::vector<Moment>& history);
std::string lane_name(std::uint32_t worker);

/// Only what a format can show: at most `limit` moments around the evidence, in order.
struct Excerpt {
  std::vector<Moment> moments;
  std::size_t left_out = 0;
};
Excerpt around_evidence(const std::vector<Moment>& history, std::size_t limit);

}  // namespace hobbs
