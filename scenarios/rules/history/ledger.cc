#include "scenarios/rules/history/ledger.h"

#include <algorithm>

namespace hobbs {

std::string_view to_string(Breach breach) {
  switch (breach) {
    case Breach::kOverlap: return "overlapping holds";
    case Breach::kTooManyHolders: return "more holders than permits";
    case Breach::kReacquired: return "acquired twice";
    case Breach::kGroundlessFailure: return "groundless try failure";
    case Breach::kGroundlessTimeout: return "groundless time-out";
    case Breach::kEarlyTimeout: return "early time-out";
    case Breach::kReentryFailed: return "failed re-entry";
    case Breach::kReleaseRefused: return "refused release";
    case Breach::kReleaseAccepted: return "accepted misuse";
    case Breach::kOwnerDeathUntold: return "untold owner death";
    case Breach::kOwnerDeathInvented: return "invented owner death";
    case Breach::kWrongOutcome: return "wrong outcome";
    case Breach::kNoOrder: return "no explaining order";
  }
  return "unknown";
}

void Ledger::record(Breach breach, std::int64_t at_ns, std::int64_t margin_ns,
                    std::initializer_list<const LoggedCall*> calls) {
  Entry& entry = entries_[static_cast<std::size_t>(breach)];
  ++entry.count;
  if (at_ns >= entry.at_ns && entry.count > 1) return;
  entry.at_ns = at_ns;
  entry.margin_ns = margin_ns;
  entry.size = 0;
  for (const LoggedCall* call : calls) {
    if (call != nullptr && entry.size < entry.calls.size()) entry.calls[entry.size++] = *call;
  }
}

bool Ledger::accuses() const {
  const std::int64_t silent_from = std::min(outside_from_ns_, perhaps_outside_from_ns_);
  return !wrong_engine_ &&
         std::any_of(entries_.begin(), entries_.end(), [silent_from](const Entry& entry) {
           return entry.count != 0 && entry.at_ns < silent_from;
         });
}

std::int64_t Ledger::silenced_from_ns() const {
  const bool any = std::any_of(entries_.begin(), entries_.end(),
                               [](const Entry& entry) { return entry.count != 0; });
  return any ? std::min(outside_from_ns_, perhaps_outside_from_ns_) : outside_from_ns_;
}

Judgement Ledger::judgement(const LockLogs& lock, std::uint8_t number) const {
  Judgement result;
  for (std::size_t i = 0; i < kBreaches; ++i) {
    const Entry& entry = entries_[i];
    if (entry.count == 0 || entry.at_ns >= silenced_from_ns()) continue;
    result.counts[i] = entry.count;
    Violation violation;
    violation.breach = static_cast<Breach>(i);
    violation.margin_ns = entry.margin_ns;
    violation.at_ns = entry.at_ns;
    for (std::size_t c = 0; c < entry.size; ++c) {
      const LoggedCall& call = entry.calls[c];
      const std::uint32_t id =
          call.worker < lock.platform_id.size() ? lock.platform_id[call.worker] : call.worker + 1u;
      violation.certificate.push_back(to_operation(call, id, number));
    }
    std::sort(violation.certificate.begin(), violation.certificate.end(),
              [](const Operation& a, const Operation& b) { return a.invoked_ns < b.invoked_ns; });
    result.earliest.push_back(std::move(violation));
  }
  std::stable_sort(result.earliest.begin(), result.earliest.end(),
                   [](const Violation& a, const Violation& b) { return a.at_ns < b.at_ns; });
  if (!result.earliest.empty()) {
    result.kind = Judgement::Kind::kIllegal;
  } else if (silenced_from_ns() != INT64_MAX) {
    result.kind = Judgement::Kind::kInconclusive;
    result.inconclusive = "from " + std::to_string(silenced_from_ns()) +
                          " ns on: a call was made that the contract leaves undefined";
  }
  result.calls = lock.size();
  return result;
}

}  // namespace hobbs
