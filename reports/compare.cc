#include "reports/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "reports/bench_table.h"

namespace hobbs {
namespace {

constexpr double kConfidence = 0.99;

/// +1 slower, -1 faster, 0 neither: what one session says.
int sign_of(const std::vector<double>& changes, const Gate& gate, double p) {
  const double middle = median(changes);
  if (changes.empty() || p >= gate.level) return 0;
  return middle > gate.threshold ? 1 : middle < -gate.threshold ? -1 : 0;
}

/// The fewest pairs with which the test can be significant at all: all of one sign, 2 / 2^n.
std::size_t pairs_needed(double level) {
  return static_cast<std::size_t>(std::floor(std::log2(2 / level))) + 1;
}

/// A lone worker waits for nobody: what it loses to other programs is not the lock's, so its time
/// on a core counts. Where workers meet, the time that passes counts.
double time_of(const BenchCase& one, const BenchSample& sample) {
  const bool alone = one.workload.find("/processes:1/threads:1/") != std::string::npos;
  return alone && sample.cpu_ns > 0 ? sample.cpu_ns : sample.ns;
}

double time_of(const BenchCase& one) {
  std::vector<double> times;
  for (const BenchSample& sample : one.samples) times.push_back(time_of(one, sample));
  return median(std::move(times));
}

/// What each round says beside the other side's round: second over first, minus 1.
std::vector<double> changes_of(const BenchCase& first, const BenchCase& second) {
  std::vector<double> changes;
  for (std::size_t i = 0; i < std::min(first.samples.size(), second.samples.size()); ++i) {
    changes.push_back(time_of(second, second.samples[i]) / time_of(first, first.samples[i]) - 1);
  }
  return changes;
}

/// Both say that the lock is not for this.
bool refused(const BenchCase& first, const BenchCase& second) {
  return first.state == BenchState::kRefused && second.state == BenchState::kRefused;
}

/// Why there is nothing to compare; empty: there is.
std::string gap_in(const BenchCase& first, const BenchCase& second) {
  if (!first.samples.empty() && !second.samples.empty()) return "";
  const BenchCase& missing = first.samples.empty() ? first : second;
  return missing.reason.empty() ? "no repetition" : missing.reason;
}

std::string why_inconclusive(const Judgement& judgement, std::size_t fewest, int first_sign,
                             bool agree, const Gate& gate) {
  if (judgement.pairs == 0) return "";
  if (fewest < pairs_needed(gate.level)) {
    return fmt::format("{} pairs in a session are too few: {} are needed", fewest,
                       pairs_needed(gate.level));
  }
  if (!agree && first_sign != 0) return "the sessions do not agree";
  if (judgement.p.size() < 2) return "one session is not enough";
  return fmt::format("only a change of {:.0f} % would have been seen", 100 * judgement.detectable);
}

}  // namespace

std::string_view to_string(Change change) {
  switch (change) {
    case Change::kNone: return "no change";
    case Change::kSlower: return "slower";
    case Change::kFaster: return "faster";
    case Change::kInconclusive: return "inconclusive";
  }
  return "?";
}

Judgement judge(const std::vector<std::vector<double>>& sessions, const Gate& gate) {
  Judgement result;
  std::vector<double> all;
  std::vector<int> signs;
  std::size_t fewest = sessions.empty() ? 0 : SIZE_MAX;
  for (const std::vector<double>& changes : sessions) {
    // The test is about symmetric differences, which relative changes are only as logarithms.
    std::vector<double> logs;
    for (const double change : changes) logs.push_back(std::log1p(change));
    result.p.push_back(wilcoxon_signed_rank(logs).p);
    signs.push_back(sign_of(changes, gate, result.p.back()));
    all.insert(all.end(), changes.begin(), changes.end());
    fewest = std::min(fewest, changes.size());
  }
  result.pairs = all.size();
  result.median = median(all);
  result.interval = median_interval(all, kConfidence);
  result.detectable = gate.threshold + std::max(result.interval.high - result.median,
                                                result.median - result.interval.low);
  const int sign = signs.empty() ? 0 : signs.front();
  const bool agree =
      std::all_of(signs.begin(), signs.end(), [sign](int other) { return other == sign; });
  if (agree && sign != 0 && signs.size() >= 2) {
    result.change = sign > 0 ? Change::kSlower : Change::kFaster;
  } else if (fewest >= pairs_needed(gate.level) && result.interval.low > -gate.threshold &&
             result.interval.high < gate.threshold) {
    result.change = Change::kNone;
  } else {
    result.reason = why_inconclusive(result, fewest, sign, agree, gate);
  }
  return result;
}

namespace {

/// `gap`: why some or all of it was not measured.
Judgement judge_all(const std::vector<std::vector<double>>& sessions, const std::string& gap,
                    const Gate& gate) {
  Judgement judgement = judge(sessions, gate);
  if (judgement.change == Change::kInconclusive && !gap.empty()) {
    judgement.reason += (judgement.pairs == 0 ? "not measured: " : "; not always measured: ") + gap;
  }
  return judgement;
}

}  // namespace

std::vector<ComparedCase> compare_sessions(const std::vector<std::vector<RunPair>>& sessions,
                                           const Gate& gate) {
  struct Collected {
    std::vector<std::vector<double>> changes;
    std::vector<double> first;
    std::vector<double> second;
    std::string gap;
  };
  std::map<std::pair<std::string, std::string>, Collected> by_case;
  std::vector<std::pair<std::string, std::string>> order;
  for (std::size_t session = 0; session < sessions.size(); ++session) {
    for (const RunPair& pair : sessions[session]) {
      for (const BenchCase& first : pair.first.cases) {
        const BenchCase* second = find_case(pair.second, first.lock, first.workload);
        if (second == nullptr || refused(first, *second)) continue;
        const auto key = std::pair(first.lock, first.workload);
        if (by_case.count(key) == 0) order.push_back(key);
        Collected& collected = by_case[key];
        collected.changes.resize(sessions.size());
        collected.gap = gap_in(first, *second);
        if (!collected.gap.empty()) continue;
        collected.first.push_back(time_of(first));
        collected.second.push_back(time_of(*second));
        collected.changes[session].push_back(median(changes_of(first, *second)));
      }
    }
  }
  std::vector<ComparedCase> cases;
  for (const auto& key : order) {
    const Collected& collected = by_case[key];
    cases.push_back({key.first, key.second, median(collected.first), median(collected.second),
                     judge_all(collected.changes, collected.gap, gate)});
  }
  return cases;
}

std::vector<ComparedCase> compare_runs(const BenchRun& first, const BenchRun& second,
                                       const Gate& gate) {
  std::vector<ComparedCase> cases;
  for (const BenchCase& one : first.cases) {
    const BenchCase* other = find_case(second, one.lock, one.workload);
    if (other == nullptr || refused(one, *other)) continue;
    const std::vector<double> changes = changes_of(one, *other);
    const auto half = changes.begin() + static_cast<std::ptrdiff_t>((changes.size() + 1) / 2);
    const std::vector<std::vector<double>> sessions{{changes.begin(), half}, {half, changes.end()}};
    cases.push_back({one.lock, one.workload, time_of(one), time_of(*other),
                     judge_all(sessions, gap_in(one, *other), gate)});
  }
  return cases;
}

Change overall(const std::vector<ComparedCase>& cases) {
  for (const Change change : {Change::kSlower, Change::kInconclusive, Change::kFaster}) {
    for (const ComparedCase& one : cases) {
      if (one.judgement.change == change) return change;
    }
  }
  return cases.empty() ? Change::kInconclusive : Change::kNone;
}

std::string render_comparison(const std::vector<ComparedCase>& cases, const Gate& gate) {
  std::string out = fmt::format(
      "A change counts if it exceeds {:g} % and every session's signed-rank test is below {:g}.\n",
      100 * gate.threshold, gate.level);
  for (const ComparedCase& one : cases) {
    const Judgement& j = one.judgement;
    out += fmt::format("{:<12} {}/{}\n", to_string(j.change), one.lock, one.workload);
    if (j.pairs == 0) {
      out += fmt::format("             {}\n", j.reason);
      continue;
    }
    out += fmt::format("             {} -> {}, {:+.1f} %", duration_of_ns(one.first_ns),
                       duration_of_ns(one.second_ns), 100 * j.median);
    if (std::isfinite(j.interval.low)) {
      out +=
          fmt::format(" (99 %: {:+.1f} to {:+.1f} %)", 100 * j.interval.low, 100 * j.interval.high);
    }
    out += fmt::format(", {} pairs, p {:.2g}", j.pairs, fmt::join(j.p, " and "));
    if (!j.reason.empty()) out += ": " + j.reason;
    out += "\n";
  }
  return out;
}

std::string comparison_json(const std::vector<ComparedCase>& cases, const Gate& gate) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const ComparedCase& one : cases) {
    const Judgement& j = one.judgement;
    // An infinite bound becomes null.
    list.push_back(Json{{"lock", one.lock},
                        {"workload", one.workload},
                        {"verdict", to_string(j.change)},
                        {"first_ns", one.first_ns},
                        {"second_ns", one.second_ns},
                        {"change", j.median},
                        {"interval", {j.interval.low, j.interval.high}},
                        {"p", j.p},
                        {"pairs", j.pairs},
                        {"detectable", j.detectable},
                        {"reason", j.reason}});
  }
  return Json{{"schema", 1},
              {"threshold", gate.threshold},
              {"level", gate.level},
              {"verdict", to_string(overall(cases))},
              {"cases", std::move(list)}}
             .dump(2) +
         "\n";
}

}  // namespace hobbs
