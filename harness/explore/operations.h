// What the Platform's operations do in an execution: definitions for execution.cc alone.
#pragma once

#include <bit>
#include <cerrno>

#include "harness/explore/execution.h"
#include "harness/explore/judge_calls.h"
#include "harness/explore/memory_definitions.h"

namespace hobbs::explore {

template <MemoryModel kModel>
[[gnu::always_inline]] inline int Execution<kModel>::find(const void* cell, unsigned size) {
  const int word = memory_.locate(cell, size);
  if (word < 0) [[unlikely]]
    found_none(cell);
  return word;
}

template <MemoryModel kModel>
int Execution<kModel>::find_futex(const void* cell) {
  const int word = memory_.locate_futex(cell);
  if (word < 0) [[unlikely]]
    found_none(cell);
  return word;
}

/// There is no such word: the lock cannot be modelled, unless nothing can be there at all.
template <MemoryModel kModel>
[[gnu::cold]] void Execution<kModel>::found_none(const void* cell) {
  if (!bytes_.is_nobodys(cell) && !memory_.is_excluded(cell)) refuse(memory_.refusal());
  const auto from = reinterpret_cast<std::intptr_t>(arena_);
  fail("LV-2", "worker " + std::to_string(me() + 1) + " accesses a word " +
                   std::to_string(reinterpret_cast<std::intptr_t>(cell) - from) +
                   " bytes from where the first lock begins, where nothing is");
}

template <MemoryModel kModel>
void Execution<kModel>::check_destroyed(std::size_t offset) {
  const std::size_t lock = offset / stride_;
  if ((destroyed_ >> lock & 1) != 0) {
    fail("AB-5", "worker " + std::to_string(me() + 1) +
                     " accesses the lock after whoever held it last has destroyed it");
  }
}

/// The word is there, and known to this execution's memory.
template <MemoryModel kModel>
inline void Execution<kModel>::begin_access(int word) {
  if (memory_.is_touched(word)) [[likely]]
    return;
  if (destroyed_ != 0) check_destroyed(memory_.offset_of(word));
  memory_.touch(word);
}

template <MemoryModel kModel>
void Execution<kModel>::drain(int w) {
  const int word = memory_.drain(w);
  if (!memory_.buffered(w)) can_drain(w, false);
  if (word >= 0) changed(w, word);
  if (told()) tell({.kind = Event::Kind::kDrain, .worker = static_cast<std::int8_t>(w)});
}

template <MemoryModel kModel>
void Execution<kModel>::drain_all(int w) {
  if constexpr (kModel == MemoryModel::kTso) {
    while (memory_.buffered(w)) drain(w);
  }
}

/// What the strategy wants of a step with n ways to go; tells the schedule.
template <MemoryModel kModel>
int Execution<kModel>::choose(int w, Choice choice, int n) {
  if (block_owner_ == w) return 0;
  return pick(choice, n);
}

template <MemoryModel kModel>
void Execution<kModel>::report(Event::Kind kind, int word, std::memory_order order, Site site,
                               std::uint64_t before, std::uint64_t after, int back,
                               std::uint64_t newest) {
  tell({.kind = kind,
        .worker = static_cast<std::int8_t>(me()),
        .word = static_cast<std::int16_t>(word),
        .order = order,
        .back = back,
        .before = before,
        .after = after,
        .newest = newest,
        .file = site.file_name(),
        .line = site.line()});
}

template <MemoryModel kModel>
Turn Execution<kModel>::announce(Access access, const void* cell, unsigned size) {
  const auto kind = static_cast<Pending::Kind>(access);
  const int word = memory_.known(cell, size);
  if (word < 0) [[unlikely]]
    return announce_new(kind, cell, size);
  return turn(me(), {kind, static_cast<std::int16_t>(word)});
}

/// A word that is not known yet; or a fence, which has none.
template <MemoryModel kModel>
[[gnu::noinline]] Turn Execution<kModel>::announce_new(Pending::Kind kind, const void* cell,
                                                       unsigned size) {
  const int word = kind == Pending::Kind::kFence ? -1 : find(cell, size);
  return turn(me(), {kind, static_cast<std::int16_t>(word)});
}

// The operations that locks are made of go the short way if nothing is odd: the word is known to
// this execution, there is nothing to choose, and nobody listens. There nothing is called, so that
// no register need be kept.

template <MemoryModel kModel>
std::uint64_t Execution<kModel>::load(const void*, unsigned, std::memory_order order, Site site) {
  const int w = me();
  const int word = announced(w);
  if (is_odd(w, word)) [[unlikely]]
    return load_with_choice(order, site);
  if (!reads_the_newest(w, word, order)) {
    if (!even_picks_now()) return load_with_choice(order, site);
    const int back = pick_stale(memory_.choices(w, word, order));
    looked(w, word, back != 0);
    return memory_.load(w, word, order, back);
  }
  looked(w, word, false);
  return memory_.load_newest(w, word, order);
}

template <MemoryModel kModel>
std::uint64_t Execution<kModel>::load_with_choice(std::memory_order order, Site site) {
  const int w = me();
  const int word = announced(w);
  begin_access(word);
  int back = 0;
  if (!reads_the_newest(w, word, order)) {
    back = choose(w, Choice::kStale, memory_.choices(w, word, order));
  }
  const std::uint64_t value = memory_.load(w, word, order, back);
  looked(w, word, back != 0);
  if (told()) {
    report(Event::Kind::kLoad, word, order, site, value, value, back, memory_.newest(word));
  }
  return value;
}

template <MemoryModel kModel>
void Execution<kModel>::store(void*, unsigned, std::uint64_t value, std::memory_order order,
                              Site site) {
  const int w = me();
  const int word = announced(w);
  if (kModel == MemoryModel::kTso || is_odd(w, word) || memory_.places(w, word, order) > 1)
      [[unlikely]] {
    return store_with_choice(value, order, site);
  }
  if (memory_.store_newest(w, word, value, order)) changed(w, word);
}

template <MemoryModel kModel>
void Execution<kModel>::store_with_choice(std::uint64_t value, std::memory_order order, Site site) {
  const int w = me();
  const int word = announced(w);
  begin_access(word);
  if constexpr (kModel == MemoryModel::kTso) {
    if (order == std::memory_order_seq_cst) {
      drain_all(w);
    } else if (memory_.buffer_full(w)) {
      drain(w);
    }
  }
  int back = 0;
  if constexpr (kModel == MemoryModel::kC11) {
    const int n = memory_.places(w, word, order);
    if (n > 1) back = choose(w, Choice::kPlace, n);
  }
  if (told()) {
    report(Event::Kind::kStore, word, order, site, memory_.newest(word), value, back,
           memory_.newest(word));
  }
  if (memory_.store(w, word, value, order, back)) changed(w, word);
  if constexpr (kModel == MemoryModel::kTso) {
    if (memory_.buffered(w)) can_drain(w, true);
  }
}

template <MemoryModel kModel>
std::uint64_t Execution<kModel>::read_modify_write(void*, Update update, std::uint64_t operand,
                                                   std::memory_order order, Site site) {
  const int w = me();
  const int word = announced(w);
  if (is_odd(w, word)) [[unlikely]]
    return odd_read_modify_write(update, operand, order, site);
  looked(w, word, false);
  const std::uint64_t old = memory_.peek(w, word, 0);
  const std::uint64_t value = apply(update.operation, old, operand, update.size);
  if (memory_.update_newest(w, word, value, order)) changed(w, word);
  return old;
}

template <MemoryModel kModel>
std::uint64_t Execution<kModel>::odd_read_modify_write(Update update, std::uint64_t operand,
                                                       std::memory_order order, Site site) {
  const int w = me();
  const int word = announced(w);
  begin_access(word);
  drain_all(w);
  looked(w, word, false);
  const std::uint64_t old = memory_.peek(w, word, 0);
  const std::uint64_t value = apply(update.operation, old, operand, update.size);
  if (told()) report(Event::Kind::kUpdate, word, order, site, old, value, 0, old);
  if (memory_.update(w, word, value, order, 0)) changed(w, word);
  return old;
}

template <MemoryModel kModel>
bool Execution<kModel>::compare_exchange(void*, CompareExchange how, std::uint64_t& expected,
                                         std::uint64_t desired, Site site) {
  const int w = me();
  const int word = announced(w);
  begin_access(word);
  drain_all(w);
  int back = 0;
  if constexpr (kModel == MemoryModel::kC11) {
    if (!reads_the_newest(w, word, how.failure)) {
      back = choose(w, Choice::kStale, memory_.choices(w, word, how.failure));
    }
    // A value from the middle that matches can only be taken if nothing must come between.
    if (back != 0 && memory_.peek(w, word, back) == expected &&
        !memory_.can_update(w, word, how.success, back)) {
      back = 0;
    }
  }
  const std::uint64_t old = memory_.peek(w, word, back);
  looked(w, word, back != 0);
  const bool refuses = how.weak && old == expected && back == 0 && choose(w, Choice::kWeak, 2) != 0;
  if (old != expected || refuses) {
    memory_.load(w, word, how.failure, back);
    if (told()) {
      report(Event::Kind::kFailedUpdate, word, how.failure, site, old, desired, back,
             memory_.newest(word));
    }
    expected = old;
    return false;
  }
  if (told()) report(Event::Kind::kUpdate, word, how.success, site, old, desired, back, old);
  if (memory_.update(w, word, desired, how.success, back)) changed(w, word);
  return true;
}

template <MemoryModel kModel>
void Execution<kModel>::fence(std::memory_order order, Site site) {
  const int w = me();
  if (order == std::memory_order_seq_cst) drain_all(w);
  memory_.fence(w, order);
  if (told()) report(Event::Kind::kFence, -1, order, site, 0, 0, 0, 0);
}

template <MemoryModel kModel>
WaitResult Execution<kModel>::futex_wait(void* futex, std::uint32_t expected,
                                         std::int64_t deadline_ns, bool is_private, Site site) {
  const int w = me();
  const int word = find_futex(futex);
  point(w, {Pending::Kind::kFutexWait, static_cast<std::int16_t>(word)});
  begin_access(word);
  // The kernel compares and sleeps in one step, behind a full barrier.
  drain_all(w);
  const auto value =
      static_cast<std::uint32_t>(memory_.load(w, word, std::memory_order_relaxed, 0));
  looked(w, word, false);
  if (told()) {
    report(Event::Kind::kFutexWait, word, std::memory_order_relaxed, site, value, expected, 0,
           value);
  }
  if (value != expected) return WaitResult::kMismatch;
  if (!judge_.waits(w, deadline_ns)) fail(judge_.broken());
  sleep(w, futex, is_private, deadline_ns);
  const typename Worker::Woken woken = workers_[w].woken;
  const WaitResult result = woken == Worker::Woken::kWoken         ? WaitResult::kWoken
                            : woken == Worker::Woken::kInterrupted ? WaitResult::kInterrupted
                                                                   : WaitResult::kTimedOut;
  if (told()) {
    report(Event::Kind::kFutexReturn, word, std::memory_order_relaxed, site, 0,
           static_cast<std::uint64_t>(result), 0, 0);
  }
  return result;
}

template <MemoryModel kModel>
int Execution<kModel>::futex_wake(void* futex, int n, bool is_private, Site site) {
  const int w = me();
  // A wake of an address where no lock is any more does no harm: it is not an access.
  const int word = destroyed_ != 0 ? -1 : find_futex(futex);
  point(w, {Pending::Kind::kFutexWake, static_cast<std::int16_t>(word)});
  drain_all(w);
  const std::uint32_t asleep = scene_.asleep;
  const int woken = wake_futex(w, futex, n, is_private);
  // The kernel wakes behind a full barrier: whoever is woken reads nothing older than what is in
  // the word now. (Linux memory-barriers.txt, sleep and wake-up functions.) That alone: it is not
  // taken for an acquire of what the word guards.
  if constexpr (kModel == MemoryModel::kC11) {
    for (std::uint32_t left = asleep & ~scene_.asleep; left != 0 && word >= 0; left &= left - 1) {
      memory_.load(std::countr_zero(left), word, std::memory_order_relaxed, 0);
    }
  }
  if (told()) {
    report(Event::Kind::kFutexWake, word, std::memory_order_relaxed, site,
           static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(woken), 0, 0);
  }
  return woken;
}

template <MemoryModel kModel>
Turn Execution<kModel>::begin_pause(Site site) {
  if (told()) report(Event::Kind::kPause, -1, std::memory_order_relaxed, site, 0, 0, 0, 0);
  return turn_of_pause(me());
}

template <MemoryModel kModel>
void Execution<kModel>::file_point(Site) {
  point(me(), {Pending::Kind::kCall, -1});
}

template <MemoryModel kModel>
bool Execution<kModel>::alive(std::uint32_t id, Site site) {
  const int w = me();
  point(w, {Pending::Kind::kAsk, -1});
  looked_at_environment(w);
  bool lives = false;
  for (int u = 0; u < n_workers_; ++u) {
    if (workers_[u].id != id) continue;
    lives = workers_[u].state != State::kDead;
    // To know that it is dead is to come after all that it did.
    if (!lives) memory_.inform(w, u);
  }
  if (told()) report(Event::Kind::kAsk, -1, std::memory_order_relaxed, site, id, lives, 0, 0);
  return lives;
}

template <MemoryModel kModel>
std::int64_t Execution<kModel>::now_ns() {
  const int w = me();
  asks_the_time(w);
  if (only_asks(w)) {
    turn_of_pause(w).take();
    look_anew(w);
  }
  return now_ns_;
}

/// As soon as time has passed somebody has put the clock back. Files would need times that agree.
template <MemoryModel kModel>
std::int64_t Execution<kModel>::wall_ns() {
  if (on_path()) return Machine::wall_ns();
  constexpr std::int64_t kHourNs = 3'600'000'000'000;
  constexpr std::int64_t kStartOfDayNs = 1'700'000'000'000'000'000;
  return kStartOfDayNs + now_ns() - (now_ns_ == kStartNs ? 0 : kHourNs);
}

template <MemoryModel kModel>
void Execution<kModel>::files_changed(int w) {
  changed_environment(w);
  wake_futex(w, &files_, kMaxFibres, false);
}

template <MemoryModel kModel>
long Execution<kModel>::file_call(const FileCall& call) {
  const int w = me();
  point(w, {Pending::Kind::kCall, -1});
  while (true) {
    const std::uint64_t before = files_.changes();
    const long result = call.perform(call, files_, workers_[w].process);
    looked_at_environment(w);
    if (files_.changes() != before) files_changed(w);
    if (told()) {
      tell({.kind = Event::Kind::kFileCall,
            .worker = static_cast<std::int8_t>(w),
            .after = static_cast<std::uint64_t>(result),
            .call = call.name});
    }
    if (result != FileSystem::kBlocks) return result;
    sleep(w, &files_, false, kNever);
    if (workers_[w].woken == Worker::Woken::kInterrupted) return -EINTR;
    looked_at_environment(w);
  }
}

template <MemoryModel kModel>
bool Execution<kModel>::process_runs(std::uint32_t process) {
  const int w = me();
  point(w, {Pending::Kind::kAsk, -1});
  looked_at_environment(w);
  bool runs = false;
  for (int u = 0; u < n_workers_; ++u) {
    runs |= workers_[u].process == process && workers_[u].state != State::kDead;
  }
  if (told()) report(Event::Kind::kAsk, -1, std::memory_order_relaxed, {}, process, runs, 0, 0);
  return runs;
}

template <MemoryModel kModel>
[[gnu::cold]] void Execution<kModel>::fail_race(int w, int other, bool write, const char* what) {
  fail("MM-1", "worker " + std::to_string(w + 1) + (write ? " writes" : " reads") +
                   " the guarded data without happens-before after worker " +
                   std::to_string(other + 1) + what);
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline void Execution<kModel>::plain(unsigned lock, unsigned, bool write,
                                                            Site) {
  if (on_path()) return;  // System calls order what is before them.
  const int w = me();
  Guarded& data = guarded_[lock];
  if (!memory_.knows_all(w, data.written)) [[unlikely]] {
    fail_race(w, memory_.first_unknown(w, data.written), write,
              " wrote it: the lock does not make that write visible");
  }
  if (!write) {
    join(data.read, memory_.instant(w), 1);
    return;
  }
  if (!memory_.knows_all(w, data.read)) [[unlikely]] {
    fail_race(w, memory_.first_unknown(w, data.read), write,
              " read it: that read may still be under way");
  }
  // All reads are known now, and who learns of this write learns of them.
  data.read = {};
  data.written = memory_.instant(w);
}

}  // namespace hobbs::explore
