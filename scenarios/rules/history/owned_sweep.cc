#include "scenarios/rules/history/owned_sweep.h"

#include <algorithm>
#include <limits>

#include "scenarios/rules/history/merge.h"

namespace hobbs {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::min();

/// A finished section: see the header for ai, ar, ri and rr.
struct Section {
  std::int64_t ai = kEver;
  std::int64_t ar = kEver;
  std::int64_t ri = kEver;
  std::int64_t rr = kEver;
  const LoggedCall* acquire = nullptr;
  const LoggedCall* release = nullptr;  // Null: open, or ended by a death.
  bool died = false;                    // Ended by a death ...
  bool may_have_died = false;           // ... or perhaps ...
  std::int64_t dies_from = kEver;       // ... from then on.
};

struct Worker {
  const LoggedCall* acquire = nullptr;  // The outermost call of the hold; null: holds nothing.
  std::int64_t ai = 0;
  std::int64_t ar = 0;         // In its present mode.
  std::int64_t ar_shared = 0;  // In any mode.
  std::int32_t depth = 0;
  Mode mode = Mode::kExclusive;
  std::int64_t shared_rr = kEver;  // Of its last shared section since the last exclusive one.
  std::int64_t exclusive_wait_until = kEver;  // The end of its last waiting exclusive call ...
  std::int64_t gave_up_exclusive = kEver;     // ... of its last one that waited in vain ...
  std::int64_t gave_up_shared = kEver;        // ... and of its last shared one.
  std::int64_t dies_from = kNever;
  std::int64_t dies_until = kNever;
  bool dead = false;  // Dies at all.
};

/// A dead worker's last acquire, which may have got the lock before it died.
struct OptionalHold {
  const LoggedCall* call;
  std::int64_t dies_from;
  std::int64_t dies_until;
  bool used = false;
};

class OwnedSweep {
 public:
  OwnedSweep(const Claims& claims, Home home, const LockLogs& lock, std::size_t workers,
             Ledger& ledger)
      : claims_(claims),
        refuses_nothing_(home == Home::kPath && !claims.checks_misuse),
        owned_(claims.releaser != Releaser::kAnyone),
        survives_(claims.crash != CrashBehaviour::kStuck),
        lock_(lock),
        ledger_(ledger),
        workers_(workers),
        exclusive_from_(workers, kNever) {}

  void expect_death(const Death& death, std::int64_t earliest_ns, bool inside_call) {
    Worker& me = workers_[death.worker];
    me.dead = true;
    me.dies_from = earliest_ns;
    me.dies_until = std::max(death.to_ns, earliest_ns);
    if (!survives_ && inside_call) damaged_from_ = std::min(damaged_from_, me.dies_from);
  }

  /// In the order of invocation.
  void push(const LoggedCall& call) {
    const Verb verb = call.verb();
    if (is_acquire(verb)) {
      if (call.pending()) return pend(call);
      hobbs::holds(call.outcome) ? got(call) : did_not_get(call);
    } else if (is_release(verb)) {
      released(call);
    } else {
      converted(call);
    }
  }

  /// A worker dies at the earliest now; in order with the calls.
  void push_death(std::uint16_t worker) {
    Worker& me = workers_[worker];
    if (!survives_ || me.acquire == nullptr) return;
    Section end;
    end.died = true;
    close(me, me.dies_from, claims_.crash == CrashBehaviour::kTakeover ? kNever : me.dies_until,
          nullptr, end);
  }

  void finish() {
    for (Worker& me : workers_) {
      if (me.acquire != nullptr) close(me, kNever, kNever, nullptr, {});
    }
    settle_with_pending();
    if (converts_ && weighed_) ledger_.needs_search();
  }

 private:
  void got(const LoggedCall& call) {
    Worker& me = workers_[call.worker];
    if (call.verb() != Verb::kTry && call.mode() == Mode::kExclusive) waits_exclusively(call);
    if (me.acquire != nullptr) return got_again(call, me);
    if (call.outcome == Outcome::kOwnerDied && !tells_deaths()) {
      ledger_.record(Breach::kOwnerDeathInvented, call.returned_ns, 0, {&call});
    }
    if (call.outcome == Outcome::kOwnerDied && call.mode() == Mode::kShared) ledger_.needs_search();
    me.acquire = &call;
    me.ai = call.invoked_ns;
    me.ar = me.ar_shared = call.returned_ns;
    me.depth = 1;
    me.mode = call.mode();
    if (me.mode == Mode::kExclusive) exclusive_from_[call.worker] = me.ar;
  }

