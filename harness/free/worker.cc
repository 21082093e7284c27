// Long because it is the one interpreter of programs: a method a verb.
#include "harness/free/worker.h"

#include <fmt/format.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "harness/free/file_nemesis.h"
#include "harness/free/patience.h"
#include "harness/free/story.h"
#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

// A failed timed call is early only by more than what clocks of one machine may differ.
constexpr std::int64_t kClockSlackNs = 50'000;
constexpr std::uint32_t kIdledTooOften = 10;
constexpr std::uint32_t kLevelsBetweenDwells = 16;
constexpr std::int64_t kAfterRemovalNs = 1'000'000;

timespec to_timespec(std::int64_t ns) {
  return {ns / 1'000'000'000, static_cast<long>(ns % 1'000'000'000)};
}

std::string words_of(const Step& step) { return call_words(step.verb, step.mode, step.lock); }

bool is_refusal(Outcome outcome) {
  return outcome == Outcome::kNotOwner || outcome == Outcome::kNotLocked ||
         outcome == Outcome::kOverRelease;
}

}  // namespace

std::size_t locks_of(const Program& program) {
  std::size_t most = 0;
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) most = std::max<std::size_t>(most, step.lock);
  }
  return most + 1;
}

std::size_t forks_of(const Program& program, std::size_t workers) {
  std::size_t forks = 0;
  for (std::size_t w = 0; w < std::min(workers, program.workers.size()); ++w) {
    for (const Step& step : program.workers[w]) forks += step.verb == Verb::kFork ? 1 : 0;
  }
  return forks;
}

std::uint32_t id_of(const Program& program, std::size_t index) {
  const std::size_t n = program.workers.size();
  if (index < n) return platform_id(program, index);
  // A forked one, or the auditor: the lowest numbers that are left.
  std::size_t left = index - n;
  for (std::uint32_t id = 1;; ++id) {
    bool taken = false;
    for (std::size_t i = 0; i < n; ++i) taken = taken || platform_id(program, i) == id;
    if (!taken && left-- == 0) return id;
  }
}

Worker::Worker(const Assignment& assignment, Arena& arena, std::size_t index)
    : assignment_(assignment),
      lock_(*assignment.lock),
      ops_(*assignment.ops),
      steps_(index < assignment.program.workers.size() ? assignment.program.workers[index]
                                                       : std::vector<Step>()),
      arena_(arena),
      slot_(&arena.slots[index]),
      id_(id_of(assignment.program, index)),
      index_(index),
      witness_(arena, assignment.lock->claims),
      recorder_(arena.clock, arena.slots[index], arena.records_of(index)),
      dice_(assignment.seed * 64 + index + 1),
      hook_dice_(assignment.seed * 64 + index + 0x5bd1) {}

