#include "scenarios/rules/history/accusation.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace hobbs {
namespace {

bool acquires(const Operation& call) {
  return call.verb == Verb::kAcquire || call.verb == Verb::kTry || call.verb == Verb::kTimed;
}
bool upgrades(const Operation& call) {
  return call.verb == Verb::kUpgrade || call.verb == Verb::kTryUpgrade;
}
bool got_it(const Operation& call) {
  return (acquires(call) || upgrades(call)) && !call.pending && holds(call.outcome);
}
bool failed(const Operation& call) {
  return (acquires(call) || upgrades(call)) && !call.pending && !holds(call.outcome);
}

/// The call of the certificate that is at fault: the one that failed, else the last that got it.
const Operation& culprit(const Violation& violation) {
  const Operation* found = &violation.certificate.back();
  for (const Operation& call : violation.certificate) {
    if (failed(call)) return call;
  }
  for (const Operation& call : violation.certificate) {
    if (got_it(call) && (!got_it(*found) || call.returned_ns >= found->returned_ns)) found = &call;
  }
  return *found;
}

/// Which rule forbids that a worker has what it cannot have.
std::string rule_of_overlap(const Violation& violation, const Claims& claims) {
  if (claims.semaphore) return "ME-6";
  for (const Operation& call : violation.certificate) {
    if (upgrades(call)) return "RW-4";
  }
  for (const Operation& call : violation.certificate) {
    if (got_it(call) && call.mode == Mode::kShared) return "RW-1";
  }
  return culprit(violation).verb == Verb::kAcquire ? "ME-1" : "ME-3";
}

std::string rule_of_failure(const Operation& call) {
  if (upgrades(call)) return "RW-7";
  if (call.verb == Verb::kTry) return "TR-2";
  return call.deadline_ns <= call.invoked_ns ? "TO-3" : "TO-5";
}

std::string rule_of(const Violation& violation, const Claims& claims) {
  const Operation& call = culprit(violation);
  switch (violation.breach) {
    case Breach::kOverlap:
    case Breach::kTooManyHolders: return rule_of_overlap(violation, claims);
    case Breach::kReacquired: return "ME-1";
    case Breach::kGroundlessFailure:
    case Breach::kGroundlessTimeout: return rule_of_failure(call);
    case Breach::kEarlyTimeout: return "TO-1";
    case Breach::kReentryFailed: return "RE-5";
    case Breach::kReleaseRefused:
    case Breach::kReleaseAccepted: return "MU-2";
    case Breach::kOwnerDeathUntold: return "CR-1";
    case Breach::kOwnerDeathInvented: return "CR-3";
    case Breach::kWrongOutcome: return call.verb == Verb::kTimed ? "TO-10" : "TR-4";
    case Breach::kNoOrder:
      if (failed(call)) return rule_of_failure(call);
      return got_it(call) ? rule_of_overlap(violation, claims) : "MU-2";
  }
  return "ME-1";
}

std::string name_of(const Operation& call) { return "worker " + std::to_string(call.worker); }

std::string ns(std::int64_t amount) {
  if (amount == INT64_MAX) return "for good";
  if (std::llabs(amount) < 10'000) return std::to_string(amount) + " ns";
  if (std::llabs(amount) < 10'000'000) return std::to_string(amount / 1000) + " us";
  return std::to_string(amount / 1'000'000) + " ms";
}

/// "worker 4 and worker 10": those that got the lock, each once.
std::string who_got_it(const Violation& violation) {
  std::string text;
  std::uint32_t last = 0;
  for (const Operation& call : violation.certificate) {
    if (!got_it(call) || call.worker == last) continue;
    if (!text.empty()) text += " and ";
    text += name_of(call);
    last = call.worker;
  }
  return text.empty() ? "nobody" : text;
}

std::string sentence(const Violation& violation, const Claims& claims) {
  const Operation& call = culprit(violation);
  const std::string margin = ns(violation.margin_ns);
  switch (violation.breach) {
    case Breach::kOverlap:
      return who_got_it(violation) + " certainly held the lock at the same time: " +
             (violation.margin_ns == INT64_MAX ? "neither gave it back"
                                               : "both for at least " + margin);
    case Breach::kTooManyHolders:
      return describe_call(call) + " succeeded while all " + std::to_string(claims.permits) +
             " permits were certainly taken";
    case Breach::kReacquired:
      return describe_call(call) + " succeeded although that worker held the lock already";
    case Breach::kGroundlessFailure:
    case Breach::kGroundlessTimeout:
      return describe_call(call) +
             " failed although nobody can have held the lock during the call" +
             (violation.margin_ns > 0 && violation.margin_ns != INT64_MAX
                  ? ", nor within " + margin + " of it"
                  : "");
    case Breach::kEarlyTimeout:
      return describe_call(call) + " gave up " + margin + " before its deadline";
    case Breach::kReentryFailed:
      return describe_call(call) + " ended with \"" + std::string(to_string(call.outcome)) +
             "\" although that worker holds the lock, which is re-entrant";
    case Breach::kReleaseRefused:
      return describe_call(violation.certificate.back()) + ", which holds the lock, ended with \"" +
             std::string(to_string(violation.certificate.back().outcome)) + "\"";
    case Breach::kReleaseAccepted:
      return describe_call(violation.certificate.back()) +
             ", which does not hold the lock, was accepted";
    case Breach::kOwnerDeathUntold:
      return describe_call(call) + " got the lock of " + name_of(violation.certificate.front()) +
             ", which died holding it, and was not told so";
    case Breach::kOwnerDeathInvented:
      return describe_call(call) + " was told that the holder had died, which it had not";
    case Breach::kWrongOutcome:
      return describe_call(call) + " ended with \"" + std::string(to_string(call.outcome)) +
             "\", which it may not";
    case Breach::kNoOrder:
      return "no order of the calls explains why " + describe_call(call) + " ended with \"" +
             std::string(to_string(call.outcome)) + "\"";
  }
  return {};
}

std::string evidence_of(const Operation& call, std::int64_t origin_ns) {
  std::string text =
      describe_call(call) + " [" + std::to_string(call.invoked_ns - origin_ns) + ", ";
  if (call.pending) return text + "...] ns: it never returned";
  text += std::to_string(call.returned_ns - origin_ns) +
          "] ns: " + std::string(to_string(call.outcome));
  if (call.verb == Verb::kTimed && call.deadline_ns != INT64_MAX) {
    text += ", deadline at " + std::to_string(call.deadline_ns - origin_ns) + " ns";
  }
  return text;
}

std::vector<std::string> evidence(const Violation& violation, std::uint64_t count,
                                  std::int64_t clock_error_ns) {
  std::vector<std::string> facts;
  const std::int64_t origin_ns = violation.certificate.front().invoked_ns;
  for (const Operation& call : violation.certificate) facts.push_back(evidence_of(call, origin_ns));
  facts.push_back("times count from " + std::to_string(origin_ns) +
                  " ns; the clocks agree within " + std::to_string(clock_error_ns) +
                  " ns, by which the windows are widened");
  if (violation.margin_ns > 0 && violation.margin_ns != INT64_MAX) {
    facts.push_back("the history would be legal if its windows were off by " +
                    ns(violation.margin_ns));
  }
  if (count > 1) {
    facts.push_back(std::string(to_string(violation.breach)) + ": " + std::to_string(count) +
                    " times in this history");
  }
  return facts;
}

}  // namespace

std::string describe_call(const Operation& call) {
  const bool shared = call.mode == Mode::kShared;
  std::string_view name = shared ? "unlock_shared()" : "unlock()";
  switch (call.verb) {
    case Verb::kAcquire: name = shared ? "lock_shared()" : "lock()"; break;
    case Verb::kTry: name = shared ? "try_lock_shared()" : "try_lock()"; break;
    case Verb::kTimed: name = shared ? "try_lock_shared_until()" : "try_lock_until()"; break;
    case Verb::kUpgrade: name = "upgrade()"; break;
    case Verb::kTryUpgrade: name = "try_upgrade()"; break;
    case Verb::kDowngrade: name = "downgrade()"; break;
    default: break;
  }
  return std::string(name) + " of " + name_of(call);
}

std::vector<Accusation> accusations(const Judgement& judgement, const Claims& claims,
                                    std::int64_t clock_error_ns) {
  std::vector<Accusation> all;
  for (const Violation& violation : judgement.earliest) {
    if (violation.certificate.empty()) continue;
    Accusation accusation{
        .rule = rule_of(violation, claims),
        .summary = sentence(violation, claims),
        .evidence =
            evidence(violation, judgement.counts[static_cast<std::size_t>(violation.breach)],
                     clock_error_ns),
        .violation = violation};
    const bool known = std::any_of(all.begin(), all.end(), [&](const Accusation& other) {
      return other.rule == accusation.rule;
    });
    if (!known) all.push_back(std::move(accusation));
  }
  return all;
}

}  // namespace hobbs