  void got_again(const LoggedCall& call, Worker& me) {
    if (!owned_) return ledger_.wrong_engine();
    const bool to_exclusive = me.mode == Mode::kShared && call.mode() == Mode::kExclusive;
    const bool reader_again = me.mode == Mode::kShared && !to_exclusive;
    if (static_cast<std::uint32_t>(me.depth) >= claims_.max_depth && claims_.reentrant) {
      ledger_.outside_contract(call.invoked_ns);
    }
    ++me.depth;
    if (!claims_.reentrant && refuses_nothing_) return ledger_.outside_contract(call.invoked_ns);
    if ((claims_.reentrant && !to_exclusive) || reader_again) {
      if (call.outcome == Outcome::kOwnerDied) {
        ledger_.record(Breach::kOwnerDeathInvented, call.returned_ns, 0, {&call});
      }
      return;
    }
    ledger_.record(Breach::kReacquired, call.returned_ns, 0, {me.acquire, &call});
  }

  void did_not_get(const LoggedCall& call) {
    Worker& me = workers_[call.worker];
    if (call.outcome == Outcome::kSystemError || call.outcome == Outcome::kBadArgument) {
      return;  // It did nothing; whether the system may refuse is not for intervals to say.
    }
    if (call.verb() != Verb::kTry) gave_up(call);
    if (me.acquire != nullptr && owned_ && refused_by_holder(call, me)) return;
    switch (call.outcome) {
      case Outcome::kBusy:
        if (call.verb() == Verb::kTry) break;
        return ledger_.record(Breach::kWrongOutcome, call.returned_ns, 0, {&call});
      case Outcome::kTimedOut:
        if (call.verb() != Verb::kTimed) {
          return ledger_.record(Breach::kWrongOutcome, call.returned_ns, 0, {&call});
        }
        if (!call.expired() && call.patience_ns != INT32_MAX) {
          ledger_.record(Breach::kEarlyTimeout, call.returned_ns,
                         call.patience_ns - (call.returned_ns - call.invoked_ns), {&call});
        }
        break;
      case Outcome::kInterrupted:
        if (call.verb() == Verb::kTry || !signalled(call)) {
          ledger_.record(Breach::kWrongOutcome, call.returned_ns, 0, {&call});
        }
        return;
      default: return ledger_.record(Breach::kWrongOutcome, call.returned_ns, 0, {&call});
    }
    if (me.acquire == nullptr) return wants_ground(call);
    const bool own_hold_explains = call.mode() == Mode::kExclusive || me.mode == Mode::kExclusive;
    if (!owned_ && !own_hold_explains) ledger_.wrong_engine();
  }

  /// The caller holds the lock already. True if that is all there is to say.
  bool refused_by_holder(const LoggedCall& call, const Worker& me) {
    const bool to_exclusive = me.mode == Mode::kShared && call.mode() == Mode::kExclusive;
    if (claims_.reentrant && !to_exclusive) {
      if (static_cast<std::uint32_t>(me.depth) >= claims_.max_depth) {
        ledger_.outside_contract(call.invoked_ns);
      } else {
        ledger_.record(Breach::kReentryFailed, call.returned_ns, 0, {me.acquire, &call});
      }
      return true;
    }
    if (!claims_.reentrant && refuses_nothing_) {
      ledger_.outside_contract(call.invoked_ns);
      return true;
    }
    return call.outcome == Outcome::kDeadlock || call.outcome == Outcome::kReentryRefused ||
           (to_exclusive && call.outcome == Outcome::kUpgradeRefused);
  }

