#include "harness/step/runner.h"

#include <cxxabi.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <optional>

#include "harness/step/own_memory.h"
#include "harness/step/symbols.h"

namespace hobbs::step {
namespace {

constexpr unsigned kLocalInstructionsMax = 50'000;
constexpr unsigned kSpinInstructionsMax = 400'000;
constexpr std::uint64_t kRedZoneBytes = 128;
constexpr std::uint64_t kRobustHeadBytes = 24;

void pause(Move& move) {
  const bool paused = (move.bits & WorkerHead::kPaused) != 0;
  const bool news = (move.bits & WorkerHead::kNews) != 0;
  move.bits = static_cast<std::uint8_t>((move.bits & WorkerHead::kAskedTime) | WorkerHead::kPaused);
  // The worker says that it only waits for others: unless they have given it something to look at
  // since it last said so, it need not run before they do.
  if (paused && !news) move.bits |= WorkerHead::kSpinning;
}

Move unknown(std::string what) {
  Move move;
  move.end = Move::End::kUnknown;
  move.unknown = std::move(what);
  return move;
}

/// At `rip`: the processor faults, if the model knows the memory.
Move faults(Move move, const WorkerMemory::Fault& fault, std::uint64_t rip) {
  char where[64];
  std::snprintf(where, sizeof where, "%#llx", static_cast<unsigned long long>(fault.address));
  const std::string does = fault.address == rip ? "jumps to" : fault.writes ? "writes to" : "reads";
  if (fault.kind == Image::Own::kUnmodelled) {
    return unknown(does + " " + where + ", which is not modelled, at " + symbol_of(rip));
  }
  move.end = Move::End::kFaults;
  move.unknown = does + " " + where;
  move.unknown += ", where it has no such memory";
  if (fault.address != rip) move.unknown += ", at " + symbol_of(rip);
  return move;
}

}  // namespace

std::uint64_t entry_of(const LockOps& ops, CallKind call) {
  const auto address = [](auto* function) { return reinterpret_cast<std::uint64_t>(function); };
  switch (call) {
    case CallKind::kAcquire: return address(ops.acquire);
    case CallKind::kTry: return address(ops.try_acquire);
    case CallKind::kTimed: return address(ops.acquire_until);
    case CallKind::kRelease: return address(ops.release);
    case CallKind::kAcquireShared: return address(ops.acquire_shared);
    case CallKind::kTryShared: return address(ops.try_acquire_shared);
    case CallKind::kTimedShared: return address(ops.acquire_shared_until);
    case CallKind::kReleaseShared: return address(ops.release_shared);
    case CallKind::kUpgrade: return address(ops.upgrade);
    case CallKind::kTryUpgrade: return address(ops.try_upgrade);
    case CallKind::kDowngrade: return address(ops.downgrade);
  }
  return 0;
}

Runner::Runner(const LockSpec& lock, const Image& image, Memory memory, bool stops_at_robust_list)
    : lock_(lock),
      image_(image),
      memory_(memory),
      stops_at_robust_list_(stops_at_robust_list && image.robust_head() != 0) {
  clock_gettime_ = reinterpret_cast<std::uint64_t>(&::clock_gettime);
  gettimeofday_ = reinterpret_cast<std::uint64_t>(&::gettimeofday);
  // Only locks that notice a death ask who lives, and it takes some milliseconds to look for that.
  if (lock.claims.crash != CrashBehaviour::kStuck) {
    static const std::uint64_t lives = address_of("_ZN5hobbs12RealPlatform15task_is_runningEiij",
                                                  reinterpret_cast<std::uint64_t>(&entry_of));
    lives_ = lives;
  }
  throws_ = reinterpret_cast<std::uint64_t>(&abi::__cxa_allocate_exception);
}

bool Runner::is_clock(std::uint64_t address) const {
  return address == clock_gettime_ || address == gettimeofday_;
}

/// A question about the time, in a world whose clock stands still: its code would read the
/// processor's.
void Runner::tell_the_time(Local& local, WorkerMemory& memory, bool late) {
  constexpr std::int64_t kSecond_ns = 1'000'000'000, kLongestTick_ns = 3'600 * kSecond_ns;
  Processor& cpu = local.cpu;
  const bool as_timespec = cpu.rip == clock_gettime_;
  const std::uint64_t at = cpu.general[as_timespec ? kRsi : kRdi];
  if (tick_ns_ > 0) {
    passed_ns_ += tick_ns_;
    tick_ns_ = std::min(2 * tick_ns_, kLongestTick_ns);
  }
  const std::int64_t part_ns = passed_ns_ % kSecond_ns;
  const std::int64_t now_s = (late ? kLate_s : kNow_s) + passed_ns_ / kSecond_ns;
  memory.write(at, 8, static_cast<std::uint64_t>(now_s));
  memory.write(at + 8, 8, static_cast<std::uint64_t>(as_timespec ? part_ns : part_ns / 1'000));
  return_to_caller(local, memory, 0);
}

void Runner::return_to_caller(Local& local, WorkerMemory& memory, std::uint64_t value) {
  Processor& cpu = local.cpu;
  cpu.general[kRax] = value;
  cpu.rip = memory.read(cpu.general[kRsp], 8);
  cpu.general[kRsp] += 8;
}

void Runner::tell_who_lives(Local& local, WorkerMemory& memory, std::uint8_t dead) {
  const std::uint64_t w = (local.cpu.general[kRsi] & 0xffffffff) - thread_id_of(0);
  return_to_caller(local, memory, w < kMaxStepWorkers && (dead >> w & 1) == 0 ? 1 : 0);
}

void Runner::begin(Local& local, CallKind call) const {
  local.leave_code();
  local.cpu.fs_base = image_.fs_base();
  local.cpu.general[kRdi] = image_.object();
  local.cpu.general[kRsi] = static_cast<std::uint64_t>(kDeadline_ns);
  local.cpu.general[kRsp] = kStackTop - 8;
  std::memcpy(local.stack + kStackBytes - 8, &kReturnAddress, 8);
  local.stack_touched = 8;
  local.cpu.rip = entry_of(lock_.real, call);
}

bool Runner::changes(std::uint32_t offset, unsigned bytes) const {
  if (changing_ == nullptr || bytes == 0) return true;
  for (std::uint32_t word = offset / 4; word <= (offset + bytes - 1) / 4; ++word) {
    if (changing_->test(word)) return true;
  }
  return false;
}

bool Runner::is_access(const Local& local, const Instruction& instruction, bool mortal) const {
  if (instruction.memory >= 0 && instruction.writes_memory && mortal && stops_at_robust_list_ &&
      effective_address(local.cpu, instruction) - image_.robust_head() < kRobustHeadBytes) {
    return true;
  }
  if (is_syscall(instruction) || (is_fence(instruction) && local.buffered > 0)) return true;
  if (instruction.memory < 0) return false;
  const std::uint32_t offset =
      image_.shared_offset(local.worker, effective_address(local.cpu, instruction));
  if (offset == kNotShared) return false;
  return instruction.writes_memory || instruction.locked ||
         changes(offset, instruction.operands[instruction.memory].bytes);
}

bool Runner::concerns_others_or_waits(const Local& local, const Instruction& instruction) const {
  if (is_syscall(instruction)) return !only_yields(local.cpu.general[kRax]);
  return local.buffered > 0 && (instruction.locked || is_fence(instruction));
}

/// String instructions have no explicit operand, and are modelled on private memory only.
bool Runner::touches_shared_string(const Local& local, const Instruction& instruction) const {
  if (!instruction.is_string) return false;
  const auto is_shared = [&](Register reg) {
    return image_.shared_offset(local.worker, local.cpu.general[reg]) != kNotShared;
  };
  return is_shared(kRdi) || is_shared(kRsi);
}

/// What lies below the red zone is dead, and a word that is as it was at first is no change: equal
/// futures are to be equal bytes.
void Runner::settle(Local& local) const {
  local.set_live_stack(kStackTop - local.cpu.general[kRsp] + kRedZoneBytes);
  PrivateWord* kept = local.words;
  for (unsigned i = 0; i < local.private_count; ++i) {
    const PrivateWord& word = local.words[i];
    const bool changed = word.value != image_.original_word(local.worker, word.address);
    if (changed) *kept++ = word;
  }
  local.private_count = static_cast<std::uint8_t>(kept - local.words);
}

Move Runner::move(Local& local, Shared& shared, const Input& input) {
  Move move;
  WorkerMemory memory(image_, memory_, local, shared);
  switch (input.kind) {
    case Input::Kind::kDrain:
      memory.drain_one();
      move.bits = input.bits;
      return move;
    case Input::Kind::kKill:
      move.wakes = KernelCall(image_, memory_, local, shared).die(input.first, move.touched);
      local.leave_code();
      local.private_count = 0;
      return move;
    case Input::Kind::kBegin: begin(local, input.call); break;
    case Input::Kind::kRun:
    case Input::Kind::kLook:
    case Input::Kind::kGiveUp: break;
  }
  move = run(local, shared, input);
  if (move.end == Move::End::kReturned) {
    move.outcome = static_cast<Outcome>(local.cpu.general[kRax] & 0xff);
    local.cpu.general[kRsp] = kStackTop;
    settle(local);
    local.leave_code();
  } else {
    settle(local);
  }
  return move;
}

/// A spin that is left to itself: whether it goes round for ever, and where it ends.
struct Runner::Spin {
  std::string seen, now;                      // An iteration's start, and this one's.
  std::vector<std::uint64_t> known, current;  // Accesses of earlier iterations, and of this one.
  unsigned iterations = 0, next_mark = 1;

  /// At a pause. True if the worker is exactly as it was at an earlier one.
  bool comes_round(const Local& local) {
    known.insert(known.end(), current.begin(), current.end());
    current.clear();
    pack(local, now);
    if (now == seen) return true;
    if (++iterations == next_mark) {  // Brent: marks at powers of two find every period.
      seen = now;
      next_mark *= 2;
    }
    return false;
  }
  /// Whether an access belongs to the loop rather than to what follows it.
  bool continues_at(std::uint64_t rip) {
    if (std::find(known.begin(), known.end(), rip) != known.end()) return true;
    if (iterations > 1) return false;
    current.push_back(rip);
    return true;
  }
};

/// Performs the system call at rip. True if the worker goes on running.
bool Runner::makes_system_call(Local& local, Shared& shared, const Input& input, Move& move) const {
  CallResult result = KernelCall(image_, memory_, local, shared).perform(input.woken, input.first);
  for (unsigned i = 0; i < result.wakes.count; ++i) {
    move.wakes.add(result.wakes.list[i].channel, result.wakes.list[i].count);
  }
  switch (result.end) {
    case CallResult::End::kUnknown: {
      const std::string where = symbol_of(local.cpu.rip);
      move.end = Move::End::kUnknown;
      move.unknown = result.unknown + " at " + where;
      return false;
    }
    case CallResult::End::kSleeps:
      move.end = Move::End::kAsleep;
      move.channel = result.channel;
      move.may_time_out = result.may_time_out;
      return false;
    case CallResult::End::kYields:
      pause(move);
      wake(local, 0);
      return true;
    case CallResult::End::kReturns: wake(local, result.value); return true;
  }
  return false;
}

/// Runs from one stop to the next.
Move Runner::run(Local& local, Shared& shared, const Input& input) {
  Move move;
  move.bits = input.bits;
  WorkerMemory memory(image_, memory_, local, shared);
  bool granted = input.kind == Input::Kind::kRun;  // One access may be made.
  std::optional<Spin> spin;
  if (input.kind == Input::Kind::kGiveUp) spin.emplace();
  const unsigned limit = spin ? kSpinInstructionsMax : kLocalInstructionsMax;
  for (unsigned count = 0; count < limit; ++count) {
    const std::uint64_t rip = local.cpu.rip;
    if (rip == kReturnAddress) {
      move.end = Move::End::kReturned;
      return move;
    }
    if (is_clock(rip)) {
      move.bits |= WorkerHead::kAskedTime;
      tell_the_time(local, memory, (input.bits & WorkerHead::kTimedOut) != 0);
      continue;
    }
    if (asks_who_lives(rip)) {
      if (!granted || count > 0) {
        if (spin) move.bits &= static_cast<std::uint8_t>(~WorkerHead::kSpinning);
        return move;
      }
      granted = false;
      tell_who_lives(local, memory, input.dead);
      continue;
    }
    if (rip == throws_) return unknown("an exception, whose unwinding is not modelled");
    const Instruction* instruction = decoder_.at(rip);
    if (instruction == nullptr) {
      if (has_right(rip, kExecutable)) return unknown("undecoded code at " + symbol_of(rip));
      ++move.instructions;
      return faults(move, {Image::Own::kNo, false, rip}, rip);
    }
    if (touches_shared_string(local, *instruction)) {
      return unknown("a string instruction on shared memory at " + symbol_of(rip));
    }
    // The move was decided on by the instruction at which it began: what else concerns others, or
    // waits for the store buffer, begins a move of its own.
    if (count > 0 && granted) granted = !concerns_others_or_waits(local, *instruction);
    if (is_access(local, *instruction, input.mortal)) {
      const bool only_looks = is_syscall(*instruction)
                                  ? only_yields(local.cpu.general[kRax])
                                  : !instruction->writes_memory && !is_fence(*instruction);
      const bool in_spin = spin && only_looks && spin->continues_at(rip);
      if (!granted && !in_spin) {
        if (spin) move.bits &= static_cast<std::uint8_t>(~WorkerHead::kSpinning);
        return move;
      }
      granted = false;
    } else if ((move.bits & WorkerHead::kSpinning) != 0 && !spin) {
      return move;
    }
    ++move.instructions;
    const Step done = execute(local.cpu, memory, *instruction);
    if (memory.fault().kind != Image::Own::kYes) {
      local.cpu.rip = rip;
      return faults(move, memory.fault(), rip);
    }
    if (done == Step::kUnknown || memory.overflowed()) {
      return unknown(
          (memory.overflowed() ? "too much private memory written at " : "not modelled: ") +
          Decoder::text(local.cpu.rip));
    }
    if (instruction->locked) memory.drain_all();
    const bool pauses = done == Step::kPause;
    if (pauses) pause(move);
    if (done == Step::kSyscall && !makes_system_call(local, shared, input, move)) return move;
    if (spin && (pauses || done == Step::kSyscall) && spin->comes_round(local)) {
      move.end = Move::End::kSpins;
      return move;
    }
    if (kStackTop - local.cpu.general[kRsp] > kStackBytes - 256) {
      return unknown("a deeper stack than is modelled at " + symbol_of(rip));
    }
  }
  return unknown(std::string(spin ? "a spin that ends too late" : "a loop without shared access") +
                 " at " + symbol_of(local.cpu.rip));
}

/// What of the shared bytes a system call reaches; all, if more than a futex.
Access Runner::access_of_call(const Local& local) const {
  const auto& general = local.cpu.general;
  const auto offset_of = [&](Register reg) {
    return image_.shared_offset(local.worker, general[reg]);
  };
  if (general[kRax] == SYS_gettid || general[kRax] == SYS_getpid) return {};
  if (general[kRax] == SYS_futex && offset_of(kR10) == kNotShared) {
    if (offset_of(kRdi) == kNotShared) return {};
    return {offset_of(kRdi), 4, Access::Kind::kAtomic};
  }
  for (const Register reg : {kRdi, kRsi, kRdx, kR10, kR8, kR9}) {
    if (offset_of(reg) != kNotShared) return {0, kSharedBytes, Access::Kind::kAtomic};
  }
  return {};
}

Access Runner::next_access(Local local, Shared shared, bool late, bool& asks_time) {
  Input input;
  input.kind = Input::Kind::kLook;
  input.bits = late ? WorkerHead::kTimedOut : 0;
  const Move move = run(local, shared, input);
  asks_time = (move.bits & WorkerHead::kAskedTime) != 0;
  if (move.end != Move::End::kStopped) return {};
  const Instruction* instruction = decoder_.at(local.cpu.rip);
  if (instruction == nullptr) return {};
  if (is_syscall(*instruction)) return access_of_call(local);
  if (instruction->memory < 0) return {};
  const std::uint32_t offset =
      image_.shared_offset(local.worker, effective_address(local.cpu, *instruction));
  if (offset == kNotShared) return {};
  const bool stores = instruction->writes_memory && !instruction->locked;
  return {offset, instruction->operands[instruction->memory].bytes,
          instruction->locked ? Access::Kind::kAtomic
          : stores            ? Access::Kind::kStore
                              : Access::Kind::kLoad};
}

Pending Runner::pending(const Local& local, const Shared& shared) {
  Pending pending;
  const Instruction* instruction = decoder_.at(local.cpu.rip);
  if (instruction == nullptr) return pending;
  pending.asks_who_lives = asks_who_lives(local.cpu.rip);
  pending.drains_first = instruction->locked || is_fence(*instruction) ||
                         is_syscall(*instruction) || pending.asks_who_lives;
  if (is_syscall(*instruction)) {
    pending.interest =
        KernelCall(image_, memory_, const_cast<Local&>(local), const_cast<Shared&>(shared))
            .interest();
  }
  return pending;
}

void Runner::wake(Local& local, std::int64_t result) {
  local.cpu.general[kRax] = static_cast<std::uint64_t>(result);
  local.cpu.rip += 2;
  local.cpu.general[kRcx] = local.cpu.rip;  // As the processor does.
  local.cpu.general[kR11] = 0;
}

}  // namespace hobbs::step