void Worker::run_steps(std::size_t from) {
  holds_.clear();
  depth_.fill(0);
  next_child_ = assignment_.program.workers.size() + forks_of(assignment_.program, index_);
  just_released_ = false;
  // So that not always the same one comes first.
  if (dice_.below(2) == 0) spin_for_ns(dice_.below(3'000));
  for (std::uint32_t i = 0; i < assignment_.program.repeat; ++i) {
    for (std::size_t s = from; s < steps_.size() && !over(); ++s) {
      if (steps_[s].verb != Verb::kFork) {
        perform(steps_[s]);
        continue;
      }
      just_released_ = false;
      if (fork_worker()) {
        // The child: it holds nothing, runs what is left, and is gone, half the time in good order.
        for (++s; s < steps_.size() && !over(); ++s) perform(steps_[s]);
        while (!holds_.empty() && !over()) release();
        set_stage(Stage::kDone);
        if (dice_.below(2) == 0) destroy_locks();
        _exit(0);
      }
    }
    while (!holds_.empty() && !over()) release();
  }
  outlive_forked();
  for (const pid_t child : children_) wait_for_worker(child);
  children_.clear();
}

void Worker::perform(const Step& step) {
  just_released_ = just_released_ && step.verb == Verb::kAcquire;
  switch (step.verb) {
    case Verb::kAcquire:
    case Verb::kTry:
    case Verb::kTimed: return acquire(step);
    case Verb::kRelease: return release();
    case Verb::kUpgrade:
    case Verb::kTryUpgrade:
    case Verb::kDowngrade: return convert(step);
    case Verb::kMisuse: return misuse(step);
    case Verb::kDestroy: return destroy_if_last();
    case Verb::kWork: return work(step);
    case Verb::kMeet: return meet(step);
    case Verb::kExec: return start_sleeper();
    case Verb::kRest: return rest(step.amount);
    default: return;
  }
}

/// Stores that other cores' caches hold: until they are done, so long the lock's own next store is
/// seen by nobody, while its loads go ahead. What lacks a fence there shows.
void Worker::fill_store_buffer() {
  if (dice_.below(2) == 0) return;
  for (Arena::Line& line : arena_.noise) line.word.store(id_, std::memory_order_relaxed);
}

Outcome Worker::call(const Step& step, std::int64_t deadline_ns) {
  void* lock = locks_[step.lock];
  const bool shared = step.mode == Mode::kShared;
  slot_->verb.store(static_cast<std::uint8_t>(step.verb), std::memory_order_relaxed);
  slot_->mode.store(static_cast<std::uint8_t>(step.mode), std::memory_order_relaxed);
  slot_->lock.store(step.lock, std::memory_order_relaxed);
  slot_->deadline_ns.store(deadline_ns, std::memory_order_relaxed);
  slot_->idled.store(0, std::memory_order_relaxed);
  set_stage(Stage::kCalling);
  pass_point();
  if (step.verb == Verb::kRelease) fill_store_buffer();
  RecordedCall recorded{arena_.round.load(std::memory_order_relaxed), step.verb, step.mode,
                        step.lock, Outcome::kAcquired};
  Outcome outcome = Outcome::kSystemError;
  if (just_released_ && step.verb == Verb::kAcquire) {
    recorder_.begin_at_once(recorded, lock);
  } else {
    recorder_.begin(recorded, deadline_ns, lock);
  }
  switch (step.verb) {
    case Verb::kAcquire: outcome = shared ? ops_.acquire_shared(lock) : ops_.acquire(lock); break;
    case Verb::kTry:
      outcome = shared ? ops_.try_acquire_shared(lock) : ops_.try_acquire(lock);
      break;
    case Verb::kTimed:
      outcome = shared ? ops_.acquire_shared_until(lock, deadline_ns)
                       : ops_.acquire_until(lock, deadline_ns);
      break;
    case Verb::kUpgrade: outcome = ops_.upgrade(lock); break;
    case Verb::kTryUpgrade: outcome = ops_.try_upgrade(lock); break;
    case Verb::kDowngrade: outcome = ops_.downgrade(lock); break;
    default: outcome = shared ? ops_.release_shared(lock) : ops_.release(lock); break;
  }
  recorded.outcome = outcome;
  recorder_.end(recorded);
  just_released_ = step.verb == Verb::kRelease && !needs_hooks(assignment_.nemesis);
  set_stage(Stage::kMoving);
  return outcome;
}

void Worker::acquire(const Step& step) {
  const std::uint64_t word = arena_.witnesses[step.lock].word.load(std::memory_order_relaxed);
  if (word != 0 && depth_[step.lock] == 0) {
    slot_->contended.fetch_add(1, std::memory_order_relaxed);
  }
  const std::uint32_t times =
      step.verb == Verb::kAcquire && step.amount > 1 ? static_cast<std::uint32_t>(step.amount) : 1;
  Hold hold{step.lock, step.mode, false, 0};
  for (std::uint32_t i = 0; i < times && !over(); ++i) {
    const std::int64_t deadline =
        step.verb == Verb::kTimed ? deadline_of(step, now_ns()) : INT64_MAX;
    const Outcome outcome = call(step, deadline);
    if (!holds(outcome)) {
      judge_failure(step, outcome, deadline);
      break;
    }
    slot_->acquired.fetch_add(1, std::memory_order_relaxed);
    hold.taken = true;
    ++hold.times;
    if (assignment_.destroys()) came_as_ = arena_.entered.fetch_add(1) + 1;
    judge_success(step, outcome);
    ++depth_[step.lock];
  }
  holds_.push_back(hold);
  pass_point();
}

bool Worker::sleeper_lives() const {
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    if (arena_.slots[i].child.load() != 0) return true;
  }
  return false;
}

bool Worker::somebody_died() const {
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    if (arena_.slots[i].dying.load() != 0) return true;
  }
  return false;
}

/// Each of these signals found the worker with a processor, and it went back to its wait.
void Worker::judge_patience(const Step& step) {
  const std::uint32_t idled = slot_->idled.load();
  if (step.verb != Verb::kTimed || idled < kIdledTooOften) return;
  accuse("TO-2", 0,
         fmt::format("{} of worker {} was woken {} times after its deadline, and waited on",
                     words_of(step), id_, idled),
         false);
}