  void released(const LoggedCall& call) {
    Worker& me = workers_[call.worker];
    const bool fits =
        me.acquire != nullptr &&
        (call.mode() == me.mode || (me.mode == Mode::kExclusive && claims_.reentrant && owned_));
    if (!fits) {
      if (!owned_) return ledger_.wrong_engine();
      if (!claims_.checks_misuse) return undefined(call);
      if (call.pending() || is_refusal(call.outcome)) return;
      return ledger_.record(
          call.outcome == Outcome::kReleased ? Breach::kReleaseAccepted : Breach::kWrongOutcome,
          call.returned_ns, 0, {&call});
    }
    if (!call.pending() && call.outcome != Outcome::kReleased) {
      // It holds on, and may have got rid of it all the same: nothing more can be said of it.
      ledger_.record(Breach::kReleaseRefused, call.returned_ns, 0, {me.acquire, &call});
      return;
    }
    if (--me.depth > 0) return;
    Section end;
    end.may_have_died = call.pending() && me.dead;
    end.dies_from = me.dies_from;
    const bool lasts =
        call.pending() && (!me.dead || !survives_ || claims_.crash == CrashBehaviour::kTakeover);
    close(me, call.invoked_ns, lasts ? kNever : call.returned_ns, &call, end);
  }

  void converted(const LoggedCall& call) {
    Worker& me = workers_[call.worker];
    converts_ = true;
    if (is_upgrade(call.verb())) {
      waits_exclusively(call);
      if (me.acquire == nullptr || me.mode != Mode::kShared) return misused(call);
      if (me.depth != 1) return undefined(call);
      if (call.pending()) return;
      if (!hobbs::holds(call.outcome)) return ledger_.needs_search();
      if (call.outcome == Outcome::kOwnerDied) ledger_.needs_search();
      me.mode = Mode::kExclusive;
      me.ai = call.invoked_ns;
      me.ar = exclusive_from_[call.worker] = call.returned_ns;
      return;
    }
    if (me.acquire == nullptr || me.mode != Mode::kExclusive) return misused(call);
    if (me.depth != 1) return undefined(call);
    if (!call.pending() && call.outcome != Outcome::kReleased) {
      return ledger_.record(Breach::kReleaseRefused, call.returned_ns, 0, {me.acquire, &call});
    }
    const LoggedCall* const acquire = me.acquire;
    close(me, call.invoked_ns, call.returned_ns, &call, {});
    me.acquire = acquire;
    me.ai = me.ar = me.ar_shared = call.invoked_ns;
    me.depth = 1;
    me.mode = Mode::kShared;
  }

  /// An upgrade or downgrade by a worker that has no such hold.
  void misused(const LoggedCall& call) {
    if (!owned_) return ledger_.wrong_engine();
    if (!claims_.checks_misuse) return undefined(call);
    if (call.pending() || is_refusal(call.outcome)) return;
    ledger_.record(hobbs::holds(call.outcome) || call.outcome == Outcome::kReleased
                       ? Breach::kReleaseAccepted
                       : Breach::kWrongOutcome,
                   call.returned_ns, 0, {&call});
  }

  void pend(const LoggedCall& call) {
    const Worker& me = workers_[call.worker];
    if (call.verb() != Verb::kTry && call.mode() == Mode::kExclusive) waits_exclusively(call);
    if (me.acquire != nullptr) {
      if (!owned_) ledger_.wrong_engine();
      return;  // A holder's own call changes nothing for others.
    }
    if (me.dead && survives_) {
      optional_.push_back({&call, me.dies_from, me.dies_until});
    } else {
      pending_.push_back(&call);
    }
  }

  // --- Sections ---------------------------------------------------------------------------------

  void close(Worker& me, std::int64_t ri, std::int64_t rr, const LoggedCall* release,
             const Section& how) {
    Section section{.ai = me.ai,
                    .ar = me.ar,
                    .ri = ri,
                    .rr = rr,
                    .acquire = me.acquire,
                    .release = release,
                    .died = how.died,
                    .may_have_died = how.may_have_died,
                    .dies_from = how.dies_from};
    const Mode mode = me.mode;
    const std::int64_t from = me.ar_shared;
    exclusive_from_[me.acquire->worker] = kNever;
    me.acquire = nullptr;
    me.depth = 0;
    if (section.ri <= from) return close_vague(me, section);
    mode == Mode::kExclusive ? close_exclusive(section, from) : close_shared(me, section);
  }

