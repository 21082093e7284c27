#include "harness/explore/execution.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "harness/explore/operations.h"
#include "scenarios/suites/many_permits.h"

namespace hobbs::explore {
namespace {

constexpr std::byte kPoison{0xdb};
constexpr const char* kUnsettledProbe =
    "when all was over somebody looked again and again in vain, each time in another state: "
    "whether it would have got the lock is not known";
constexpr std::size_t kProbers = 2;

std::size_t round_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

bool destroys(const Program& program) {
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      if (step.verb == Verb::kDestroy) return true;
    }
  }
  return false;
}

/// The memory of all locks that a program may have, and of each worker's objects.
std::size_t arena_bytes(const LockSpec& lock, std::size_t stride) {
  const std::size_t objects = lock.home == Home::kPath ? kMaxFibres + kProbers : 1;
  return stride * kMaxLocksPerProgram * objects;
}

bool offers(const LockOps& ops, const Step& step) {
  const bool shared = step.mode == Mode::kShared;
  switch (step.verb) {
    case Verb::kAcquire: return shared ? ops.acquire_shared != nullptr : ops.acquire != nullptr;
    case Verb::kTry: return shared ? ops.try_acquire_shared != nullptr : ops.try_acquire != nullptr;
    case Verb::kTimed:
      return shared ? ops.acquire_shared_until != nullptr : ops.acquire_until != nullptr;
    case Verb::kUpgrade: return ops.upgrade != nullptr;
    case Verb::kTryUpgrade: return ops.try_upgrade != nullptr;
    case Verb::kDowngrade: return ops.downgrade != nullptr;
    default: return true;
  }
}

}  // namespace

template <MemoryModel kModel>
Execution<kModel>::Execution(const LockSpec& lock, Topology topology)
    : Scheduler(lock, topology, &Execution::run_worker),
      direct_(fibres_, kMaxFibres, files_, topology == Topology::kThreads),
      stride_(round_up(ops().size, std::max<std::size_t>(ops().align, 64))),
      bytes_(arena_bytes(lock, stride_)),
      arena_(bytes_.begin()),
      arena_bytes_(bytes_.size()) {
  exact_ = kModel == MemoryModel::kSc;
  lay_out();
  learn_habits();
}

/// Words are looked for within the locks that the program has, or had before: a static variable may
/// still point there.
template <MemoryModel kModel>
void Execution<kModel>::lay_out() {
  memory_.attach(arena_, arena_bytes_);
  most_locks_ = std::max(most_locks_, n_locks_);
  for (std::size_t place = 0; place < arena_bytes_ / stride_; ++place) {
    const bool used = place % kMaxLocksPerProgram < static_cast<std::size_t>(most_locks_);
    const std::size_t bytes = used ? ops().size : 0;
    memory_.exclude(place * stride_ + bytes, stride_ - bytes);
  }
}

/// Lets one worker hold the lock and another wait for it, who is alone in the world.
template <MemoryModel kModel>
void Execution<kModel>::learn_habits() {
  if (on_path() || lock_.claims.max_workers < 2) return;
  using Call = Outcome (*)(void*);
  const std::pair<Call, Call> meetings[] = {{ops().acquire, ops().acquire},
                                            {ops().acquire, ops().acquire_shared},
                                            {ops().acquire_shared, ops().acquire}};
  thread_image_.save(pristine_image_.data());
  for (const auto& [held, wanted] : meetings) {
    if (held == nullptr || wanted == nullptr) continue;
    std::memset(arena_, 0, arena_bytes_);
    const auto alone = [this](std::uint32_t id, Call call) {
      return direct_.run(id, kStartNs, [this, call] { call(lock_at(0)); });
    };
    direct_.run(1, kStartNs, [this] { ops().construct(lock_at(0), nullptr); });
    direct_.only_look(true);
    const bool holds = alone(2, held);
    if (holds) alone(1, wanted);
    direct_.only_look(false);
    if (!holds) continue;
    habits_.looks = std::max(habits_.looks, direct_.looks_in_vain());
    habits_.naps |= direct_.napped();
  }
  thread_image_.restore(pristine_image_.data());
}

