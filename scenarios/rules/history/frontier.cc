#include "scenarios/rules/history/frontier.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/rules/history/merge.h"

namespace hobbs {
namespace {

constexpr std::size_t kLogsMax = kMaxWorkers;
constexpr std::int64_t kNever = INT64_MAX;
constexpr std::size_t kWaysMax = 100'000;  // Before one return: some 20 MB.

/// A call, or a death, between its beginning and its end.
struct Step {
  const LoggedCall* call = nullptr;  // Null: the death.
  std::int64_t to = kNever;
  std::uint16_t log = 0;
  bool odd = false;        // Which of the log's two places its mark has.
  bool optional = false;   // Need not take effect.
  bool preserves = false;  // Changes no state.
};

struct Configuration {
  ModelState state;
  std::uint64_t even = 0;  // Marks of open calls that have taken effect, by log.
  std::uint64_t odd = 0;
  bool operator==(const Configuration&) const = default;
};

struct Hash {
  std::size_t operator()(const Configuration& c) const {
    return c.state.hash() ^ (c.even * 0x9e3779b97f4a7c15u) ^ (c.odd * 0xc2b2ae3d27d4eb4fu);
  }
};

class Frontier {
 public:
  Frontier(const Claims& claims, Home home, const LockLogs& lock, std::uint64_t budget)
      : claims_(claims), model_(claims, home), lock_(lock), budget_(budget) {
    for (std::size_t log = 0; log < lock.process.size(); ++log) {
      model_.place(static_cast<std::uint32_t>(log) + 1, lock.process[log]);
    }
    alike_ = claims.semaphore &&
             (claims.crash != CrashBehaviour::kReleasedBySystem || lock.deaths.empty());
    const bool takes_over = claims.crash == CrashBehaviour::kOwnerDied ||
                            claims.crash == CrashBehaviour::kTakeover;  // Who comes first matters.
    owned_ = !claims.semaphore && claims.releaser != Releaser::kAnyone && lock.process.empty() &&
             (lock.deaths.empty() || !takes_over);
    calls_of_.assign(lock.logs.size(), 0);
    now_.emplace_back();
  }

  SearchResult run() {
    for (const Death& death : lock_.deaths) {
      deaths_.emplace_back(earliest_of(death, lock_.logs[death.worker]), &death);
    }
    std::sort(deaths_.begin(), deaths_.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    LogMerge merge(lock_.logs);
    const LoggedCall* next = merge.next();
    while (result_.kind == SearchResult::Kind::kLegal) {
      const std::int64_t death_from =
          next_death_ < deaths_.size() ? deaths_[next_death_].first : kNever;
      const std::int64_t call_from = next != nullptr ? next->invoked_ns : kNever;
      const std::int64_t from = std::min(death_from, call_from);
      const auto first = std::min_element(open_.begin(), open_.end(),
                                          [](const Step& a, const Step& b) { return a.to < b.to; });
      const bool more = next != nullptr || next_death_ < deaths_.size();
      if (first != open_.end() && first->to < from) {
        end(static_cast<std::size_t>(first - open_.begin()));
      } else if (!more) {
        if (first == open_.end() || first->to == kNever) break;
        end(static_cast<std::size_t>(first - open_.begin()));
      } else if (death_from < call_from) {
        const Death& death = *deaths_[next_death_++].second;
        begin({.to = std::max(death.to_ns, death_from), .log = death.worker});
      } else {
        begin_call(*next);
        next = merge.next();
      }
    }
    result_.states = visited_;
    return result_;
  }

 private:
  static std::uint64_t bit(std::uint16_t log) { return std::uint64_t{1} << log; }
  bool done(const Configuration& c, const Step& s) const {
    if (s.call == nullptr) return (c.state.dead & bit(s.log)) != 0;
    return ((s.odd ? c.odd : c.even) & bit(s.log)) != 0;
  }
  static void mark(Configuration& c, const Step& s) {
    if (s.call != nullptr) (s.odd ? c.odd : c.even) |= bit(s.log);
  }

  void begin_call(const LoggedCall& call) {
    Step step{.call = &call, .to = call.returned_ns, .log = call.worker};
    step.odd = (calls_of_[call.worker]++ & 1) != 0;
    step.optional = call.pending();
    step.preserves =
        !call.pending() && !hobbs::holds(call.outcome) && call.outcome != Outcome::kReleased;
    const auto open = std::count_if(open_.begin(), open_.end(), [&](const Step& other) {
      return other.log == call.worker && other.call != nullptr;
    });
    crowded_ |= open != 0;
    if (open >= 2) return give_up(call.invoked_ns);  // The clocks are too coarse for the calls.
    begin(step);
  }

  void begin(const Step& step) {
    open_.push_back(step);
    const bool fails =
        std::any_of(open_.begin(), open_.end(), [](const Step& s) { return s.preserves; });
    if (!fails) return;
    // Whoever waits now may be the excuse of those that fail.
    for (Configuration& c : now_) settle(c);
    unite(now_);
  }

  void end(std::size_t index) {
    const Step step = open_[index];
    force(step);
    if (now_.empty()) {
      result_.kind = outside_ ? SearchResult::Kind::kOutside : SearchResult::Kind::kIllegal;
      if (step.call != nullptr) result_.culprit = *step.call;
      result_.at_ns = step.to;
      return;
    }
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(index));
    if (step.call != nullptr) {
      for (Configuration& c : now_) (step.odd ? c.odd : c.even) &= ~bit(step.log);
    }
    unite(now_);
  }