  /// So short beside the error of the clocks that it has no certain hold: it accuses nobody and
  /// excuses every failure that it may have caused.
  void close_vague(Worker& me, const Section& section) {
    vague_ = true;
    me.gave_up_exclusive = std::max(me.gave_up_exclusive, section.rr);
    const std::uint16_t worker = section.acquire->worker;
    std::erase_if(fails_, [&](const LoggedCall* fail) {
      return fail->worker != worker && fail->invoked_ns <= section.rr &&
             fail->returned_ns >= section.ai;
    });
  }

  void close_exclusive(const Section& section, std::int64_t held_from) {
    bool in_order = true;
    if (held_from < last_.ri) {
      in_order = false;
      overlap(last_, section, held_from);
    }
    if (section.ar < last_shared_.ri) overlap(last_shared_, section, section.ar);
    if (in_order && !vague_ && tells_deaths()) check_told(section);
    vague_ = false;
    if (!fails_.empty()) settle(section.ai, &section);
    const std::int64_t rr_before = in_order ? kEver : last_.rr;
    last_ = section;
    last_.rr = std::max(section.rr, rr_before);
    last_shared_ = {};
    earliest_shared_ar_ = kNever;
    any_shared_ = false;
  }

  void close_shared(Worker& me, const Section& section) {
    if (survives_ && (section.died || section.may_have_died)) ledger_.needs_search();
    if (section.ar < last_.ri) overlap(last_, section, section.ar);
    earliest_shared_ar_ = std::min(earliest_shared_ar_, section.ar);
    if (section.ri >= last_shared_.ri) last_shared_ = section;
    if (!any_shared_) {
      any_shared_ = true;
      for (Worker& worker : workers_) worker.shared_rr = kEver;
    }
    me.shared_rr = section.rr;
    if (fails_.empty()) return;
    const std::uint16_t worker = section.acquire->worker;
    std::erase_if(fails_, [&](const LoggedCall* fail) {
      return fail->mode() == Mode::kExclusive && fail->worker != worker &&
             fail->invoked_ns <= section.rr && fail->returned_ns >= section.ai;
    });
  }

  void overlap(const Section& earlier, const Section& later, std::int64_t later_from) {
    const std::int64_t from = std::max(earlier.ar, later_from);
    const std::int64_t to = std::min(earlier.ri, later.ri);
    ledger_.record(Breach::kOverlap, from, to == kNever ? kNever : to - from,
                   {earlier.acquire, earlier.release, later.acquire, later.release});
  }

  bool tells_deaths() const {
    return claims_.crash == CrashBehaviour::kOwnerDied ||
           claims_.crash == CrashBehaviour::kTakeover;
  }

  /// Whether this section was told of its predecessor's death, as it must be.
  void check_told(const Section& section) {
    const bool told = section.acquire->outcome == Outcome::kOwnerDied;
    const bool readers = any_shared_ || std::any_of(optional_.begin(), optional_.end(),
                                                    [](const OptionalHold& dead) {
                                                      return dead.call->mode() == Mode::kShared;
                                                    });
    if (readers && (told || last_.died || last_.may_have_died)) return ledger_.needs_search();
    const bool may_have_died = last_.may_have_died && last_.dies_from <= section.ar;
    if (told && !last_.died && !may_have_died) {
      OptionalHold* best = nullptr;
      for (OptionalHold& dead : optional_) {
        const bool fits = !dead.used && dead.call->invoked_ns <= section.ar &&
                          dead.dies_from <= section.ar && dead.dies_until >= last_.ri;
        if (fits && (best == nullptr || dead.dies_until < best->dies_until)) best = &dead;
      }
      if (best != nullptr) {
        best->used = true;
        if (!fails_.empty())
          ledger_.needs_search();  // They may depend on which of the dead it was.
      } else {
        ledger_.record(Breach::kOwnerDeathInvented, section.ar, 0,
                       {last_.acquire, last_.release, section.acquire});
      }
    }
    if (!told && last_.died && claims_.crash == CrashBehaviour::kOwnerDied) {
      ledger_.record(Breach::kOwnerDeathUntold, section.ar, 0, {last_.acquire, section.acquire});
    }
  }

  // --- Failures ---------------------------------------------------------------------------------

