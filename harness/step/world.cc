#include "harness/step/world.h"

#include <asm/prctl.h>
#include <linux/futex.h>
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
#include "locks/real_platform.h"

namespace hobbs::step {
namespace {

constexpr std::uint64_t kStackTop = 0x00005a5a'00000000ull;  // No mapping of ours is there.
constexpr std::uint64_t kReturnAddress = 0x00005b5b'00000000ull;
constexpr unsigned kLocalInstructionsMax = 50'000;
constexpr std::size_t kBlockBefore = 16 * 1024;  // Thread-local variables lie below fs,
constexpr std::size_t kBlockAfter = 4 * 1024;    // the thread's control block above.

Incident unknown(std::string summary) {
  return {Incident::Kind::kUnknown, "", std::move(summary)};
}
Incident violation(std::string rule, std::string summary) {
  return {Incident::Kind::kViolation, std::move(rule), std::move(summary)};
}
/// clock_gettime() in a world whose clock stands still: its code would read the processor's.
void tell_the_time(Processor& cpu, Bus& bus) {
  constexpr std::uint64_t kNow_s = 1'000'000;
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

/// Memory as one worker's processor sees it.
class World::View : public Bus {
 public:
  View(const World& world, State& state, std::size_t w)
      : world_(world), state_(state), worker_(state.workers[w]), process_(world.processes_[w]) {}

  std::uint64_t read(std::uint64_t address, unsigned size) override {
    if (address - world_.shared_base_ < state_.shared_used) return read_shared(address, size);
    if (kStackTop - address - 1 < kStackBytes) {
      return load(worker_.stack + (kStackBytes - (kStackTop - address)), size);
    }
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value |= static_cast<std::uint64_t>(read_private_byte(address + i)) << (8 * i);
    }
    return value;
  }

  void write(std::uint64_t address, unsigned size, std::uint64_t value) override {
    if (address - world_.shared_base_ < state_.shared_used) {
      write_shared(address, size, value);
    } else if (kStackTop - address - 1 < kStackBytes) {
      const std::uint64_t depth = kStackTop - address;
      worker_.stack_touched = std::max(worker_.stack_touched, depth);
      std::memcpy(worker_.stack + (kStackBytes - depth), &value, size);
    } else {
      write_private(address, size, value);
    }
  }

  void drain_one() {
    const BufferedStore& oldest = worker_.buffer[0];
    std::memcpy(state_.shared + (oldest.address - world_.shared_base_), &oldest.value,
                oldest.size);
    std::copy(worker_.buffer + 1, worker_.buffer + worker_.buffered, worker_.buffer);
    worker_.buffer[--worker_.buffered] = {};
  }

  bool overflowed() const { return overflowed_; }

 private:
  static std::uint64_t load(const std::uint8_t* from, unsigned size) {
    std::uint64_t value = 0;
    std::memcpy(&value, from, size);
    return value;
  }

  std::uint64_t read_shared(std::uint64_t address, unsigned size) const {
    std::uint8_t bytes[8];
    std::memcpy(bytes, state_.shared + (address - world_.shared_base_), size);
    // A processor sees its own buffered stores, byte by byte, the newest last.
    for (unsigned i = 0; i < worker_.buffered; ++i) {
      const BufferedStore& store = worker_.buffer[i];
      for (unsigned b = 0; b < size; ++b) {
        const std::uint64_t at = address + b - store.address;
        if (at < store.size) bytes[b] = static_cast<std::uint8_t>(store.value >> (8 * at));
      }
    }
    return load(bytes, size);
  }

  void write_shared(std::uint64_t address, unsigned size, std::uint64_t value) {
    if (world_.memory_ == Memory::kTotalStoreOrder) {
      if (worker_.buffered == kStoreBufferEntries) drain_one();
      worker_.buffer[worker_.buffered++] = {address, value, size};
    } else {
      std::memcpy(state_.shared + (address - world_.shared_base_), &value, size);
    }
  }

  std::uint8_t read_private_byte(std::uint64_t address) const {
    const std::uint64_t word = address & ~7ull;
    for (unsigned i = 0; i < worker_.private_count; ++i) {
      if (worker_.words[i].address == word) {
        return static_cast<std::uint8_t>(worker_.words[i].value >> (8 * (address - word)));
      }
    }
    return original_byte(address);
  }

  std::uint8_t original_byte(std::uint64_t address) const {
    const std::uint64_t at = address - world_.block_base_;
    if (at < process_.thread_block.size()) return process_.thread_block[at];
    return *reinterpret_cast<const std::uint8_t*>(address);
  }

  void write_private(std::uint64_t address, unsigned size, std::uint64_t value) {
    for (unsigned i = 0; i < size; ++i) {
      const std::uint64_t word = (address + i) & ~7ull;
      const unsigned shift = 8 * static_cast<unsigned>((address + i) - word);
      std::uint64_t& content = private_word(word);
      content = (content & ~(0xffull << shift)) | (((value >> (8 * i)) & 0xff) << shift);
    }
  }

  /// The changed copy of a word; the list is kept in address order so that equal memories compare
  /// equal.
  std::uint64_t& private_word(std::uint64_t word) {
    PrivateWord* const end = worker_.words + worker_.private_count;
    PrivateWord* at = std::lower_bound(
        worker_.words, end, word,
        [](const PrivateWord& entry, std::uint64_t wanted) { return entry.address < wanted; });
    if (at != end && at->address == word) return at->value;
    if (worker_.private_count == kPrivateWords) {
      overflowed_ = true;
      return spill_;
    }
    std::copy_backward(at, end, end + 1);
    ++worker_.private_count;
    *at = {word, 0};
    for (unsigned i = 0; i < 8; ++i) {
      at->value |= static_cast<std::uint64_t>(original_byte(word + i)) << (8 * i);
    }
    return at->value;
  }

  const World& world_;
  State& state_;
  WorkerState& worker_;
  const Process& process_;
  bool overflowed_ = false;
  std::uint64_t spill_ = 0;
};

World::World(const LockSpec& lock, const Program& program, Memory memory, unsigned kills)
    : lock_(lock), program_(program), memory_(memory) {
  if (lock.real.size > kSharedBytes || program.workers.size() > kMaxStepWorkers) {
    throw std::invalid_argument("the lock or the program is too large for this driver");
  }
  void* at = ::mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
    } else if (worker.spinning == 0 &&
               !(worker.buffered > 0 && worker.phase == Phase::kInCall &&
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
    const bool in_contact = worker.phase != Phase::kBetween || worker.holds_exclusive != 0 ||
                            worker.holds_shared != 0;
    if (state.kills_left > 0 && in_contact) transitions.push_back({Kind::kKill, w});
  }
}

bool World::drains_first(std::uint64_t address) const {
  const Instruction* instruction = decoder_.at(address);
  return instruction != nullptr && (instruction->locked || is_fence(*instruction) ||
                                    is_syscall(*instruction));
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
  worker.timed_out = worker.spinning = worker.news = 0;
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
    incident = violation("MU-2", name_of(w) + "'s release of its own hold was refused: " +
                                     std::string(to_string(outcome)));
  }
  worker.alone = worker.timed_out = worker.spinning = worker.news = 0;
  if (worker.step == program_.workers[w].size()) worker.phase = Phase::kDone;
  return incident;
}

Incident World::after_acquire(State& state, std::size_t w, const hobbs::Step& step,
                              Outcome outcome) {
  WorkerState& worker = state.workers[w];
  if (!holds(outcome)) {
    if (step.verb == Verb::kAcquire) {
      return violation("ME-4", name_of(w) + "'s acquire gave up: " +
                                   std::string(to_string(outcome)));
    }
    if (step.verb == Verb::kTimed && worker.timed_out == 0) {
      return violation("TO-1", name_of(w) + " timed out though its deadline had not passed");
    }
    if (step.verb == Verb::kTry && worker.alone != 0 && !lock_.claims.spurious_try_failure) {
      return violation("TR-2", name_of(w) + "'s try failed on a lock that nobody held or touched");
    }
    return {};
  }
  if (state.died_holding != 0) {
    if (lock_.claims.crash == CrashBehaviour::kOwnerDied && outcome != Outcome::kOwnerDied &&
        step.mode == Mode::kExclusive) {
      return violation("CR-1", name_of(w) + " got a dead owner's lock without being told");
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
    return violation(permits > 1 ? "ME-6" : "ME-1",
                     name_of(w) + " acquired the lock while " + holders + " held it");
  }
  if (exclusive > 0 && shared > 0) {
    return violation("RW-1", name_of(w) + " acquired the lock in a mode that " + holders +
                                 "'s hold excludes");
  }
  return {};
}

/// The worker says that it only waits for others: unless they have given it something to look at
/// since it last said so, it need not run before they do.
void World::pause(WorkerState& worker) const {
  worker.spinning = worker.news != 0 ? 0 : 1;
  worker.news = 0;
}

void World::tell_the_others(State& state, std::size_t w, const std::uint8_t* before) const {
  if (std::memcmp(before, state.shared, state.shared_used) == 0) return;
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    if (i == w) continue;
    state.workers[i].spinning = 0;
    state.workers[i].news = 1;
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
  worker.spinning = 0;
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    if (i != transition.worker) state.workers[i].alone = 0;
  }
  switch (transition.kind) {
    case Transition::Kind::kDrain:
      View(*this, state, transition.worker).drain_one();
      return {};
    case Transition::Kind::kTimeOut:
      wake_up(state, transition.worker, static_cast<std::uint64_t>(-ETIMEDOUT));
      worker.timed_out = 1;
      return {};
    case Transition::Kind::kKill:
      kill(state, transition.worker);
      return {};
    case Transition::Kind::kRun:
      break;
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
    if (instruction == nullptr) return unknown("undecoded code at " + symbol_of(worker.cpu.rip));
    const bool is_shared =
        is_syscall(*instruction) || (is_fence(*instruction) && worker.buffered > 0) ||
        (instruction->memory >= 0 &&
         effective_address(worker.cpu, *instruction) - shared_base_ < kSharedBytes);
    if ((is_shared && !granted) || worker.spinning != 0) {
      settle_stack(worker);
      return {};
    }
    if (is_shared) granted = false;
    const Step done = execute(worker.cpu, view, *instruction);
    if (done == Step::kUnknown || view.overflowed()) {
      return unknown((view.overflowed() ? "too much private memory written at "
                                        : "not modelled: ") +
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
      return unknown("a deeper stack than is modelled at " + symbol_of(worker.cpu.rip));
    }
  }
  return unknown("a long loop without a shared access at " + symbol_of(worker.cpu.rip));
}

/// What lies below the red zone is dead: cleared, so that equal futures are equal states.
void World::settle_stack(WorkerState& worker) {
  set_live_stack(worker, kStackTop - worker.cpu.general[kRsp] + 128);
}

Incident World::system_call(State& state, std::size_t w) {
  WorkerState& worker = state.workers[w];
  const auto& general = worker.cpu.general;
  const auto done = [&worker](std::int64_t result) {
    worker.cpu.general[kRax] = static_cast<std::uint64_t>(result);
    worker.cpu.rip += 2;
    worker.cpu.general[kRcx] = worker.cpu.rip;  // As the processor does.
    worker.cpu.general[kR11] = 0;
    return Incident{};
  };
  switch (general[kRax]) {
    case SYS_gettid:
    case SYS_getpid:
      return done(thread_id_of(w));
    case SYS_sched_yield:
      pause(worker);
      return done(0);
    case SYS_set_robust_list:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
      return done(0);
    case SYS_futex:
      break;
    default:
      return unknown("system call " + std::to_string(general[kRax]) + " at " +
                     symbol_of(worker.cpu.rip));
  }
  const std::uint64_t address = general[kRdi];
  const bool is_private = (general[kRsi] & FUTEX_PRIVATE_FLAG) != 0;
  View view(*this, state, w);
  switch (general[kRsi] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
      const auto expected = static_cast<std::uint32_t>(general[kRdx]);
      if (view.read(address, 4) != expected) return done(-EAGAIN);
      worker.phase = Phase::kAsleep;
      worker.futex_address = address;
      worker.futex_private = is_private ? 1 : 0;
      worker.may_time_out = general[kR10] != 0 ? 1 : 0;
      worker.sleep_order = ++state.sleeps;
      return {};
    }
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
      return done(futex_wake(state, w, address, is_private,
                             static_cast<std::int32_t>(general[kRdx])));
    default:
      return unknown("futex operation " + std::to_string(general[kRsi]) + " at " +
                     symbol_of(worker.cpu.rip));
  }
}

void World::wake_up(State& state, std::size_t w, std::uint64_t result) {
  WorkerState& worker = state.workers[w];
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    WorkerState& other = state.workers[i];
    if (other.phase == Phase::kAsleep && other.sleep_order > worker.sleep_order) {
      --other.sleep_order;
    }
  }
  --state.sleeps;
  worker.phase = Phase::kInCall;
  worker.futex_address = worker.sleep_order = 0;
  worker.futex_private = worker.may_time_out = 0;
  worker.cpu.general[kRax] = result;
  worker.cpu.rip += 2;
  worker.cpu.general[kRcx] = worker.cpu.rip;
  worker.cpu.general[kR11] = 0;
}

