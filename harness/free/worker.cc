#include "harness/free/worker.h"

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

// A failed timed call is early only by more than what clocks of one machine may differ.
constexpr std::int64_t kClockSlackNs = 50'000;
constexpr std::int64_t kProbeDeadlineAgoNs = 1'000'000;
constexpr std::uint32_t kProbeExpiredEvery = 8;
constexpr int kSpinsBeforeYield = 200;
constexpr int kYieldsBeforeSleep = 3000;

/// Waits on the harness's own words: spins, then yields, then sleeps a little at a time.
template <class Ready>
void wait_until(Ready&& ready) {
  for (int looks = 0; !ready(); ++looks) {
    if (looks < kSpinsBeforeYield) {
      RealPlatform::pause();
    } else if (looks < kYieldsBeforeSleep) {
      sched_yield();
    } else {
      const timespec time{0, 500'000};
      nanosleep(&time, nullptr);
    }
  }
}

constexpr std::uint64_t exclusive_word(std::uint32_t id) {
  return static_cast<std::uint64_t>(id) << 32;
}
constexpr std::uint32_t writer_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
constexpr std::uint32_t sharers_of(std::uint64_t word) { return static_cast<std::uint32_t>(word); }

const char* name_of(Verb verb, Mode mode) {
  const bool shared = mode == Mode::kShared;
  switch (verb) {
    case Verb::kTry: return shared ? "try_lock_shared" : "try_lock";
    case Verb::kTimed: return shared ? "try_lock_shared_until" : "try_lock_until";
    case Verb::kRelease: return shared ? "unlock_shared" : "unlock";
    case Verb::kUpgrade: return "upgrade";
    case Verb::kTryUpgrade: return "try_upgrade";
    case Verb::kDowngrade: return "downgrade";
    default: return shared ? "lock_shared" : "lock";
  }
}

}  // namespace

std::size_t locks_of(const Program& program) {
  std::size_t most = 0;
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) most = std::max<std::size_t>(most, step.lock);
  }
  return most + 1;
}

std::uint32_t id_of(const Program& program, std::size_t index) {
  const auto n = static_cast<std::uint32_t>(program.workers.size());
  return 1 + (static_cast<std::uint32_t>(index) + program.first_id - 1) % n;
}

Worker::Worker(const Assignment& assignment, Arena& arena, std::size_t index)
    : assignment_(assignment),
      lock_(*assignment.lock),
      ops_(*assignment.ops),
      steps_(assignment.program.workers[index]),
      arena_(arena),
      slot_(arena.slots[index]),
      id_(id_of(assignment.program, index)),
      index_(index),
      dice_(assignment.seed * 64 + index + 1),
      hook_dice_(assignment.seed * 64 + index + 0x5bd1) {}

void Worker::run() {
  RealPlatform::attach(id_);
  slot_.id.store(id_);
  slot_.process.store(getpid());
  slot_.thread.store(static_cast<std::int32_t>(syscall(SYS_gettid)));
  const std::size_t locks = locks_of(assignment_.program);
  void* own = nullptr;
  if (lock_.home == Home::kPath) {
    const std::size_t stride = (ops_.size + 255) / 256 * 256;
    own = std::aligned_alloc(256, locks * stride);
    if (own == nullptr) _exit(1);
    std::memset(own, 0, locks * stride);
    for (std::size_t i = 0; i < locks; ++i) {
      locks_[i] = static_cast<char*>(own) + i * stride;
      ops_.construct(locks_[i], (assignment_.path + "." + std::to_string(i)).c_str());
    }
  } else {
    for (std::size_t i = 0; i < locks; ++i) locks_[i] = arena_.lock_at(i);
  }
  if (index_ == 0 && assignment_.program.preset != 0) preset();
  if (needs_hooks(assignment_.nemesis)) {
    arm_hooks(assignment_.nemesis, &hook_dice_, &slot_.delays);
  }
  while (gate()) run_steps();
  arm_hooks(Nemesis::Kind::kNone, nullptr, nullptr);
  set_stage(Stage::kDone);
  if (own != nullptr) {
    for (std::size_t i = 0; i < locks; ++i) ops_.destroy(locks_[i]);
    std::free(own);
  }
}

