#include "harness/step/world.h"

#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "harness/step/kernel.h"
#include "harness/step/view.h"
#include "locks/real_platform.h"

namespace hobbs::step {
namespace {

constexpr unsigned kLocalInstructionsMax = 50'000;
constexpr std::size_t kBlockBefore = 16 * 1024;  // Thread-local variables lie below fs,
constexpr std::size_t kBlockAfter = 4 * 1024;    // the thread's control block above.

/// clock_gettime() in a world whose clock stands still: its code would read the processor's.
void tell_the_time(Processor& cpu, Bus& bus) {
  bus.write(cpu.general[kRsi], 8, kNow_s);
  bus.write(cpu.general[kRsi] + 8, 8, 0);
  cpu.general[kRax] = 0;
  cpu.rip = bus.read(cpu.general[kRsp], 8);
  cpu.general[kRsp] += 8;
}

/// Sets how much of the stack is live and zeroes what was written below that.
void set_live_stack(WorkerState& worker, std::uint64_t live_bytes) {
  const std::uint64_t dirty = std::max<std::uint64_t>(worker.stack_touched, worker.stack_used);
  worker.stack_used = static_cast<std::uint32_t>(std::min<std::uint64_t>(live_bytes, kStackBytes));
  worker.stack_touched = 0;
  if (dirty > worker.stack_used) {
    std::memset(worker.stack + kStackBytes - dirty, 0, dirty - worker.stack_used);
  }
}

std::string name_of(std::size_t w) { return "worker " + std::to_string(w + 1); }

bool acquires(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}

}  // namespace

std::string to_text(const Transition& transition) {
  constexpr const char* kSuffix[] = {"", "d", "t", "k"};
  return std::to_string(transition.worker + 1) + kSuffix[static_cast<int>(transition.kind)];
}

std::string to_text(const std::vector<Transition>& path) {
  std::string text;
  for (const Transition& transition : path) text += (text.empty() ? "" : " ") + to_text(transition);
  return text;
}

bool parse_path(std::string_view text, std::vector<Transition>& path) {
  constexpr std::string_view kSuffix = "rdtk";
  path.clear();
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    Transition transition;
    if (text[at] < '1' || text[at] > '0' + static_cast<int>(kMaxStepWorkers)) return false;
    transition.worker = static_cast<std::uint8_t>(text[at++] - '1');
    if (at < text.size() && text[at] != ' ') {
      const std::size_t kind = kSuffix.find(text[at++]);
      if (kind == std::string_view::npos || kind == 0) return false;
      transition.kind = static_cast<Transition::Kind>(kind);
    }
    if (at < text.size() && text[at] != ' ') return false;
    path.push_back(transition);
  }
  return true;
}

World::World(const LockSpec& lock, const Program& program, Memory memory, unsigned kills)
    : lock_(lock), program_(program), memory_(memory) {
  if (lock.real.size > kSharedBytes || program.workers.size() > kMaxStepWorkers) {
    throw std::invalid_argument("the lock or the program is too large for this driver");
  }
  void* at =
      ::mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::runtime_error(std::string("no memory: ") + std::strerror(errno));
  shared_base_ = reinterpret_cast<std::uint64_t>(at);
  initial_.kills_left = static_cast<std::uint8_t>(kills);
  prepare();
}

World::~World() { ::munmap(reinterpret_cast<void*>(shared_base_), kSharedBytes); }

/// Constructs the lock, runs each call once for real (so that lazily bound symbols are bound),
/// and takes each worker's thread block as it is after RealPlatform::attach().
void World::prepare() {
  void* const lock = reinterpret_cast<void*>(shared_base_);
  RealPlatform::attach(1);
  lock_.real.construct(lock, "");
  if (holds(lock_.real.acquire(lock))) lock_.real.release(lock);
  if (lock_.real.try_acquire != nullptr && holds(lock_.real.try_acquire(lock))) {
    lock_.real.release(lock);
  }
  if (lock_.real.has_shared() && holds(lock_.real.acquire_shared(lock))) {
    lock_.real.release_shared(lock);
  }
  lock_.real.destroy(lock);
  std::memset(lock, 0, kSharedBytes);
  lock_.real.construct(lock, "");
  std::memcpy(initial_.shared, lock, kSharedBytes);

  ::syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base_);
  std::size_t head_bytes = 0;
  ::syscall(SYS_get_robust_list, 0, &robust_head_, &head_bytes);
  clock_address_ = reinterpret_cast<std::uint64_t>(&::clock_gettime);
  block_base_ = fs_base_ - kBlockBefore;
  const std::uint64_t tid = static_cast<std::uint64_t>(::syscall(SYS_gettid));
  initial_.shared_used = static_cast<std::uint32_t>((lock_.real.size + 15) / 16 * 16);
  initial_.workers_count = static_cast<std::uint8_t>(program_.workers.size());
  for (std::uint32_t w = 0; w < initial_.workers_count; ++w) {
    RealPlatform::attach(w + 1);
    Process process;
    process.thread_block = readable_copy(block_base_, kBlockBefore + kBlockAfter);
    if (!replace_thread_id(process.thread_block, kBlockBefore, static_cast<std::uint32_t>(tid),
                           thread_id_of(w))) {
      throw std::runtime_error("this C library keeps its thread ids where step does not look");
    }
    processes_.push_back(std::move(process));
  }
}