void Worker::judge_success(const Step& step, Outcome outcome) {
  judge_patience(step);
  const CrashBehaviour crash = lock_.claims.crash;
  if (depth_[step.lock] > 0 && !lock_.claims.semaphore) {
    if (lock_.claims.reentrant) return;
    if (step.mode == Mode::kExclusive) {
      accuse("RE-3", id_,
             fmt::format("{} by worker {}, which holds the lock, ended with \"{}\"", words_of(step),
                         id_, to_string(outcome)));
    }
    return;
  }
  bool after_death = false;
  accuse(witness_.enter(*slot_, step.lock, step.mode, &after_death));
  const bool told = outcome == Outcome::kOwnerDied;
  if (told && !somebody_died()) {
    accuse("CR-3", 0, fmt::format("worker {} was told that the owner died, and nobody has", id_));
  } else if (after_death && !told && crash == CrashBehaviour::kOwnerDied &&
             step.mode == Mode::kExclusive) {
    accuse("CR-3", 0, fmt::format("worker {} got a dead owner's lock and was not told so", id_));
  }
}

void Worker::judge_failure(const Step& step, Outcome outcome, std::int64_t deadline_ns) {
  slot_->refused.fetch_add(1, std::memory_order_relaxed);
  const bool mine = depth_[step.lock] > 0;
  const bool by_chance = step.verb == Verb::kTry && step.mode == Mode::kShared &&
                         outcome == Outcome::kBusy && lock_.claims.spurious_try_failure;
  if (mine && lock_.claims.reentrant && !by_chance) {
    accuse("RE-1", 0,
           fmt::format("{} by worker {}, which holds the re-entrant lock, ended with "
                       "\"{}\"",
                       words_of(step), id_, to_string(outcome)));
  } else if (mine && (outcome == Outcome::kDeadlock || outcome == Outcome::kReentryRefused)) {
    return;
  } else if (step.verb == Verb::kTry && outcome == Outcome::kBusy) {
    return;
  } else if (step.verb != Verb::kTry && outcome == Outcome::kInterrupted &&
             sends_signals(assignment_.nemesis)) {
    return;
  } else if (outcome == Outcome::kSystemError && takes_away(assignment_.nemesis)) {
    return;
  } else if (arena_.hostile.load() != 0) {
    return;
  } else if (outcome == Outcome::kDeadlock) {
    accuse("DL-4", 0,
           fmt::format("{} of worker {}, which holds nothing of it, was refused as a deadlock",
                       words_of(step), id_));
  } else if (step.verb == Verb::kTimed && outcome == Outcome::kTimedOut) {
    const std::int64_t early = deadline_ns - now_ns();
    if (early > kClockSlackNs) {
      accuse("TO-1", 0,
             fmt::format("{} of worker {} gave up {} us before its deadline", words_of(step), id_,
                         early / 1000));
    }
    judge_patience(step);
  } else {
    const char* const rule = step.verb == Verb::kTry     ? "TR-4"
                             : step.verb == Verb::kTimed ? "TO-10"
                                                         : "ME-4";
    accuse(rule, 0,
           fmt::format("{} of worker {} ended with \"{}\", which it may not", words_of(step), id_,
                       to_string(outcome)));
  }
}

void Worker::release() {
  if (holds_.empty()) return;
  const Hold hold = holds_.back();
  holds_.pop_back();
  if (!hold.taken) return;
  const Step step{Verb::kRelease, hold.mode, hold.lock, 0};
  pass_point();
  for (std::uint32_t i = 0; i < hold.times && !over(); ++i) {
    // Deep inside, others get their chance at every few levels.
    if (i % kLevelsBetweenDwells == kLevelsBetweenDwells - 1) dwell(0);
    if (--depth_[hold.lock] == 0 || lock_.claims.semaphore) {
      accuse(witness_.leave(*slot_, hold.lock, hold.mode));
      if (assignment_.nemesis == Nemesis::kRemovals && dice_.below(2) == 0 &&
          remove_file(path_of(hold.lock), dice_)) {
        slot_->strikes.fetch_add(1, std::memory_order_relaxed);
        // Another may come in before the release: what is at the path then is not the leaver's.
        if (dice_.below(2) == 0) dwell(kAfterRemovalNs);
      }
    }
    const Outcome outcome = call(step, INT64_MAX);
    if (outcome == Outcome::kReleased) continue;
    accuse("ME-4", 0,
           fmt::format("{} of worker {}, which holds the lock, ended with \"{}\"", words_of(step),
                       id_, to_string(outcome)));
  }
}

