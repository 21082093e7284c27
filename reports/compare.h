// Did it get slower? The judgement over paired measurements, as a pure function.
//
// Two runs of one program differ: measured here, comparing means called that a change 42 to 96
// times of 100, a Mann-Whitney test 21 to 81 times. So a change counts only if the pairs of every
// session say so both by the signed-rank test and by its size, and the sessions agree on the sign.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reports/bench_run.h"
#include "reports/statistics.h"

namespace hobbs {

struct Gate {
  double threshold = 0.05;  // The smallest relative change that matters.
  double level = 0.01;      // Of the signed-rank test of each session.
};

enum class Change : std::uint8_t { kNone, kSlower, kFaster, kInconclusive };
std::string_view to_string(Change change);

/// What pairs say of one case. Changes are relative: 0.2 is 20 % slower.
struct Judgement {
  Change change = Change::kInconclusive;
  double median = 0;      // Over all pairs.
  Interval interval;      // Of the median, 99 %.
  std::vector<double> p;  // Of each session.
  double detectable = 0;  // A change of this size would have been seen; infinite: none would.
  std::size_t pairs = 0;
  std::string reason;  // Why inconclusive.
};

/// `sessions`: of each session, the relative change of every pair (second over first, minus 1).
/// Slower or faster needs two sessions or more, all of them significant and larger than the
/// threshold. None means that the interval lies within the threshold on both sides.
Judgement judge(const std::vector<std::vector<double>>& sessions, const Gate& gate);

struct ComparedCase {
  std::string lock;
  std::string workload;
  double first_ns = 0;  // Medians; NaN: not measured.
  double second_ns = 0;
  Judgement judgement;
};

struct RunPair {
  BenchRun first;
  BenchRun second;
};

/// All cases that both sides have and do not both refuse; what was to be measured and was not is
/// inconclusive, with the reason. A session is a list of pairs of runs that took
/// turns: each repetition is compared with the other run's beside it, and the median of these
/// changes is what the pair says.
std::vector<ComparedCase> compare_sessions(const std::vector<std::vector<RunPair>>& sessions,
                                           const Gate& gate);

/// Two runs with repetitions, as if they were pairs: repetition i with repetition i, the first half
/// one session and the rest another. Weaker, since the pairs were not made close to each other.
std::vector<ComparedCase> compare_runs(const BenchRun& first, const BenchRun& second,
                                       const Gate& gate);

/// Slower beats inconclusive beats the rest; inconclusive when there is nothing.
Change overall(const std::vector<ComparedCase>& cases);

std::string render_comparison(const std::vector<ComparedCase>& cases, const Gate& gate);
std::string comparison_json(const std::vector<ComparedCase>& cases, const Gate& gate);

}  // namespace hobbs