void World::enabled(const State& state, std::vector<Transition>& transitions) const {
  transitions.clear();
  using Kind = Transition::Kind;
  for (std::uint8_t w = 0; w < state.workers_count; ++w) {
    const WorkerState& worker = state.workers[w];
    if (worker.phase == Phase::kDead) continue;
    if (worker.buffered > 0) transitions.push_back({Kind::kDrain, w});
    if (worker.phase == Phase::kDone) continue;
    if (worker.phase == Phase::kAsleep) {
      if (worker.may_time_out != 0) transitions.push_back({Kind::kTimeOut, w});
    } else if (worker.spinning == 0 && !(worker.buffered > 0 && worker.phase == Phase::kInCall &&
                                         drains_first(worker.cpu.rip))) {
      transitions.push_back({Kind::kRun, w});
    }
  }
  const bool only_spinners = transitions.empty();
  for (std::uint8_t w = 0; w < state.workers_count; ++w) {
    const WorkerState& worker = state.workers[w];
    if (worker.spinning != 0 && only_spinners) transitions.push_back({Kind::kRun, w});
    if (worker.phase == Phase::kDone || worker.phase == Phase::kDead) continue;
    // A worker that has not begun, or is between programs, dies as uninterestingly as it lives.
    const bool in_contact =
        worker.phase != Phase::kBetween || worker.holds_exclusive != 0 || worker.holds_shared != 0;
    if (state.kills_left > 0 && in_contact) transitions.push_back({Kind::kKill, w});
  }
}

bool World::drains_first(std::uint64_t address) const {
  const Instruction* instruction = decoder_.at(address);
  return instruction != nullptr &&
         (instruction->locked || is_fence(*instruction) || is_syscall(*instruction));
}

bool World::is_final(const State& state) const {
  for (std::size_t w = 0; w < state.workers_count; ++w) {
    const Phase phase = state.workers[w].phase;
    if (phase != Phase::kDone && phase != Phase::kDead) return false;
  }
  return true;
}

bool World::may_be_stuck(const State& state) const {
  return state.any_dead != 0 && lock_.claims.crash == CrashBehaviour::kStuck;
}

/// Starts the call of the worker's next step, or ends the worker.
void World::begin_step(State& state, std::size_t w) {
  WorkerState& worker = state.workers[w];
  const std::vector<hobbs::Step>& steps = program_.workers[w];
  while (worker.step < steps.size() && steps[worker.step].verb == Verb::kRelease &&
         worker.holds_exclusive == 0 && worker.holds_shared == 0) {
    ++worker.step;  // The acquire failed: there is nothing to release.
  }
  if (worker.step == steps.size()) {
    worker.phase = Phase::kDone;
    return;
  }
  const hobbs::Step& step = steps[worker.step];
  worker.cpu = Processor{};
  worker.cpu.fs_base = fs_base_;
  worker.cpu.flags = 0;
  worker.cpu.general[kRdi] = shared_base_;
  worker.cpu.general[kRsi] = static_cast<std::uint64_t>(kDeadline_ns);
  worker.cpu.general[kRsp] = kStackTop - 8;
  std::memcpy(worker.stack + kStackBytes - 8, &kReturnAddress, 8);
  worker.stack_touched = 8;
  worker.cpu.rip = entry_of(lock_.real, step, worker.holds_shared != 0);
  worker.phase = Phase::kInCall;
  worker.timed_out = worker.spinning = worker.news = worker.has_paused = 0;
  worker.alone = nobody_else_near(state, w) ? 1 : 0;
  if (step.verb == Verb::kRelease) worker.holds_exclusive = worker.holds_shared = 0;
}