void Worker::convert(const Step& step) {
  if (holds_.empty() || !holds_.back().taken) return;
  Hold& hold = holds_.back();
  const bool down = step.verb == Verb::kDowngrade;
  if ((hold.mode == Mode::kExclusive) != down) return;
  Step named = step;
  named.lock = hold.lock;
  if (down) accuse(witness_.sink(*slot_, hold.lock));  // Others may share before it returns.
  const Outcome outcome = call(named, INT64_MAX);
  const bool interrupted =
      outcome == Outcome::kInterrupted && sends_signals(assignment_.nemesis) && !down;
  if (down ? outcome == Outcome::kReleased : holds(outcome)) {
    hold.mode = down ? Mode::kShared : Mode::kExclusive;
    if (!down) accuse(witness_.rise(*slot_, hold.lock));
  } else if (down || (outcome != Outcome::kUpgradeRefused && !interrupted)) {
    accuse(down ? "ME-4" : "RW-5", 0,
           fmt::format("{} of worker {} ended with \"{}\", which it may not", words_of(named), id_,
                       to_string(outcome)));
  }
}

/// A release by somebody who holds nothing, of a lock that promises to notice.
void Worker::misuse(const Step& step) {
  if (depth_[step.lock] != 0) return;
  const Outcome outcome = call({Verb::kMisuse, step.mode, step.lock, 0}, INT64_MAX);
  if (is_refusal(outcome)) return;
  accuse("MU-2", 0,
         fmt::format("worker {}, which does not hold the lock, released it and was told "
                     "\"{}\"",
                     id_, to_string(outcome)));
}

/// Works with the data of the innermost hold; the counter tells lost updates on its own.
void Worker::work(const Step& step) {
  if (holds_.empty() || !holds_.back().taken) return;
  const Hold hold = holds_.back();
  std::atomic<std::uint64_t>& guarded = arena_.witnesses[hold.lock].guarded;
  const std::uint64_t before = guarded.load(std::memory_order_relaxed);
  if (assignment_.nemesis == Nemesis::kAliases) close_alias(hold.lock);
  dwell(step.amount);
  if (lock_.claims.semaphore && lock_.claims.permits > 1) return;
  if (hold.mode == Mode::kExclusive) {
    guarded.store(before + 1, std::memory_order_relaxed);
    slot_->added[hold.lock].fetch_add(1, std::memory_order_relaxed);
  } else if (guarded.load(std::memory_order_relaxed) != before) {
    accuse("RW-1", 0,
           fmt::format("the guarded counter changed while worker {} was inside shared", id_));
  }
}

void Worker::dwell(std::int64_t ns) {
  if (ns >= 1'000'000) {
    // Long enough to sleep: others shall have the processor meanwhile.
    timespec time = to_timespec(ns);
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
    return;
  }
  if (ns > 0) return spin_for_ns(ns);
  const std::uint32_t draw = dice_.below(16);
  if (draw < 8) return;
  if (draw < 12) return spin_for_ns(dice_.below(2'000));
  if (draw < 15) {
    sched_yield();
    return;
  }
  spin_for_ns(dice_.below(20'000));
}

void Worker::rest(std::int64_t ns) {
  set_stage(Stage::kResting);
  const timespec time = to_timespec(ns);
  nanosleep(&time, nullptr);
  set_stage(Stage::kMoving);
}

/// Inside, until `amount` workers are in a meet. Who did not get in only counts as having come.
void Worker::meet(const Step& step) {
  const auto size = static_cast<std::uint32_t>(std::max<std::int64_t>(step.amount, 1));
  const std::uint32_t arrival = arena_.met.fetch_add(1) + 1;
  if (holds_.empty() || !holds_.back().taken) return;
  const std::uint32_t target = (arrival + size - 1) / size * size;
  slot_->lock.store(holds_.back().lock, std::memory_order_relaxed);
  set_stage(Stage::kMeeting);
  wait_until([&] { return over() || arena_.met.load() >= target; });
  set_stage(Stage::kMoving);
}

void Worker::set_stage(Stage stage) {
  slot_->stage.store(stage);
  slot_->progress.fetch_add(1, std::memory_order_relaxed);
}

void Worker::accuse(const std::optional<Clash>& clash) {
  if (clash) accuse(clash->rule, clash->other, clash->text);
}

void Worker::accuse(const char* rule, std::uint32_t other, const std::string& text, bool proven) {
  if (!assignment_.witness) return;
  Violation& v = arena_.violation;
  if (v.claimed.exchange(1) == 0) {
    v.rule[std::string(rule).copy(v.rule, sizeof v.rule - 1)] = 0;
    v.text[text.copy(v.text, sizeof v.text - 1)] = 0;
    v.worker = id_;
    v.other = other;
    v.proven = proven;
    v.at_ns = now_ns();
    v.complete.store(1);
  }
  arena_.over.store(1);
}

}  // namespace hobbs::gang