int World::futex_wake(State& state, std::size_t waker, std::uint64_t address, bool is_private,
                      int n) {
  int woken = 0;
  while (woken < n) {
    std::size_t first = state.workers_count;
    for (std::size_t i = 0; i < state.workers_count; ++i) {
      const WorkerState& sleeper = state.workers[i];
      // A private futex is keyed by address space: each worker has its own.
      if (sleeper.phase != Phase::kAsleep || sleeper.futex_address != address ||
          (sleeper.futex_private != 0) != is_private || (is_private && i != waker)) {
        continue;
      }
      if (first == state.workers_count ||
          sleeper.sleep_order < state.workers[first].sleep_order) {
        first = i;
      }
    }
    if (first == state.workers_count) break;
    wake_up(state, first, 0);
    ++woken;
  }
  return woken;
}

void World::kill(State& state, std::size_t w) {
  WorkerState& worker = state.workers[w];
  View view(*this, state, w);
  while (worker.buffered > 0) view.drain_one();
  if (worker.phase == Phase::kAsleep) wake_up(state, w, 0);
  if (worker.holds_exclusive != 0) state.died_holding = 1;
  --state.kills_left;
  state.any_dead = 1;
  leave_robust_list(state, w);
  std::memset(static_cast<void*>(&worker), 0, sizeof worker);
  worker.phase = Phase::kDead;
}