/// Uses the lock as often as the program says it has been used before.
void Worker::preset() {
  set_stage(Stage::kCalling);
  for (std::uint32_t i = 0; i < assignment_.program.preset && !over(); ++i) {
    ops_.acquire(locks_[0]);
    ops_.release(locks_[0]);
    slot_.progress.fetch_add(1, std::memory_order_relaxed);
  }
}

/// Waits until all have come; false once the gang is to leave.
bool Worker::gate() {
  set_stage(Stage::kWaiting);
  const std::uint32_t round = arena_.round.load();
  if (arena_.arrived.fetch_add(1) + 1 == arena_.expected.load()) {
    close_round();
    set_stage(Stage::kWaiting);
    arena_.arrived.store(0);
    arena_.met.store(0);
    // One worker decides for all, or some would leave and others wait for them.
    if (arena_.end_asked.load() != 0 || round >= arena_.rounds_wanted.load()) {
      arena_.ending.store(1);
    }
    arena_.round.store(round + 1);
  } else {
    wait_until([&] { return over() || arena_.round.load() != round; });
  }
  set_stage(Stage::kMoving);
  return !over() && arena_.ending.load() == 0;
}

/// All are at the gate: the locks must be free, whole and as if nothing had happened.
void Worker::close_round() {
  for (std::size_t i = 0; i < locks_of(assignment_.program) && !over(); ++i) {
    check_free(static_cast<std::uint8_t>(i));
  }
}

void Worker::check_free(std::uint8_t lock) {
  Witness& witness = arena_.witnesses[lock];
  std::uint64_t added = 0;
  for (std::size_t i = 0; i < arena_.workers.load(); ++i) added += arena_.slots[i].added[lock];
  const std::uint64_t guarded = witness.guarded.load(std::memory_order_relaxed);
  if (guarded != added) {
    accuse("ME-2", 0,
           "the guarded counter is %llu after %llu exclusive sections: updates were lost",
           static_cast<unsigned long long>(guarded), static_cast<unsigned long long>(added));
    return;
  }
  Step probe{Verb::kTry, Mode::kExclusive, lock, 0};
  const bool expired = ops_.acquire_until != nullptr && arena_.round % kProbeExpiredEvery == 3;
  if (expired) probe.verb = Verb::kTimed;
  if (!expired && (ops_.try_acquire == nullptr || lock_.claims.spurious_try_failure)) return;
  std::uint32_t permits = lock_.claims.semaphore ? lock_.claims.permits : 1;
  std::uint32_t got = 0;
  for (; got < permits && !over(); ++got) {
    const Outcome outcome = call(probe, now_ns() - kProbeDeadlineAgoNs);
    if (!holds(outcome)) {
      const bool shared = ops_.has_shared();
      accuse(expired  ? "TO-3"
             : shared ? "RW-3"
                      : "TR-2",
             0, "all workers are outside, and %s%s ended with \"%s\"%s",
             name_of(probe.verb, probe.mode), expired ? " with an expired deadline" : "",
             std::string(to_string(outcome)).c_str(),
             permits > 1 ? " before all permits were taken" : "");
      break;
    }
  }
  for (; got > 0; --got) {
    call({Verb::kRelease, Mode::kExclusive, lock, 0}, INT64_MAX);
  }
}