template <MemoryModel kModel>
std::string Execution<kModel>::unrunnable(const Program& program) const {
  const std::size_t workers = program.workers.size();
  if (workers == 0 || workers > kMaxFibres) return "explore runs 1 to 8 workers";
  if (workers > lock_.claims.max_workers) return "the lock is made for fewer workers";
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      if (!offers(ops(), step)) return "the lock lacks a call of the program";
      if (step.lock >= kMaxLocksPerProgram) return "the program uses too many locks";
      if (on_path() && (step.verb == Verb::kFork || step.verb == Verb::kDestroy)) {
        return "forks and destruction of locks on a path are not modelled";
      }
    }
  }
  return "";
}

template <MemoryModel kModel>
std::string Execution<kModel>::load(const Program& program) {
  if (std::string why = unrunnable(program); !why.empty()) return why;
  take(program);
  const auto locks_before = n_locks_;
  n_locks_ = 1;
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) n_locks_ = std::max(n_locks_, step.lock + 1);
  }
  // The words of locks that are there no more must leave their room to others.
  if (n_locks_ != locks_before) lay_out();
  preset_broken_ = {};
  good_ends_.fill(0);
  return prepare(program) ? "" : "whether its preset pairs come to an end is not known";
}

/// What the lock's destructor does: it may wait until others have left.
template <MemoryModel kModel>
void Execution<kModel>::learn_destructor() {
  const std::uint64_t heap_calls_before = direct_.heap_calls();
  const bool ends = direct_.run(1, kStartNs, [this] { ops().destroy(lock_at(0)); });
  const bool uses_heap = direct_.heap_calls() != heap_calls_before || !direct_.sees_heap_calls();
  destructor_ = !direct_.operated()  ? Destructor::kSilent
                : ends && !uses_heap ? Destructor::kOperates
                                     : Destructor::kUnfit;
  std::memset(lock_at(0), 0, stride_);
  direct_.run(1, kStartNs, [this] { ops().construct(lock_at(0), nullptr); });
}

/// Makes the snapshot that every execution starts from; false if that may take for ever.
template <MemoryModel kModel>
bool Execution<kModel>::prepare(const Program& program) {
  std::memset(arena_, 0, arena_bytes_);
  files_.reset();
  thread_image_.save(pristine_image_.data());
  if (on_path()) return true;  // Each worker makes its own objects.
  direct_.set_dead(0);
  direct_.run(1, kStartNs, [this] {
    for (int l = 0; l < n_locks_; ++l) ops().construct(lock_at(static_cast<unsigned>(l)), nullptr);
  });
  if (destroys(program)) learn_destructor();
  const std::size_t bytes = stride_ * static_cast<std::size_t>(n_locks_);
  pristine_.assign(arena_, arena_ + bytes);
  std::uint32_t pair = 0;
  const bool done = direct_.run(1, kStartNs, [this, &pair, &program] {
    for (; pair < program.preset; ++pair) {
      preset_pair(ops(), lock_at(0));
    }
  });
  if (!done && direct_.unsettled()) return false;
  if (!done) {
    preset_broken_ = {"LV-2", "a worker that is alone gets stuck in pair " +
                                  std::to_string(pair + 1) + " of lock() and unlock()"};
  }
  snapshot_.assign(arena_, arena_ + bytes);
  thread_image_.restore(pristine_image_.data());
  return true;
}

template <MemoryModel kModel>
void Execution<kModel>::begin_memory(int workers) {
  if (on_path()) {
    files_.reset();
  } else {
    std::memcpy(arena_, snapshot_.data(), snapshot_.size());
  }
  memory_.begin(workers);
  for (int l = 0; l < n_locks_; ++l) guarded_[l] = {};
  destroyed_ = 0;
}

