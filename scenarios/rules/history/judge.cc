#include "scenarios/rules/history/judge.h"

#include <algorithm>
#include <map>
#include <utility>

#include "scenarios/rules/history/frontier.h"
#include "scenarios/rules/history/ledger.h"
#include "scenarios/rules/history/owned_sweep.h"

namespace hobbs {
namespace {

struct Kill {
  std::int64_t from_ns;
  std::int64_t to_ns;
};

/// The history of one lock, with the memory that its logs stand in.
struct OneLock {
  std::map<std::pair<std::uint32_t, std::size_t>, std::vector<LoggedCall>> by_life;
  LockLogs logs;
};

/// Which of the workers that used this id made the call: how many kills were over by then.
std::size_t life_of(const std::vector<Kill>& kills, std::int64_t invoked_ns, std::int64_t error) {
  std::size_t life = 0;
  while (life < kills.size() && kills[life].to_ns != INT64_MAX &&
         invoked_ns > kills[life].to_ns - 2 * error && invoked_ns > kills[life].from_ns) {
    ++life;
  }
  return life;
}

class Splitter {
 public:
  Splitter(const History& history, const JudgeOptions& options)
      : history_(history), options_(options) {
    for (const Disturbance& d : history.disturbances) {
      if (d.kind != Disturbance::Kind::kKill) continue;
      kills_[d.worker].push_back({d.from_ns, d.to_ns < d.from_ns ? INT64_MAX : d.to_ns});
    }
    for (auto& [worker, kills] : kills_) {
      std::sort(kills.begin(), kills.end(),
                [](const Kill& a, const Kill& b) { return a.from_ns < b.from_ns; });
    }
  }

  std::map<std::uint8_t, OneLock> split() {
    std::map<std::uint8_t, OneLock> locks;
    for (const Operation& operation : history_.operations) {
      const std::size_t life =
          life_of(kills_[operation.worker], operation.invoked_ns, history_.clock_error_ns);
      locks[operation.lock].by_life[{operation.worker, life}].push_back(to_logged(operation, 0));
    }
    for (auto& [number, lock] : locks) finish(lock);
    return locks;
  }

 private:
  void finish(OneLock& lock) {
    for (auto& [who, calls] : lock.by_life) {
      const auto log = static_cast<std::uint16_t>(lock.logs.logs.size());
      std::stable_sort(calls.begin(), calls.end(), [](const LoggedCall& a, const LoggedCall& b) {
        return a.invoked_ns < b.invoked_ns;
      });
      const auto& kills = kills_[who.first];
      const bool dies = who.second < kills.size();
      for (LoggedCall& call : calls) {
        call.worker = log;
        if (call.pending() && dies) call.returned_ns = kills[who.second].to_ns;
      }
      lock.logs.logs.emplace_back(calls);
      lock.logs.platform_id.push_back(who.first);
      if (dies) {
        lock.logs.deaths.push_back({.worker = log,
                                    .from_ns = kills[who.second].from_ns,
                                    .to_ns = kills[who.second].to_ns});
      }
      if (!options_.process_of.empty()) {
        const auto own = static_cast<std::uint32_t>(options_.process_of.size() + who.first);
        const std::uint32_t process =
            who.first < options_.process_of.size() ? options_.process_of[who.first] : own;
        lock.logs.process.push_back(process * 64 + static_cast<std::uint32_t>(who.second) + 1);
      }
      for (const Disturbance& d : history_.disturbances) {
        const bool signals = d.kind == Disturbance::Kind::kSignal ||
                             d.kind == Disturbance::Kind::kStop ||
                             d.kind == Disturbance::Kind::kContinue;
        if (signals && d.worker == who.first) {
          lock.logs.signals.push_back({.worker = log,
                                       .from_ns = d.from_ns,
                                       .to_ns = d.to_ns < d.from_ns ? INT64_MAX : d.to_ns});
        }
      }
    }
  }