void Worker::run_steps() {
  holding_ = 0;
  depth_.fill(0);
  // So that not always the same one comes first.
  if (dice_.below(2) == 0) spin_for_ns(dice_.below(3'000));
  for (std::uint32_t i = 0; i < assignment_.program.repeat; ++i) {
    for (const Step& step : steps_) {
      if (over()) return;
      perform(step);
    }
    while (holding_ > 0 && !over()) release();
  }
}

void Worker::perform(const Step& step) {
  switch (step.verb) {
    case Verb::kAcquire:
    case Verb::kTry:
    case Verb::kTimed: return acquire(step);
    case Verb::kRelease: return release();
    case Verb::kUpgrade:
    case Verb::kTryUpgrade:
    case Verb::kDowngrade: return convert(step);
    case Verb::kWork: return work(step);
    case Verb::kMeet: return meet(step);
    case Verb::kRest: return rest(step.amount);
    default: return;
  }
}

Outcome Worker::call(const Step& step, std::int64_t deadline_ns) {
  void* const lock = locks_[step.lock];
  const bool shared = step.mode == Mode::kShared;
  slot_.verb.store(static_cast<std::uint8_t>(step.verb), std::memory_order_relaxed);
  slot_.mode.store(static_cast<std::uint8_t>(step.mode), std::memory_order_relaxed);
  slot_.lock.store(step.lock, std::memory_order_relaxed);
  slot_.deadline_ns.store(deadline_ns, std::memory_order_relaxed);
  set_stage(Stage::kCalling);
  record(Event::Kind::kCall, step);
  Outcome outcome = Outcome::kSystemError;
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
  record(Event::Kind::kReturn, step, outcome);
  set_stage(Stage::kMoving);
  return outcome;
}

void Worker::acquire(const Step& step) {
  const std::uint64_t word = arena_.witnesses[step.lock].word.load(std::memory_order_relaxed);
  if (word != 0 && depth_[step.lock] == 0) {
    slot_.contended.fetch_add(1, std::memory_order_relaxed);
  }
  const std::uint32_t times =
      step.verb == Verb::kAcquire && step.amount > 1 ? static_cast<std::uint32_t>(step.amount) : 1;
  Hold hold{step.lock, step.mode, false, 0};
  for (std::uint32_t i = 0; i < times && !over(); ++i) {
    const std::int64_t deadline = step.verb == Verb::kTimed ? now_ns() + step.amount : INT64_MAX;
    const Outcome outcome = call(step, deadline);
    if (!holds(outcome)) {
      judge_failure(step, outcome, deadline);
      break;
    }
    slot_.acquired.fetch_add(1, std::memory_order_relaxed);
    hold.taken = true;
    ++hold.times;
    if (depth_[step.lock]++ == 0) enter(step.lock, step.mode);
  }
  holds_[holding_++] = hold;
}

void Worker::judge_failure(const Step& step, Outcome outcome, std::int64_t deadline_ns) {
  slot_.refused.fetch_add(1, std::memory_order_relaxed);
  const char* const name = name_of(step.verb, step.mode);
  if (depth_[step.lock] > 0 && lock_.claims.reentrant) {
    accuse("RE-1", 0, "%s by worker %u, which holds the re-entrant lock, ended with \"%s\"", name,
           id_, std::string(to_string(outcome)).c_str());
  } else if (step.verb == Verb::kTry && outcome == Outcome::kBusy) {
    return;
  } else if (step.verb == Verb::kTimed && outcome == Outcome::kTimedOut) {
    const std::int64_t early = deadline_ns - now_ns();
    if (early > kClockSlackNs) {
      accuse("TO-1", 0, "%s of worker %u gave up %lld us before its deadline", name, id_,
             static_cast<long long>(early / 1000));
    }
  } else {
    const char* const rule = step.verb == Verb::kTry     ? "TR-4"
                             : step.verb == Verb::kTimed ? "TO-10"
                                                         : "ME-4";
    accuse(rule, 0, "%s of worker %u ended with \"%s\", which it may not", name, id_,
           std::string(to_string(outcome)).c_str());
  }
}

void Worker::release() {
  if (holding_ == 0) return;
  const Hold hold = holds_[--holding_];
  if (!hold.taken) return;
  for (std::uint32_t i = 0; i < hold.times && !over(); ++i) {
    if (--depth_[hold.lock] == 0) leave(hold.lock, hold.mode);
    const Outcome outcome = call({Verb::kRelease, hold.mode, hold.lock, 0}, INT64_MAX);
    if (outcome == Outcome::kReleased) continue;
    accuse("ME-4", 0, "%s of worker %u, which holds the lock, ended with \"%s\"",
           name_of(Verb::kRelease, hold.mode), id_, std::string(to_string(outcome)).c_str());
  }
}

void Worker::convert(const Step& step) {
  if (holding_ == 0 || !holds_[holding_ - 1].taken) return;
  Hold& hold = holds_[holding_ - 1];
  const bool up = step.verb != Verb::kDowngrade;
  if ((hold.mode == Mode::kShared) != up) return;
  std::atomic<std::uint64_t>& word = arena_.witnesses[hold.lock].word;
  Slot& slot = slot_;
  if (!up) {
    // Others may share it before the call returns.
    std::uint64_t expected = exclusive_word(id_);
    if (!word.compare_exchange_strong(expected, 1)) {
      accuse("RW-1", sharers_of(expected) != 0 ? 0 : writer_of(expected),
             "worker %u was inside exclusively, and %u sharers were inside too", id_,
             sharers_of(expected));
    }
    slot.inside[hold.lock].store(kInsideShared);
    hold.mode = Mode::kShared;
    const Outcome outcome = call(step, INT64_MAX);
    if (outcome != Outcome::kReleased) {
      accuse("ME-4", 0, "downgrade of worker %u, which holds the lock, ended with \"%s\"", id_,
             std::string(to_string(outcome)).c_str());
    }
    return;
  }
  Step named = step;
  named.lock = hold.lock;
  const Outcome outcome = call(named, INT64_MAX);
  if (outcome == Outcome::kUpgradeRefused) return;
  if (!holds(outcome)) {
    accuse("RW-5", 0, "%s of worker %u ended with \"%s\", which it may not",
           name_of(step.verb, step.mode), id_, std::string(to_string(outcome)).c_str());
    return;
  }
  std::uint64_t expected = 1;
  if (!word.compare_exchange_strong(expected, exclusive_word(id_))) {
    accuse("RW-4", writer_of(expected),
           "worker %u was upgraded while others were inside: writer %u, %u sharers", id_,
           writer_of(expected), sharers_of(expected));
  }
  slot.inside[hold.lock].store(kInsideExclusive);
  hold.mode = Mode::kExclusive;
}

void Worker::enter(std::uint8_t lock, Mode mode) {
  std::atomic<std::uint64_t>& word = arena_.witnesses[lock].word;
  const auto other_inside = [&] {
    for (std::size_t i = 0; i < arena_.workers.load(); ++i) {
      if (&arena_.slots[i] != &slot_ && arena_.slots[i].inside[lock].load() != kOutside) {
        return arena_.slots[i].id.load();
      }
    }
    return 0u;
  };
  slot_.inside[lock].store(mode == Mode::kShared ? kInsideShared : kInsideExclusive);
  if (lock_.claims.semaphore) {
    const std::uint32_t inside = sharers_of(word.fetch_add(1)) + 1;
    if (inside > lock_.claims.permits) {
      accuse("ME-6", other_inside(), "%u are inside a semaphore of %u", inside,
             lock_.claims.permits);
    }
  } else if (mode == Mode::kShared) {
    const std::uint64_t before = word.fetch_add(1);
    if (writer_of(before) != 0) {
      accuse("RW-1", writer_of(before),
             "worker %u is inside shared while worker %u is inside "
             "exclusively",
             id_, writer_of(before));
    }
  } else {
    std::uint64_t expected = 0;
    if (word.compare_exchange_strong(expected, exclusive_word(id_))) return;
    if (writer_of(expected) != 0) {
      accuse("ME-1", writer_of(expected), "workers %u and %u are inside exclusively at once", id_,
             writer_of(expected));
    } else {
      const std::uint32_t other = other_inside();
      accuse("RW-1", other, "worker %u is inside exclusively while %u are inside shared", id_,
             sharers_of(expected));
    }
  }
}

void Worker::leave(std::uint8_t lock, Mode mode) {
  std::atomic<std::uint64_t>& word = arena_.witnesses[lock].word;
  if (lock_.claims.semaphore || mode == Mode::kShared) {
    const std::uint64_t before = word.fetch_sub(1);
    if (writer_of(before) != 0) {
      accuse("RW-1", writer_of(before),
             "worker %u was inside shared, and worker %u came in "
             "exclusively",
             id_, writer_of(before));
    }
  } else {
    std::uint64_t expected = exclusive_word(id_);
    if (!word.compare_exchange_strong(expected, 0)) {
      accuse(sharers_of(expected) != 0 ? "RW-1" : "ME-1", writer_of(expected),
             "worker %u was inside exclusively, and others came in: writer %u, %u sharers", id_,
             writer_of(expected), sharers_of(expected));
    }
  }
  slot_.inside[lock].store(kOutside);
}

/// Works with the data of the innermost hold; the counter tells lost updates on its own.
void Worker::work(const Step& step) {
  if (holding_ == 0 || !holds_[holding_ - 1].taken) return;
  const Hold& hold = holds_[holding_ - 1];
  std::atomic<std::uint64_t>& guarded = arena_.witnesses[hold.lock].guarded;
  const std::uint64_t before = guarded.load(std::memory_order_relaxed);
  dwell(step.amount);
  if (lock_.claims.semaphore && lock_.claims.permits > 1) return;
  if (hold.mode == Mode::kExclusive) {
    guarded.store(before + 1, std::memory_order_relaxed);
    slot_.added[hold.lock].fetch_add(1, std::memory_order_relaxed);
  } else if (guarded.load(std::memory_order_relaxed) != before) {
    accuse("RW-1", 0, "the guarded counter changed while worker %u was inside shared", id_);
  }
}

void Worker::dwell(std::int64_t ns) {
  if (ns >= 1'000'000) {
    // Long enough to sleep: others shall have the processor meanwhile.
    const timespec time{ns / 1'000'000'000, static_cast<long>(ns % 1'000'000'000)};
    nanosleep(&time, nullptr);
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
  const timespec time{ns / 1'000'000'000, static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&time, nullptr);
  set_stage(Stage::kMoving);
}

/// Inside, until `amount` workers are in a meet. Who did not get in only counts as having come.
void Worker::meet(const Step& step) {
  const auto size = static_cast<std::uint32_t>(std::max<std::int64_t>(step.amount, 1));
  const std::uint32_t arrival = arena_.met.fetch_add(1) + 1;
  if (holding_ == 0 || !holds_[holding_ - 1].taken) return;
  const std::uint32_t target = (arrival + size - 1) / size * size;
  slot_.lock.store(holds_[holding_ - 1].lock, std::memory_order_relaxed);
  set_stage(Stage::kMeeting);
  wait_until([&] { return over() || arena_.met.load() >= target; });
  set_stage(Stage::kMoving);
}

void Worker::set_stage(Stage stage) {
  slot_.since_ns.store(now_ns(), std::memory_order_relaxed);
  slot_.stage.store(stage);
  slot_.progress.fetch_add(1, std::memory_order_relaxed);
}

void Worker::record(Event::Kind kind, const Step& step, Outcome outcome) {
  const std::uint32_t at = slot_.written.load(std::memory_order_relaxed);
  slot_.events[at % kEventsKept] = {slot_.since_ns.load(std::memory_order_relaxed),
                                    arena_.round.load(std::memory_order_relaxed),
                                    kind,
                                    step.verb,
                                    step.mode,
                                    step.lock,
                                    outcome};
  if (kind == Event::Kind::kReturn) slot_.events[at % kEventsKept].at_ns = now_ns();
  slot_.written.store(at + 1, std::memory_order_release);
}

void Worker::accuse(const char* rule, std::uint32_t other, const char* format, ...) {
  Violation& v = arena_.violation;
  if (v.claimed.exchange(1) == 0) {
    std::snprintf(v.rule, sizeof v.rule, "%s", rule);
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(v.text, sizeof v.text, format, arguments);
    va_end(arguments);
    v.worker = id_;
    v.other = other;
    v.at_ns = now_ns();
    v.complete.store(1);
  }
  arena_.over.store(1);
}

}  // namespace hobbs::gang
