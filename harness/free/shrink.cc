#include "harness/free/shrink.h"

#include <algorithm>

#include "harness/free/programs.h"
#include "harness/free/worker.h"

namespace hobbs::gang {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kEachMin{60};
constexpr milliseconds kEachMax{2500};
constexpr std::uint64_t kRepetitions = 5;
constexpr std::uint64_t kRepetitionsOfDoubt = 2;
constexpr milliseconds kDoubtTime{3500};

/// A little longer than it took, as the next time may be less lucky.
milliseconds patience(milliseconds took) { return std::clamp(4 * took, kEachMin, kEachMax); }

/// Removes the section that begins at `at`: the acquiring step, and the release that matches it.
std::vector<Step> without_section(const std::vector<Step>& steps, std::size_t at) {
  std::vector<Step> kept;
  int depth = -1;  // Of sections inside the one that goes; -1: not in it.
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Verb verb = steps[i].verb;
    const bool opens = verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
    if (i == at) {
      depth = 0;
      continue;
    }
    if (depth >= 0 && opens) ++depth;
    if (depth >= 0 && verb == Verb::kRelease && depth-- == 0) continue;
    kept.push_back(steps[i]);
  }
  return kept;
}

std::vector<Job> smaller(const Job& job) {
  std::vector<Job> list;
  const auto add = [&](auto&& change) {
    Job next = job;
    change(next);
    if (!(next.program == job.program && next.nemesis == job.nemesis &&
          next.topology == job.topology)) {
      list.push_back(std::move(next));
    }
  };
  if (job.program.workers.size() > 1) {
    for (std::size_t w = 0; w < job.program.workers.size(); ++w) {
      add([w](Job& j) {
        j.program.workers.erase(j.program.workers.begin() + static_cast<std::ptrdiff_t>(w));
        std::erase_if(j.program.faults, [w](const Fault& f) { return f.worker == w; });
        for (Fault& fault : j.program.faults) fault.worker -= fault.worker > w ? 1 : 0;
      });
    }
  }
  if (job.nemesis != Nemesis::kStale) add([](Job& j) { j.nemesis = Nemesis::kNone; });
  add([](Job& j) { j.program.repeat = 1; });
  add([](Job& j) { j.program.first_id = 1; });
  add([](Job& j) { j.program.preset = 0; });
  for (std::size_t f = 1; f < job.program.faults.size(); ++f) {
    add([f](Job& j) {
      j.program.faults.erase(j.program.faults.begin() + static_cast<std::ptrdiff_t>(f));
    });
  }
  for (std::size_t w = 0; w < job.program.workers.size(); ++w) {
    const std::vector<Step>& steps = job.program.workers[w];
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const Verb verb = steps[s].verb;
      const bool opens = verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
      if (opens) {
        add([&](Job& j) { j.program.workers[w] = without_section(steps, s); });
      } else if (verb != Verb::kRelease) {
        add([&](Job& j) {
          auto& kept = j.program.workers[w];
          kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(s));
        });
      }
    }
  }
  std::erase_if(list, [](const Job& j) {
    return !fits(*j.lock, j.program) ||
           std::any_of(j.program.workers.begin(), j.program.workers.end(),
                       [](const auto& steps) { return steps.empty(); });
  });
  return list;
}

}  // namespace

void repeat(Confirmed& confirmed, std::uint64_t times, milliseconds each, Clock::time_point until) {
  for (std::uint64_t i = 0; i < times && Clock::now() < until; ++i) {
    Job job = confirmed.job;
    job.seed += confirmed.of;
    job.until = std::min(until, Clock::now() + each);
    bool cut = false;
    // Short runs that end by themselves go on anew within the same time.
    do {
      job.seed += 0x1000;
      JobEnd end = run_job(job);
      cut = (end.cut && !end.breach) || !end.uncatchable.empty();
      if (!end.uncatchable.empty()) confirmed.job.catches = job.catches = false;
      if (!end.breach ||
          told_rule(job, end.breach->rule) != told_rule(job, confirmed.breach.rule)) {
        continue;
      }
      ++confirmed.failed;
      confirmed.breach = std::move(*end.breach);
      break;
    } while (Clock::now() < job.until);
    confirmed.of += cut ? 0 : 1;
  }
}

/// Without what a scenario is about, its breach is the plain one.
void forget_meaning(Job& job, const Job& original) {
  const bool forks = forks_of(original.program) > 0;
  const bool lost = is_cause(original.nemesis) && job.nemesis != original.nemesis;
  if (lost || (forks_of(job.program) > 0) != forks) job.means.clear();
}

Confirmed shrink(const Job& job, const Breach& breach, milliseconds took, Clock::time_point until) {
  Confirmed best{job, breach, 0, 0};
  const milliseconds each = patience(took);
  if (!breach.proven) {
    // What is not proven must recur before anything else.
    repeat(best, kRepetitionsOfDoubt, each,
           std::min(job.latest, std::max(until, Clock::now() + kDoubtTime)));
    if (best.failed == 0) return best;
  }
  const auto shrink_until = Clock::now() + (until - Clock::now()) * 2 / 3;
  for (bool progress = true; progress && Clock::now() < shrink_until;) {
    progress = false;
    for (const Job& candidate : smaller(best.job)) {
      if (Clock::now() >= shrink_until) break;
      Confirmed tried{candidate, best.breach, 0, 0};
      // Without the nemesis one hit may be luck, and the replay would hardly show it.
      const std::uint64_t wanted = candidate.nemesis != best.job.nemesis ? 3 : 1;
      repeat(tried, wanted, each, shrink_until);
      if (tried.failed < wanted) continue;
      best = std::move(tried);
      forget_meaning(best.job, job);
      progress = true;
      break;
    }
  }
  // Fresh repetitions tell how often it fails: those that chose the job would flatter it.
  Confirmed fresh{best.job, best.breach, 0, 0};
  repeat(fresh, kRepetitions, each, until);
  if (fresh.failed > 0) return fresh;
  best.of += fresh.of;
  return best;
}

}  // namespace hobbs::gang