Incident World::finish_call(State& state, std::size_t w) {
  WorkerState& worker = state.workers[w];
  const hobbs::Step& step = program_.workers[w][worker.step];
  const auto outcome = static_cast<Outcome>(worker.cpu.general[kRax] & 0xff);
  worker.cpu = Processor{};
  set_live_stack(worker, 0);
  worker.phase = Phase::kBetween;
  ++worker.step;
  Incident incident;
  if (acquires(step.verb)) incident = after_acquire(state, w, step, outcome);
  if (step.verb == Verb::kRelease && outcome != Outcome::kReleased) {
    incident = Incident::violation("MU-2", name_of(w) + "'s release of its own hold was refused: " +
                                               std::string(to_string(outcome)));
  }
  worker.alone = worker.timed_out = worker.spinning = worker.news = worker.has_paused = 0;
  if (worker.step == program_.workers[w].size()) worker.phase = Phase::kDone;
  return incident;
}

Incident World::after_acquire(State& state, std::size_t w, const hobbs::Step& step,
                              Outcome outcome) {
  WorkerState& worker = state.workers[w];
  if (!holds(outcome)) {
    if (step.verb == Verb::kAcquire) {
      return Incident::violation(
          "ME-4", name_of(w) + "'s acquire gave up: " + std::string(to_string(outcome)));
    }
    if (step.verb == Verb::kTimed && worker.timed_out == 0) {
      return Incident::violation("TO-1",
                                 name_of(w) + " timed out though its deadline had not passed");
    }
    if (step.verb == Verb::kTry && worker.alone != 0 && !lock_.claims.spurious_try_failure) {
      return Incident::violation(
          "TR-2", name_of(w) + "'s try failed on a lock that nobody held or touched");
    }
    return {};
  }
  if (state.died_holding != 0) {
    if (lock_.claims.crash == CrashBehaviour::kOwnerDied && outcome != Outcome::kOwnerDied &&
        step.mode == Mode::kExclusive) {
      return Incident::violation("CR-1",
                                 name_of(w) + " got a dead owner's lock without being told");
    }
    state.died_holding = 0;
  }
  unsigned exclusive = 0, shared = 0;
  (step.mode == Mode::kExclusive ? worker.holds_exclusive : worker.holds_shared) = 1;
  std::string holders;
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    exclusive += state.workers[i].holds_exclusive;
    shared += state.workers[i].holds_shared;
    if (i != w && (state.workers[i].holds_exclusive != 0 || state.workers[i].holds_shared != 0)) {
      holders += (holders.empty() ? "" : " and ") + name_of(i);
    }
  }
  const unsigned permits = lock_.claims.semaphore ? lock_.claims.permits : 1;
  if (exclusive > permits) {
    return Incident::violation(permits > 1 ? "ME-6" : "ME-1",
                               name_of(w) + " acquired the lock while " + holders + " held it");
  }
  if (exclusive > 0 && shared > 0) {
    return Incident::violation(
        "RW-1", name_of(w) + " acquired the lock in a mode that " + holders + "'s hold excludes");
  }
  return {};
}

/// The worker says that it only waits for others: unless they have given it something to look at
/// since it last said so, it need not run before they do. News is kept for those that have paused
/// before: for all others it would only multiply states.
void World::pause(WorkerState& worker) const {
  worker.spinning = worker.has_paused != 0 && worker.news == 0 ? 1 : 0;
  worker.has_paused = 1;
  worker.news = 0;
}

void World::tell_the_others(State& state, std::size_t w, const std::uint8_t* before) const {
  if (std::memcmp(before, state.shared, state.shared_used) == 0) return;
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    if (i == w) continue;
    state.workers[i].spinning = 0;
    state.workers[i].news = state.workers[i].has_paused;
  }
}

Incident World::step(State& state, const Transition& transition) {
  std::uint8_t before[kSharedBytes];
  std::memcpy(before, state.shared, state.shared_used);
  const Incident incident = move(state, transition);
  tell_the_others(state, transition.worker, before);
  return incident;
}