  void wants_ground(const LoggedCall& call) {
    if (claims_.spurious_try_failure || call.returned_ns >= damaged_from_) return;
    bool held = false;  // By far the most common ground.
    for (const std::int64_t from : exclusive_from_) held |= from <= call.returned_ns;
    if (held) return;
    const bool exclusive = call.mode() == Mode::kExclusive;
    for (std::size_t u = 0; u < workers_.size(); ++u) {
      const Worker& other = workers_[u];
      if (u == call.worker) continue;
      const bool conflicts = exclusive || other.mode == Mode::kExclusive;
      if (other.acquire != nullptr && conflicts && other.ar <= call.returned_ns) return;
      if (other.gave_up_exclusive >= call.invoked_ns) return;
      if (exclusive && other.gave_up_shared >= call.invoked_ns) return;
      if (exclusive && any_shared_ && other.shared_rr >= call.invoked_ns) {
        weighed_ = true;
        return;
      }
      if (!exclusive && !readers_first() && other.exclusive_wait_until >= call.invoked_ns) return;
    }
    weighed_ = true;
    fails_.push_back(&call);
  }

  bool readers_first() const { return claims_.fairness == Fairness::kReaderPreference; }

  void waits_exclusively(const LoggedCall& call) {
    Worker& me = workers_[call.worker];
    me.exclusive_wait_until = std::max(me.exclusive_wait_until, call.returned_ns);
    if (fails_.empty() || readers_first()) return;
    std::erase_if(fails_, [&](const LoggedCall* fail) {
      return fail->mode() == Mode::kShared && fail->worker != call.worker &&
             fail->returned_ns >= call.invoked_ns;
    });
  }

  void gave_up(const LoggedCall& call) {
    Worker& me = workers_[call.worker];
    const bool exclusive = call.mode() == Mode::kExclusive;
    (exclusive ? me.gave_up_exclusive : me.gave_up_shared) = call.returned_ns;
    if (exclusive) waits_exclusively(call);
    std::erase_if(fails_, [&](const LoggedCall* fail) {
      return (exclusive || fail->mode() == Mode::kExclusive) && fail->worker != call.worker &&
             fail->returned_ns >= call.invoked_ns;
    });
  }

  /// Decides the failures since the last exclusive section; `next` begins at `next_ai`.
  void settle(std::int64_t next_ai, const Section* next) {
    const std::int64_t free_from = std::min(last_.rr, earliest_shared_ar_);
    const std::int64_t free_until = std::max(next_ai, last_shared_.ri);
    for (const LoggedCall* fail : fails_) {
      if (fail->invoked_ns <= free_from || fail->returned_ns >= free_until) continue;
      groundless(*fail, free_from, free_until, next);
    }
    fails_.clear();
  }

  void groundless(const LoggedCall& fail, std::int64_t free_from, std::int64_t free_until,
                  const Section* next) {
    for (const OptionalHold& dead : optional_) {
      const std::int64_t until =
          claims_.crash == CrashBehaviour::kTakeover ? kNever : dead.dies_until;
      if (dead.call->invoked_ns <= fail.returned_ns && until >= fail.invoked_ns) {
        return ledger_.needs_search();
      }
    }
    if (converts_) return ledger_.needs_search();
    for (const Worker& other : workers_) {  // A hold that breaks the order may explain it still.
      if (next != nullptr && other.acquire != nullptr && other.ar < next->ri &&
          other.ai <= fail.returned_ns) {
        return;
      }
    }
    const std::int64_t before = free_from == kEver ? kNever : fail.invoked_ns - free_from;
    const std::int64_t after = free_until == kNever ? kNever : free_until - fail.returned_ns;
    // It is certain once all that could have held the lock meanwhile is known to have come later.
    std::int64_t at = std::max(fail.returned_ns, last_shared_.ar);
    if (next != nullptr) at = std::max(at, next->ar);
    ledger_.record(
        fail.verb() == Verb::kTry ? Breach::kGroundlessFailure : Breach::kGroundlessTimeout, at,
        std::min(before, after),
        {last_.acquire, last_.release, &fail, next != nullptr ? next->acquire : nullptr});
  }