  /// Leaves the configurations in which `step` has taken effect, having followed every path to one.
  void force(const Step& step) {
    if (follow(step, true) || !owned_) return;
    follow(step, false);  // Nothing explains it, unless a call outside the contract was first.
  }

  /// Whether any is left; if not, nothing has changed.
  bool follow(const Step& step, bool only_what_helps) {
    std::vector<Configuration> reached;
    std::vector<Configuration> ways;
    for (const Configuration& c : now_) (done(c, step) ? reached : ways).push_back(c);
    const std::vector<Configuration> without =
        step.optional ? ways : std::vector<Configuration>();  // It never happened.
    seen_.clear();
    for (const Configuration& c : ways) seen_.emplace(c, true);
    for (std::size_t i = 0; i < ways.size(); ++i) {
      if (++visited_ > budget_ || ways.size() > kWaysMax) {
        give_up(step.to);
        return true;
      }
      const Configuration here = ways[i];  // The vector grows below.
      for (const Step& other : open_) {
        if (done(here, other) || other.preserves || left_to_others(here, other)) continue;
        if (only_what_helps && !helps(here, step, other)) continue;
        take_effect(here, other, [&](Configuration& next) {
          settle(next);
          if (!seen_.emplace(next, true).second) return;
          (done(next, step) ? reached : ways).push_back(next);
        });
      }
    }
    reached.insert(reached.end(), without.begin(), without.end());
    if (reached.empty() && only_what_helps && owned_) return false;
    now_ = std::move(reached);
    return !now_.empty();
  }

  /// Of calls that do the same to a semaphore, the one that ends first goes first.
  bool left_to_others(const Configuration& c, const Step& step) const {
    if (!alike_ || step.call == nullptr) return false;
    return std::any_of(open_.begin(), open_.end(), [&](const Step& other) {
      return &other != &step && other.call != nullptr && !other.preserves && !done(c, other) &&
             other.optional == step.optional &&
             (step.optional || other.call->outcome == step.call->outcome) && ready(c, other) &&
             is_release(other.call->verb()) == is_release(step.call->verb()) &&
             (other.to < step.to || (other.to == step.to && &other < &step));
    });
  }

  /// Whether it can matter for `step`, which is due, that `other` takes effect before it. Of an
  /// owned lock, a hold that begins now cannot end before `step` (its release has not begun), so
  /// it can only be in the way, or else as well begin later; and releases commute.
  bool helps(const Configuration& c, const Step& step, const Step& other) const {
    if ((other.call == step.call && other.log == step.log) || !owned_ || crowded_ ||
        other.call == nullptr || step.call == nullptr || other.optional || step.optional) {
      return true;
    }
    if (step.call->outcome == Outcome::kReleased) return false;
    const Verb verb = other.call->verb();
    if (hobbs::holds(step.call->outcome)) {
      if (!is_release(verb) && verb != Verb::kDowngrade) return false;
    } else if (is_acquire(step.call->verb()) && step.call->mode() == Mode::kShared &&
               is_acquire(verb) && other.call->mode() == Mode::kShared) {
      return false;
    }
    if (!is_release(verb)) return true;
    return std::none_of(open_.begin(), open_.end(), [&](const Step& earlier) {
      return &earlier < &other && earlier.call != nullptr && earlier.call != step.call &&
             !earlier.optional && is_release(earlier.call->verb()) && !earlier.preserves &&
             !done(c, earlier);
    });
  }

  /// All that its worker did before has taken effect.
  bool ready(const Configuration& c, const Step& step) const {
    for (const Step& other : open_) {
      if (other.log != step.log || &other == &step || other.call == nullptr) continue;
      const bool before = step.call == nullptr || other.call < step.call;
      if (before && !other.optional && !done(c, other)) return false;
    }
    return true;
  }