  const History& history_;
  const JudgeOptions& options_;
  std::map<std::uint32_t, std::vector<Kill>> kills_;
};

/// Adds what was found of one lock to what is known of the others.
void merge_into(Judgement& all, Judgement one, std::uint8_t number) {
  all.calls += one.calls;
  for (std::size_t i = 0; i < kBreaches; ++i) all.counts[i] += one.counts[i];
  for (Violation& violation : one.earliest) all.earliest.push_back(std::move(violation));
  if (one.kind == Judgement::Kind::kInconclusive) {
    if (!all.inconclusive.empty()) all.inconclusive += "; ";
    all.inconclusive += "lock " + std::to_string(number) + ": " + one.inconclusive;
  }
  std::stable_sort(all.earliest.begin(), all.earliest.end(),
                   [](const Violation& a, const Violation& b) { return a.at_ns < b.at_ns; });
  all.kind = !all.earliest.empty()       ? Judgement::Kind::kIllegal
             : !all.inconclusive.empty() ? Judgement::Kind::kInconclusive
                                         : Judgement::Kind::kLegal;
}

/// Calls whose holds were certain when this call returned: what it stands against.
std::vector<LoggedCall> certain_holds(const LockLogs& lock, const LoggedCall& culprit) {
  std::vector<LoggedCall> found;
  for (const auto& log : lock.logs) {
    const LoggedCall* holding = nullptr;
    for (const LoggedCall& call : log) {
      if (call.pending() || call.returned_ns > culprit.returned_ns) break;
      if (&call != &culprit && hobbs::holds(call.outcome) && is_acquire(call.verb())) {
        holding = &call;
      }
      if (is_release(call.verb())) holding = nullptr;
    }
    if (holding == nullptr || holding->invoked_ns == culprit.invoked_ns) continue;
    const auto next = std::find_if(log.begin(), log.end(), [&](const LoggedCall& call) {
      return call.invoked_ns > holding->invoked_ns && is_release(call.verb());
    });
    if (next == log.end() || next->invoked_ns >= culprit.returned_ns) found.push_back(*holding);
  }
  return found;
}

Judgement judgement_of(const SearchResult& found, const Claims& claims, const LockLogs& lock,
                       std::uint8_t number) {
  Judgement result;
  result.calls = lock.size();
  switch (found.kind) {
    case SearchResult::Kind::kLegal: break;
    case SearchResult::Kind::kIllegal: {
      constexpr std::size_t kCallsMax = 5;
      const LoggedCall& culprit = found.culprit;
      std::vector<LoggedCall> others = certain_holds(lock, culprit);
      const std::size_t holders = others.size();
      if (others.size() > kCallsMax - 1) others.resize(kCallsMax - 1);
      const bool crowded = claims.semaphore && !culprit.pending() &&
                           hobbs::holds(culprit.outcome) && holders >= claims.permits;
      Violation violation;
      violation.breach = crowded ? Breach::kTooManyHolders : Breach::kNoOrder;
      violation.at_ns = found.at_ns;
      const auto add = [&](const LoggedCall& call) {
        const std::uint32_t id = call.worker < lock.platform_id.size()
                                     ? lock.platform_id[call.worker]
                                     : call.worker + 1u;
        violation.certificate.push_back(to_operation(call, id, number));
      };
      for (const LoggedCall& call : others) add(call);
      add(culprit);
      result.counts[static_cast<std::size_t>(violation.breach)] = 1;
      result.earliest.push_back(std::move(violation));
      result.kind = Judgement::Kind::kIllegal;
      break;
    }
    case SearchResult::Kind::kOutside:
      result.kind = Judgement::Kind::kInconclusive;
      result.inconclusive = "up to " + std::to_string(found.at_ns) +
                            " ns: a call was made that the contract leaves undefined";
      break;
    case SearchResult::Kind::kUndecided:
      result.kind = Judgement::Kind::kInconclusive;
      result.inconclusive = "from " + std::to_string(found.at_ns) +
                            " ns on: the search was given up after " +
                            std::to_string(found.states) + " states";
      break;
  }
  return result;
}

}  // namespace

Judgement judge_lock(const LockLogs& lock, const Claims& claims, const JudgeOptions& options,
                     std::uint8_t number) {
  if (owned_sweep_applies(claims, lock)) {
    Ledger ledger;
    sweep_owned(claims, options.home, lock, ledger);
    if (ledger.accuses() || !ledger.search_needed()) return ledger.judgement(lock, number);
  }
  const SearchResult found = search_history(claims, options.home, lock, options.search_budget);
  return judgement_of(found, claims, lock, number);
}

Judgement judge_history(const History& history, const Claims& claims, const JudgeOptions& options) {
  Judgement all;
  for (auto& [number, lock] : Splitter(history, options).split()) {
    merge_into(all, judge_lock(lock.logs, claims, options, number), number);
  }
  return all;
}

}  // namespace hobbs