  /// At the end: calls that never returned may explain failures, if they came after all else.
  void settle_with_pending() {
    if (fails_.empty()) return;
    std::int64_t exclusive_from = kNever;
    for (const LoggedCall* call : pending_) {
      if (call->mode() != Mode::kExclusive) continue;
      exclusive_from =
          std::min(exclusive_from, std::max({call->invoked_ns, last_.ri, last_shared_.ri}));
    }
    std::vector<const LoggedCall*> by_exclusive, by_shared;
    for (const LoggedCall* fail : fails_) {
      if (fail->returned_ns < exclusive_from) by_exclusive.push_back(fail);
      const bool explained = std::any_of(pending_.begin(), pending_.end(), [&](const auto* call) {
        return fail->mode() == Mode::kExclusive && call->mode() == Mode::kShared &&
               fail->returned_ns >= std::max(call->invoked_ns, last_.ri);
      });
      if (!explained) by_shared.push_back(fail);
    }
    fails_ = by_exclusive.size() <= by_shared.size() ? by_exclusive : by_shared;
    settle(kNever, nullptr);
  }

  void undefined(const LoggedCall& call) {
    call.pending() ? ledger_.perhaps_outside_contract(call.invoked_ns)
                   : ledger_.outside_contract(call.invoked_ns);
  }

  // --- Small questions --------------------------------------------------------------------------

  static bool is_refusal(Outcome outcome) {
    return outcome == Outcome::kNotOwner || outcome == Outcome::kNotLocked ||
           outcome == Outcome::kOverRelease;
  }

  bool signalled(const LoggedCall& call) const {
    return std::any_of(lock_.signals.begin(), lock_.signals.end(), [&](const SignalWindow& s) {
      return s.worker == call.worker && s.from_ns <= call.returned_ns && s.to_ns >= call.invoked_ns;
    });
  }

  const Claims& claims_;
  const bool refuses_nothing_;
  const bool owned_;
  const bool survives_;
  const LockLogs& lock_;
  Ledger& ledger_;
  std::vector<Worker> workers_;
  std::vector<std::int64_t> exclusive_from_;  // From when each certainly holds it; or kNever.
  Section last_;                              // The last exclusive section in the order of ri.
  Section last_shared_;                       // Since then, the shared one with the latest ri ...
  std::int64_t earliest_shared_ar_ = kNever;  // ... and the earliest ar of any.
  bool any_shared_ = false;
  std::vector<const LoggedCall*>
      fails_;  // Not explained yet, all since the last exclusive section.
  std::vector<const LoggedCall*> pending_;
  std::vector<OptionalHold> optional_;
  std::int64_t damaged_from_ = kNever;
  bool converts_ = false;
  bool weighed_ = false;  // A failure was explained by more than a certain hold or an excuse.
  bool vague_ = false;    // A section without a certain hold stands before the next.
};

/// Deaths in the order of their earliest instant.
std::vector<std::pair<std::int64_t, std::uint16_t>> announce(OwnedSweep& sweep,
                                                             const LockLogs& lock) {
  std::vector<std::pair<std::int64_t, std::uint16_t>> order;
  for (const Death& death : lock.deaths) {
    const auto& log = lock.logs[death.worker];
    const std::int64_t earliest = earliest_of(death, log);
    sweep.expect_death(death, earliest, !log.empty() && log.back().pending());
    order.emplace_back(earliest, death.worker);
  }
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

bool owned_sweep_applies(const Claims& claims, const LockLogs& lock) {
  if (claims.semaphore) return false;
  return lock.process.empty() || (claims.releaser != Releaser::kProcess && lock.deaths.empty());
}

void sweep_owned(const Claims& claims, Home home, const LockLogs& lock, Ledger& ledger) {
  OwnedSweep sweep(claims, home, lock, lock.logs.size(), ledger);
  const auto deaths = announce(sweep, lock);
  std::size_t next_death = 0;
  LogMerge merge(lock.logs);
  while (const LoggedCall* call = merge.next()) {
    while (next_death < deaths.size() && deaths[next_death].first < call->invoked_ns) {
      sweep.push_death(deaths[next_death++].second);
    }
    sweep.push(*call);
  }
  while (next_death < deaths.size()) sweep.push_death(deaths[next_death++].second);
  sweep.finish();
}

void sweep_owned_ordered(const Claims& claims, Home home, std::span<const LoggedCall> calls,
                         std::size_t workers, Ledger& ledger) {
  const LockLogs nothing_else;
  OwnedSweep sweep(claims, home, nothing_else, workers, ledger);
  for (const LoggedCall& call : calls) sweep.push(call);
  sweep.finish();
}

}  // namespace hobbs