  template <class Visit>
  void take_effect(const Configuration& c, const Step& step, Visit visit) {
    if (!ready(c, step)) return;
    if (step.call == nullptr) {
      Configuration next = c;
      const auto& log = lock_.logs[step.log];
      const bool inside = !log.empty() && log.back().pending();
      for (const Step& other : open_) {  // What it is in the middle of cannot take effect any more.
        if (other.log == step.log && other.call != nullptr) mark(next, other);
      }
      model_.die(next.state, step.log + 1u, inside);
      return visit(next);
    }
    if ((c.state.dead & bit(step.log)) != 0) return;
    const Call call = call_of(step);
    if (model_.expect(c.state, call).undefined) {
      outside_ = true;
      return;
    }
    constexpr Outcome kEffects[] = {Outcome::kAcquired, Outcome::kOwnerDied, Outcome::kReleased};
    for (const Outcome outcome : kEffects) {
      if (!step.optional && outcome != step.call->outcome) continue;
      Configuration next = c;
      if (!model_.apply(next.state, call, outcome)) continue;
      mark(next, step);
      visit(next);
    }
  }

  /// Lets every open call that changes nothing happen, where it may.
  void settle(Configuration& c) {
    for (bool again = true; again;) {
      again = false;
      for (const Step& step : open_) {
        if (!step.preserves || done(c, step) || !ready(c, step)) continue;
        const Outcome outcome = step.call->outcome;
        if (outcome != Outcome::kSystemError && outcome != Outcome::kBadArgument) {
          const Call call = call_of(step);
          const Expectation e = model_.expect(c.state, call);
          outside_ |= e.undefined;
          if (e.undefined || !(e.outcomes.contains(outcome) || excused(step, call, c))) continue;
        }
        mark(c, step);
        again = true;
      }
    }
  }

  Call call_of(const Step& step) const {
    const LoggedCall& logged = *step.call;
    Call call{.worker = step.log + 1u, .verb = logged.verb(), .mode = logged.mode()};
    call.expired = logged.expired();
    call.signalled =
        std::any_of(lock_.signals.begin(), lock_.signals.end(), [&](const SignalWindow& s) {
          return s.worker == step.log && s.from_ns <= logged.returned_ns &&
                 s.to_ns >= logged.invoked_ns;
        });
    for (const Step& other : open_) {
      if (other.log == step.log || other.call == nullptr) continue;
      const Verb verb = other.call->verb();
      call.exclusive_waiting |= is_upgrade(verb) || (is_acquire(verb) && verb != Verb::kTry &&
                                                     other.call->mode() == Mode::kExclusive);
    }
    return call;
  }

  /// See owned_sweep.h: a conflicting wait that will be given up is under way.
  bool excused(const Step& step, const Call& call, const Configuration& c) const {
    const Outcome outcome = step.call->outcome;
    const bool fails = (call.verb == Verb::kTry && outcome == Outcome::kBusy) ||
                       (call.verb == Verb::kTimed && call.expired && outcome == Outcome::kTimedOut);
    if (!fails || model_.holds(c.state, call.worker, Mode::kExclusive) ||
        model_.holds(c.state, call.worker, Mode::kShared)) {
      return false;
    }
    return std::any_of(open_.begin(), open_.end(), [&](const Step& other) {
      return other.log != step.log && other.preserves && is_acquire(other.call->verb()) &&
             other.call->verb() != Verb::kTry && other.call->outcome != Outcome::kSystemError &&
             other.call->outcome != Outcome::kBadArgument &&
             (other.call->mode() == Mode::kExclusive || call.mode == Mode::kExclusive);
    });
  }

  void unite(std::vector<Configuration>& all) {
    if (all.size() < 2) return;
    seen_.clear();
    std::erase_if(all, [this](const Configuration& c) { return !seen_.emplace(c, true).second; });
  }

  void give_up(std::int64_t at_ns) {
    result_.kind = SearchResult::Kind::kUndecided;
    result_.at_ns = at_ns;
  }

  const Claims& claims_;
  Model model_;
  const LockLogs& lock_;
  const std::uint64_t budget_;
  bool owned_ = false;
  bool crowded_ = false;  // A worker has had two calls open at once, as coarse clocks show it.
  bool alike_ = false;    // Calls of different workers do the same.
  std::vector<std::uint64_t> calls_of_;
  std::vector<std::pair<std::int64_t, const Death*>> deaths_;
  std::size_t next_death_ = 0;
  std::vector<Step> open_;
  std::vector<Configuration> now_;
  std::unordered_map<Configuration, bool, Hash> seen_;
  std::uint64_t visited_ = 0;
  bool outside_ = false;
  SearchResult result_;
};

}  // namespace

SearchResult search_history(const Claims& claims, Home home, const LockLogs& lock,
                            std::uint64_t budget) {
  if (lock.logs.size() > kLogsMax) {
    SearchResult result;
    result.kind = SearchResult::Kind::kUndecided;
    return result;
  }
  return Frontier(claims, home, lock, budget).run();
}

}  // namespace hobbs