template <MemoryModel kModel>
void Execution<kModel>::run_worker(void* start) {
  const int w = static_cast<Start*>(start)->worker;
  auto& self = static_cast<Execution&>(*static_cast<Start*>(start)->scheduler);
  if (self.on_path()) self.construct_on_path();
  Interpreter<Execution>::run(self, w, self.workers_[w].script, self.progress_[w]);
  if (self.on_path()) self.destroy_on_path();
  self.finish(w);
}

template <MemoryModel kModel>
void Execution<kModel>::construct_on_path() {
  static constexpr const char* kPaths[] = {"/lock0", "/lock1", "/lock2", "/lock3",
                                           "/lock4", "/lock5", "/lock6", "/lock7"};
  static_assert(std::size(kPaths) == kMaxLocksPerProgram);
  for (int l = 0; l < n_locks_; ++l) {
    void* const at = lock_at(static_cast<unsigned>(l));
    std::memset(at, 0, ops().size);
    ops().construct(at, kPaths[l]);
  }
}

template <MemoryModel kModel>
void Execution<kModel>::destroy_on_path() {
  for (int l = 0; l < n_locks_; ++l) ops().destroy(lock_at(static_cast<unsigned>(l)));
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline void Execution<kModel>::begins(int w, Step step,
                                                             std::int64_t deadline_ns) {
  new_call(w);
  if (step.verb == Verb::kTimed) {
    workers_[w].call_deadline_ns = deadline_ns;
    update_clock();
  }
  if (told())
    tell({.kind = Event::Kind::kCall, .worker = static_cast<std::int8_t>(w), .step = step});
  if (!judge_.begins(w, step, now_ns_, deadline_ns)) fail(judge_.broken());
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline void Execution<kModel>::ends(int w, Step step, Outcome outcome) {
  progressed();
  forgets_the_time(w);
  if (step.verb == Verb::kTimed) {
    workers_[w].call_deadline_ns = controlled::kNever;
    update_clock();
  }
  if (told()) {
    tell({.kind = Event::Kind::kReturn,
          .worker = static_cast<std::int8_t>(w),
          .step = step,
          .outcome = outcome});
  }
  if (!judge_.ends(w, step, outcome, now_ns_)) fail(judge_.broken());
  judge_.settle(scene_.ready);
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline void Execution<kModel>::work(int w, unsigned lock, Mode mode) {
  if (lock_.claims.semaphore && lock_.claims.permits > 1) {
    breathe(w);
    return keep_turn();
  }
  if (told()) tell({.kind = Event::Kind::kWork, .worker = static_cast<std::int8_t>(w)});
  Guarded& data = guarded_[lock];
  plain(lock, 0, false, Site::current());
  const std::int64_t value = data.value;
  breathe(w);
  keep_turn();
  plain(lock, 0, mode == Mode::kExclusive, Site::current());
  if (mode == Mode::kExclusive) {
    data.value = value + 1;
    ++data.expected;
  } else if (data.value != value) {
    fail_changed(w);
  }
}

template <MemoryModel kModel>
[[gnu::cold]] void Execution<kModel>::fail_changed(int w) {
  fail("RW-1",
       "worker " + std::to_string(w + 1) + " holds the lock shared and sees the data change");
}

template <MemoryModel kModel>
void Execution<kModel>::destroy(int w, unsigned lock) {
  breathe(w);
  if (destroyed_ != 0 || !judge_.was_last(w, static_cast<int>(lock))) return;
  for (int u = 0; u < n_workers_; ++u) {
    const Progress& at = progress_[u];
    const auto& steps = program_.workers[static_cast<std::size_t>(workers_[u].script)];
    if (u == w || workers_[u].state == State::kDone) continue;
    if (at.round + 1 < program_.repeat) return;
    // The step that it is at may be the last release, still under way; no other may follow.
    for (std::size_t s = at.step; s < steps.size(); ++s) {
      const Verb verb = steps[s].verb;
      const bool leaving = s == at.step && verb == Verb::kRelease && judge_.inside(u);
      if (!leaving && verb != Verb::kDestroy && verb != Verb::kRest) return;
    }
  }
  if (destructor_ == Destructor::kUnfit) return;
  if (destructor_ == Destructor::kOperates) ops().destroy(lock_at(lock));
  drain_all(w);  // Its own stores reach memory before the destruction does.
  destroyed_ |= 1u << lock;
  memory_.forget(lock_at(lock), ops().size);
  std::memset(lock_at(lock), static_cast<int>(kPoison), ops().size);
  tell({.kind = Event::Kind::kDestroy, .worker = static_cast<std::int8_t>(w)});
}

template <MemoryModel kModel>
void Execution<kModel>::at_death(int w) {
  drain_all(w);
  bool last = true;
  for (int u = 0; u < n_workers_; ++u) {
    last &=
        u == w || workers_[u].process != workers_[w].process || workers_[u].state == State::kDead;
  }
  if (last) {
    files_.end_process(workers_[w].process);
    files_changed(w);
  }
  // Whoever finds out about the death comes after it: the dead race with nobody.
  for (int l = 0; l < n_locks_; ++l) {
    guarded_[l].written.lane[w] = guarded_[l].read.lane[w] = 0;
  }
}

template <MemoryModel kModel>
void Execution<kModel>::at_end() {
  for (int l = 0; l < n_locks_; ++l) {
    const Guarded& data = guarded_[l];
    if (data.value != data.expected) {
      return note(Ending::Kind::kBroken, "ME-2",
                  "the counter that the lock guards is " + std::to_string(data.value) + " after " +
                      std::to_string(data.expected) + " increments");
    }
  }
  if (destroyed_ != 0) {
    const std::byte* const lock = arena_;
    if (std::any_of(lock, lock + ops().size, [](std::byte b) { return b != kPoison; })) {
      note(Ending::Kind::kBroken, "AB-5",
           "the lock's memory was written to after whoever held it last had destroyed it");
    }
    return;
  }
  if (n_locks_ != 1) return;
  const bool died = judge_.anybody_died();
  if (died ? lock_.claims.crash == CrashBehaviour::kStuck : judge_.any_held()) return;
  if (lock_.claims.pristine_when_free && !died && !on_path() &&
      std::memcmp(arena_, pristine_.data(), ops().size) != 0) {
    return note(Ending::Kind::kBroken, "AB-4", "the lock is free but is not as it was when new");
  }
  if (!died && known_good_end()) return;
  probe();
}

template <MemoryModel kModel>
std::uint64_t Execution<kModel>::words_hash() const {
  std::uint64_t hash = 0x9e3779b97f4a7c15ull;
  for (int word = 0; word < memory_.words(); ++word) {
    hash = (hash ^ memory_.newest(word)) * 0xff51afd7ed558ccdull;
    hash ^= hash >> 29;
  }
  return hash;
}

template <MemoryModel kModel>
std::uint64_t Execution<kModel>::memory_hash(int w) const {
  std::uint64_t hash = words_hash();
  const std::byte* at = arena_;
  if (on_path()) at += stride_ * kMaxLocksPerProgram * static_cast<std::size_t>(w);
  const std::byte* const end = at + stride_ * static_cast<std::size_t>(n_locks_);
  for (; at != end; at += sizeof hash) {
    std::uint64_t part = 0;
    std::memcpy(&part, at, sizeof part);
    hash = (hash ^ part) * 0xff51afd7ed558ccdull;
    hash ^= hash >> 29;
  }
  return hash;
}

/// Whether an execution of this program has ended with the same words before, and passed. (Bytes
/// that are not atomic follow from the same words closely enough: each is written under the lock.)
template <MemoryModel kModel>
bool Execution<kModel>::known_good_end() {
  if (on_path()) return false;
  const std::uint64_t hash = words_hash();
  std::uint64_t& slot = good_ends_[hash % kProbeCache];
  if (slot == hash && !told()) return true;
  slot = hash;
  return false;
}

template <MemoryModel kModel>
std::uint32_t Execution<kModel>::spare_id(std::uint32_t other_than) const {
  for (int w = 0; w < n_workers_; ++w) {
    if (workers_[w].state == State::kDone && workers_[w].id != other_than) return workers_[w].id;
  }
  const std::uint32_t next = next_id();
  if (next <= lock_.claims.max_workers && next != other_than) return next;
  return 0;
}

template <MemoryModel kModel>
typename Execution<kModel>::Got Execution<kModel>::take_as(std::uint32_t id) {
  Outcome outcome = Outcome::kSystemError;
  thread_image_.restore(pristine_image_.data());  // A new thread, whoever went before.
  const bool returned = direct_.run(id, now_ns_, [this, &outcome] {
    if (on_path()) construct_on_path();
    void* const lock = lock_at(0);
    outcome = ops().try_acquire != nullptr ? ops().try_acquire(lock) : ops().acquire(lock);
  });
  if (!returned) return Got::kWaits;
  return holds(outcome) ? Got::kYes : Got::kNo;
}

template <MemoryModel kModel>
const char* Execution<kModel>::rule_of_residue() const {
  if (judge_.anybody_died()) return "CR-5";
  if (judge_.anything_timed_out()) return "TO-5";
  if (ops().has_shared()) return "RW-3";
  return lock_.claims.reentrant ? "RE-1" : "TR-2";
}

/// All is over and nobody holds the lock: it must be there to be taken, as often as it has permits.
template <MemoryModel kModel>
void Execution<kModel>::probe() {
  std::uint64_t dead = 0;
  for (int w = 0; w < n_workers_; ++w) {
    if (workers_[w].state == State::kDead) dead |= std::uint64_t{1} << workers_[w].id;
  }
  direct_.set_dead(dead);
  const std::uint32_t first = spare_id(0);
  if (first == 0) return;
  prober_ = 0;
  const std::uint32_t permits = takes_of_probe(lock_.claims);
  for (std::uint32_t i = 0; i < permits; ++i) {
    const Got got = take_as(first);
    if (got == Got::kYes || (got == Got::kNo && lock_.claims.spurious_try_failure)) continue;
    if (direct_.unsettled()) return note(Ending::Kind::kUnsettled, "", kUnsettledProbe);
    return note(Ending::Kind::kBroken, rule_of_residue(),
                "all workers are done and nobody holds the lock, but it cannot be taken" +
                    (permits > 1 ? " " + std::to_string(permits) + " times" : std::string()));
  }
  if (lock_.claims.semaphore && permits < lock_.claims.permits) return;
  const std::uint32_t second = lock_.claims.semaphore ? first : spare_id(first);
  if (second == 0 || ops().try_acquire == nullptr) return;
  prober_ = 1;
  if (take_as(second) == Got::kYes) {
    note(Ending::Kind::kBroken, lock_.claims.semaphore ? "ME-6" : "ME-1",
         "all workers are done; now more than " + std::to_string(permits) +
             " can hold the lock at once");
  }
}

template class Execution<MemoryModel::kSc>;
template class Execution<MemoryModel::kTso>;
template class Execution<MemoryModel::kC11>;

std::unique_ptr<Explorer> Explorer::create(const LockSpec& lock, MemoryModel model,
                                           Topology topology) {
  switch (model) {
    case MemoryModel::kSc: return std::make_unique<Execution<MemoryModel::kSc>>(lock, topology);
    case MemoryModel::kTso: return std::make_unique<Execution<MemoryModel::kTso>>(lock, topology);
    case MemoryModel::kC11: break;
  }
  return std::make_unique<Execution<MemoryModel::kC11>>(lock, topology);
}

}  // namespace hobbs::explore