/// What the kernel does with a dying thread's robust list (its futex documentation).
void World::leave_robust_list(State& state, std::size_t w) {
  if (robust_head_ == 0) return;
  View view(*this, state, w);
  const auto handle = [&](std::uint64_t entry, bool is_pending) {
    const std::uint64_t address = (entry & ~1ull) + view.read(robust_head_ + 8, 8);
    if (address - shared_base_ >= kSharedBytes) return;
    const auto word = static_cast<std::uint32_t>(view.read(address, 4));
    const bool priority_inheriting = (entry & 1) != 0;
    if (is_pending && !priority_inheriting && word == 0) {
      futex_wake(state, w, address, false, 1);
    } else if ((word & FUTEX_TID_MASK) == thread_id_of(w)) {
      const std::uint32_t died = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
      std::memcpy(state.shared + (address - shared_base_), &died, 4);
      if (!priority_inheriting && (word & FUTEX_WAITERS) != 0) {
        futex_wake(state, w, address, false, 1);
      }
    }
  };
  const std::uint64_t pending = view.read(robust_head_ + 16, 8);
  std::uint64_t entry = view.read(robust_head_, 8);
  for (int limit = 0; (entry & ~1ull) != robust_head_ && limit < 16; ++limit) {
    const std::uint64_t next = view.read(entry & ~1ull, 8);
    if ((entry & ~1ull) != (pending & ~1ull)) handle(entry, false);
    entry = next;
  }
  if (pending != 0) handle(pending, true);
}

std::string World::describe(const State& state, const Transition& transition) {
  const WorkerState& worker = state.workers[transition.worker];
  switch (transition.kind) {
    case Transition::Kind::kDrain: {
      const BufferedStore& store = worker.buffer[0];
      return "its store of " + std::to_string(store.value) + " to lock+" +
             std::to_string(store.address - shared_base_) + " becomes visible";
    }
    case Transition::Kind::kTimeOut:
      return "its deadline passes while it sleeps";
    case Transition::Kind::kKill:
      return worker.phase == Phase::kBetween ? "is killed inside the section"
                                             : "is killed before " + Decoder::text(worker.cpu.rip);
    case Transition::Kind::kRun:
      break;
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