Incident World::move(State& state, const Transition& transition) {
  WorkerState& worker = state.workers[transition.worker];
  instructions_ = 0;
  worker.spinning = 0;
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    if (i != transition.worker) state.workers[i].alone = 0;
  }
  switch (transition.kind) {
    case Transition::Kind::kDrain: View(*this, state, transition.worker).drain_one(); return {};
    case Transition::Kind::kTimeOut:
      wake_up(state, transition.worker, static_cast<std::uint64_t>(-ETIMEDOUT));
      worker.timed_out = 1;
      return {};
    case Transition::Kind::kKill: kill(state, transition.worker); return {};
    case Transition::Kind::kRun: break;
  }
  if (worker.phase == Phase::kBetween) {
    begin_step(state, transition.worker);
    if (worker.phase == Phase::kDone) return {};
    return run(state, transition.worker, false);
  }
  return run(state, transition.worker, true);
}

/// Runs from one stop to the next. `granted`: the instruction at rip may touch shared memory.
Incident World::run(State& state, std::size_t w, bool granted) {
  WorkerState& worker = state.workers[w];
  View view(*this, state, w);
  for (unsigned count = 0; count < kLocalInstructionsMax; ++count) {
    if (worker.cpu.rip == kReturnAddress) return finish_call(state, w);
    if (worker.cpu.rip == clock_address_) {
      tell_the_time(worker.cpu, view);
      continue;
    }
    const Instruction* instruction = decoder_.at(worker.cpu.rip);
    if (instruction == nullptr)
      return Incident::unknown("undecoded code at " + symbol_of(worker.cpu.rip));
    const bool is_shared =
        is_syscall(*instruction) || (is_fence(*instruction) && worker.buffered > 0) ||
        (instruction->memory >= 0 &&
         effective_address(worker.cpu, *instruction) - shared_base_ < kSharedBytes);
    if ((is_shared && !granted) || worker.spinning != 0) {
      settle_stack(worker);
      return {};
    }
    if (is_shared) granted = false;
    ++instructions_;
    const Step done = execute(worker.cpu, view, *instruction);
    if (done == Step::kUnknown || view.overflowed()) {
      return Incident::unknown(
          (view.overflowed() ? "too much private memory written at " : "not modelled: ") +
          Decoder::text(worker.cpu.rip));
    }
    if (instruction->locked) {
      while (worker.buffered > 0) view.drain_one();
    }
    if (done == Step::kPause) pause(worker);
    if (done == Step::kSyscall) {
      const Incident incident = system_call(state, w);
      if (incident.kind != Incident::Kind::kNone || worker.phase == Phase::kAsleep) {
        settle_stack(worker);
        return incident;
      }
    }
    if (kStackTop - worker.cpu.general[kRsp] > kStackBytes - 256) {
      return Incident::unknown("a deeper stack than is modelled at " + symbol_of(worker.cpu.rip));
    }
  }
  return Incident::unknown("a long loop without a shared access at " + symbol_of(worker.cpu.rip));
}

/// What lies below the red zone is dead: cleared, so that equal futures are equal states.
void World::settle_stack(WorkerState& worker) {
  set_live_stack(worker, kStackTop - worker.cpu.general[kRsp] + 128);
}

std::string World::describe(const State& state, const Transition& transition) {
  const WorkerState& worker = state.workers[transition.worker];
  switch (transition.kind) {
    case Transition::Kind::kDrain: {
      const BufferedStore& store = worker.buffer[0];
      return "its store of " + std::to_string(store.value) + " to lock+" +
             std::to_string(store.address - shared_base_) + " becomes visible";
    }
    case Transition::Kind::kTimeOut: return "its deadline passes while it sleeps";
    case Transition::Kind::kKill:
      return worker.phase == Phase::kBetween ? "is killed inside the section"
                                             : "is killed before " + Decoder::text(worker.cpu.rip);
    case Transition::Kind::kRun: break;
  }
  if (worker.phase != Phase::kBetween) return Decoder::text(worker.cpu.rip);
  const auto& steps = program_.workers[transition.worker];
  Program one;
  one.workers = {{steps[worker.step]}};
  return "calls " + to_text(one);
}

std::string World::words_text(const State& state) const {
  std::string text;
  for (std::size_t at = 0; at + 4 <= lock_.real.size; at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, state.shared + at, 4);
    if (word == 0) continue;
    char line[48];
    std::snprintf(line, sizeof line, "%slock+%zu=0x%x", text.empty() ? "" : " ", at, word);
    text += line;
  }
  return text.empty() ? "lock is all zero" : text;
}

}  // namespace hobbs::step
