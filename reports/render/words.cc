#include "reports/render/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "scenarios/rules/catalog.h"

namespace hobbs {
namespace {

template <class Container, class Value>
std::size_t index_or_add(Container& container, const Value& value) {
  const auto it = std::find(container.begin(), container.end(), value);
  if (it != container.end()) return static_cast<std::size_t>(it - container.begin());
  container.push_back(value);
  return container.size() - 1;
}

}  // namespace

std::string rule_sentence(std::string_view rule) {
  const Rule* known = find_rule(rule);
  return known == nullptr ? std::string() : std::string(known->sentence);
}

std::string duration_words(std::int64_t duration_ms) {
  if (duration_ms < 1000) return fmt::format("{} ms", duration_ms);
  if (duration_ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(duration_ms) / 1e3);
  return fmt::format("{} min {} s", duration_ms / 60'000, duration_ms / 1000 % 60);
}

std::string counted(std::size_t n, std::string_view singular) {
  return fmt::format("{} {}{}", n, singular, n == 1 ? "" : "s");
}

std::string failure_rate_words(const Finding& finding) {
  if (finding.of == 0) return "seen once, not repeated";
  return fmt::format("{} of {}", finding.failed, finding.of);
}

VerdictTable verdict_table(const Run& run) {
  VerdictTable table;
  for (const Result& result : run.results) index_or_add(table.drivers, result.driver);
  std::map<std::string, std::size_t> row_of;
  for (const Result& result : run.results) {
    const auto [it, added] = row_of.try_emplace(result.lock, table.rows.size());
    if (added) table.rows.push_back({result.lock, {}});
    auto& cells = table.rows[it->second].cells;
    cells.resize(table.drivers.size());
    cells[index_or_add(table.drivers, result.driver)].push_back(&result);
  }
  return table;
}

Verdict worst(const std::vector<const Result*>& results) {
  for (const Verdict verdict : {Verdict::kFail, Verdict::kInconclusive, Verdict::kPass}) {
    for (const Result* result : results) {
      if (result->verdict == verdict) return verdict;
    }
  }
  return Verdict::kSkipped;
}

std::vector<ReasonGroup> group_reasons(const Run& run, Verdict verdict) {
  std::vector<ReasonGroup> groups;
  std::map<std::string, std::size_t> index;
  for (const Result& result : run.results) {
    if (result.verdict != verdict) continue;
    const auto [it, added] = index.try_emplace(result.reason, groups.size());
    if (added) groups.push_back({result.reason, {}});
    std::string subject = fmt::format("{} ({})", result.lock, result.driver);
    index_or_add(groups[it->second].subjects, subject);
  }
  return groups;
}

std::vector<std::uint32_t> lanes_of(const std::vector<Moment>& history) {
  std::set<std::uint32_t> workers;
  for (const Moment& moment : history) workers.insert(moment.worker);
  std::vector<std::uint32_t> lanes(workers.begin(), workers.end());
  if (!lanes.empty() && lanes.front() == 0)
    std::rotate(lanes.begin(), lanes.begin() + 1, lanes.end());
  return lanes;
}

std::string lane_name(std::uint32_t worker) {
  return worker == 0 ? "environment" : fmt::format("worker {}", worker);
}

Excerpt around_evidence(const std::vector<Moment>& history, std::size_t limit) {
  if (history.size() <= limit) return {history, 0};
  // The end of a history is where the rule broke, unless the evidence says otherwise.
  std::size_t last = history.size();
  for (std::size_t i = history.size(); i > 0; --i) {
    if (history[i - 1].evidence) {
      last = std::min(history.size(), i + limit / 8);
      break;
    }
  }
  const std::size_t first = last > limit ? last - limit : 0;
  last = std::min(history.size(), first + limit);
  return {{history.begin() + static_cast<std::ptrdiff_t>(first),
           history.begin() + static_cast<std::ptrdiff_t>(last)},
          history.size() - limit};
}

}  // namespace hobbs
