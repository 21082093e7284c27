#include "harness/step/native.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

#include "harness/step/kernel.h"
#include "locks/real_platform.h"

namespace hobbs::step {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPatience{2000};
constexpr std::chrono::milliseconds kStall{150};  // A call takes microseconds.

/// What went wrong with the processes themselves.
struct Refusal {
  NativeReport::End end;
  std::string reason;
};

/// One traced worker.
class Tracee {
 public:
  explicit Tracee(std::size_t w) : index_(w) {
    pid_ = ::fork();
    if (pid_ < 0) refuse("cannot fork");
    if (pid_ == 0) child_main();
    wait_for_stop();
    if (::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) != 0) refuse("cannot trace");
    registers_ = read_registers();
  }
  ~Tracee() { kill(); }
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  pid_t pid() const { return pid_; }
  bool dead() const { return pid_ == 0; }
  bool running() const { return running_; }
  int stop_signal() const { return stop_signal_; }
  user_regs_struct& registers() { return registers_; }

  void begin_call(const Processor& start, std::uint64_t entry) {
    registers_ = read_registers();
    registers_.rdi = start.general[kRdi];
    registers_.rsi = start.general[kRsi];
    registers_.rax = registers_.rbx = registers_.rcx = registers_.rdx = registers_.rbp = 0;
    registers_.r8 = registers_.r9 = registers_.r10 = registers_.r11 = 0;
    registers_.r12 = registers_.r13 = registers_.r14 = registers_.r15 = 0;
    registers_.rsp = kStackTop - 8;
    registers_.rip = entry;
    registers_.eflags = 0x202;
    registers_.orig_rax = ~0ull;
    write_memory(kStackTop - 8, &kReturnAddress, 8);
    write_registers();
  }

  /// One instruction. If it is a system call that blocks, the worker is left running.
  void single_step(bool may_block) {
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, 0) != 0) refuse("cannot step");
    running_ = true;
    if (may_block) {
      wait_until_asleep_or_stopped();
    } else {
      wait_for_stop();
    }
    if (!running_) registers_ = read_registers();
  }

  /// A blocked worker that ought to come back now.
  bool comes_back() {
    const Clock::time_point until = Clock::now() + kPatience;
    while (running_ && Clock::now() < until) {
      if (poll_stop()) registers_ = read_registers();
    }
    return !running_;
  }

  void let_go() {
    if (dead() || running_) return;
    ::ptrace(PTRACE_CONT, pid_, nullptr, 0);
    running_ = true;
  }

  void kill() {
    if (dead()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, __WALL);
    pid_ = 0;
    running_ = false;
  }

  void write_memory(std::uint64_t address, const void* from, std::size_t bytes) {
    const iovec local{const_cast<void*>(from), bytes};
    const iovec remote{reinterpret_cast<void*>(address), bytes};
    if (::process_vm_writev(pid_, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(bytes)) {
      refuse("cannot write a worker's memory");
    }
  }
  std::uint64_t read_word(std::uint64_t address) {
    std::uint64_t value = 0;
    const iovec local{&value, 8};
    const iovec remote{reinterpret_cast<void*>(address), 8};
    if (::process_vm_readv(pid_, &local, 1, &remote, 1, 0) != 8) {
      refuse("cannot read a worker's memory");
    }
    return value;
  }
  void refresh() { registers_ = read_registers(); }
  void write_registers() {
    if (::ptrace(PTRACE_SETREGS, pid_, nullptr, &registers_) != 0) refuse("cannot set registers");
  }

  char scheduler_state() const {
    char path[64], text[512] = {};
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid_);
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return '?';
    const ssize_t length = ::read(file, text, sizeof text - 1);
    ::close(file);
    const char* state = length > 0 ? std::strrchr(text, ')') : nullptr;
    return state == nullptr ? '?' : state[2];
  }
  /// Whether it ended or came back to its return address (a stop by SIGSEGV there).
  bool poll_stop() {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG | __WALL);
    if (got != pid_) {
      ::sched_yield();
      return false;
    }
    note(status);
    return true;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Refusal{NativeReport::End::kRefused, what + ": " + std::strerror(errno)};
  }

  [[noreturn]] void child_main() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    void* const low = reinterpret_cast<void*>(kStackTop - 65536);
    if (::mmap(low, 65536, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != low) {
      ::_exit(1);
    }
    RealPlatform::attach(static_cast<std::uint32_t>(index_ + 1));
    // The C library's cached thread id is refreshed by fork itself.
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(0);
  }

  void note(int status) {
    if (!WIFSTOPPED(status)) {
      pid_ = 0;
      throw Refusal{NativeReport::End::kDiffers, "a worker ended of itself"};
    }
    stop_signal_ = WSTOPSIG(status);
    running_ = false;
  }
  void wait_for_stop() {
    int status = 0;
    if (::waitpid(pid_, &status, __WALL) != pid_) refuse("cannot wait for a worker");
    note(status);
  }
  void wait_until_asleep_or_stopped() {
    const Clock::time_point until = Clock::now() + kPatience;
    while (Clock::now() < until) {
      if (poll_stop()) return;
      if (scheduler_state() == 'S') return;
    }
  }
  user_regs_struct read_registers() {
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) != 0) refuse("cannot read registers");
    return registers;
  }

  const std::size_t index_;
  pid_t pid_ = 0;
  bool running_ = false;
  int stop_signal_ = 0;
  user_regs_struct registers_{};
};

class NativeRun {
 public:
  NativeRun(World& world, const std::vector<Transition>& path, bool ends_stuck)
      : world_(world), path_(path), ends_stuck_(ends_stuck), state_(world.initial()) {}

  NativeReport run() {
    try {
      if (world_.memory() == Memory::kTotalStoreOrder) {
        throw Refusal{NativeReport::End::kRefused, "a store buffer cannot be held back natively"};
      }
      std::memcpy(reinterpret_cast<void*>(world_.shared_base()), state_.shared, state_.shared_used);
      for (std::size_t w = 0; w < state_.workers_count; ++w) {
        tracees_.push_back(std::make_unique<Tracee>(w));
        ids_.push_back(tracees_.back()->pid());
      }
      for (position_ = 0; position_ < path_.size(); ++position_) follow(path_[position_]);
      if (ends_stuck_) expect_stall();
    } catch (const Refusal& refusal) {
      report_.end = refusal.end;
      report_.reason = refusal.reason;
    }
    return report_;
  }

 private:
  [[noreturn]] void differ(const std::string& what) const {
    throw Refusal{NativeReport::End::kDiffers,
                  what + " at transition " + std::to_string(position_ + 1)};
  }

  void follow(const Transition& transition) {
    const std::size_t w = transition.worker;
    Tracee& tracee = *tracees_[w];
    const State before = state_;
    const Incident incident = world_.step(state_, transition);
    switch (transition.kind) {
      case Transition::Kind::kDrain: differ("a store buffer that is none");
      case Transition::Kind::kKill: tracee.kill(); break;
      case Transition::Kind::kTimeOut:
        if (!tracee.comes_back()) differ("a deadline did not pass");
        break;
      case Transition::Kind::kRun: run_worker(before, tracee, w); break;
    }
    for (std::size_t i = 0; i < state_.workers_count; ++i) {
      const bool woken = before.workers[i].phase == Phase::kAsleep &&
                         state_.workers[i].phase == Phase::kInCall && i != w;
      if (woken && !tracees_[i]->comes_back()) differ("a sleeper was not woken");
    }
    compare_memory();
    if (state_.workers[w].phase == Phase::kInCall) compare_registers(w);
    if (incident.kind == Incident::Kind::kUnknown) differ(incident.summary);
  }

  void run_worker(const State& before, Tracee& tracee, std::size_t w) {
    const WorkerState& model = before.workers[w];
    if (model.phase == Phase::kBetween) {
      const std::size_t step = step_begun(before, w);
      if (step == world_.program().workers[w].size()) return;
      begin_call(w, step, model.holds_shared != 0);
    }
    const unsigned count = world_.instructions_of_last_run();
    for (unsigned i = 0; i < count; ++i) {
      answer_clock(tracee);
      const bool last = i + 1 == count;
      const bool sleeps = last && state_.workers[w].phase == Phase::kAsleep;
      if (sleeps && times_out_next(w)) expire_deadline(tracee);
      tracee.single_step(sleeps);
      ++report_.instructions;
    }
    answer_clock(tracee);
    if (state_.workers[w].phase == Phase::kBetween || state_.workers[w].phase == Phase::kDone) {
      if (tracee.registers().rip != kReturnAddress) differ("a call did not return");
    }
  }

  std::size_t step_begun(const State& before, std::size_t w) const {
    const WorkerState& after = state_.workers[w];
    // A call that returned within this very transition has already moved the index on.
    const bool returned = after.phase == Phase::kBetween || after.phase == Phase::kDone;
    if (world_.instructions_of_last_run() == 0) return world_.program().workers[w].size();
    (void)before;
    return returned ? after.step - 1u : after.step;
  }

  void answer_clock(Tracee& tracee) {
    user_regs_struct& registers = tracee.registers();
    while (!tracee.running() && registers.rip == world_.clock_address()) {
      const std::uint64_t now[2] = {kNow_s, 0};
      tracee.write_memory(registers.rsi, now, sizeof now);
      registers.rip = tracee.read_word(registers.rsp);
      registers.rsp += 8;
      registers.rax = 0;
      tracee.write_registers();
    }
  }

  /// Whether this sleep will end by its deadline: then the deadline is made to have passed, since
  /// the real one is years away. A sleeper that the model times out was not woken before.
  bool times_out_next(std::size_t w) const {
    State ahead = state_;
    for (std::size_t i = position_ + 1; i < path_.size(); ++i) {
      if (ahead.workers[w].phase != Phase::kAsleep) return false;
      if (path_[i].worker == w) return path_[i].kind == Transition::Kind::kTimeOut;
      world_.step(ahead, path_[i]);
    }
    return false;
  }
  void expire_deadline(Tracee& tracee) {
    const std::uint64_t past[2] = {0, 1};
    if (tracee.registers().r10 != 0) tracee.write_memory(tracee.registers().r10, past, 16);
  }

  void compare_memory() {
    const auto* real = reinterpret_cast<const std::uint8_t*>(world_.shared_base());
    for (std::size_t at = 0; at + 4 <= state_.shared_used; at += 4) {
      std::uint32_t model = 0, machine = 0;
      std::memcpy(&model, state_.shared + at, 4);
      std::memcpy(&machine, real + at, 4);
      if (!alike(model, machine)) {
        differ("lock+" + std::to_string(at) + " is " + std::to_string(machine) + ", in the model " +
               std::to_string(model));
      }
    }
  }

  void compare_registers(std::size_t w) {
    const Processor& model = state_.workers[w].cpu;
    const user_regs_struct& real = tracees_[w]->registers();
    const std::uint64_t machine[16] = {real.rax, real.rcx, real.rdx, real.rbx, real.rsp, real.rbp,
                                       real.rsi, real.rdi, real.r8,  real.r9,  real.r10, real.r11,
                                       real.r12, real.r13, real.r14, real.r15};
    if (real.rip != model.rip) {
      differ("worker " + std::to_string(w + 1) + " is at " + symbol_of(real.rip) +
             ", in the model at " + symbol_of(model.rip));
    }
    for (int r = 0; r < 16; ++r) {
      if (r == kR11) continue;  // Holds the flags after a system call, the trap flag among them.
      ++report_.registers_compared;
      if (!alike(model.general[r], machine[r])) {
        differ("register " + std::to_string(r) + " of worker " + std::to_string(w + 1) +
               " differs at " + symbol_of(real.rip));
      }
    }
  }

  /// Equal, but for a thread id, which the kernel gives and the model cannot know.
  bool alike(std::uint64_t model, std::uint64_t machine) const {
    if (model == machine) return true;
    constexpr std::uint64_t kIdBits = 0x3fffffff;
    for (std::size_t w = 0; w < ids_.size(); ++w) {
      const auto id = static_cast<std::uint64_t>(ids_[w]);
      if ((model & kIdBits) == thread_id_of(w) && (machine & kIdBits) == id &&
          (model & ~kIdBits) == (machine & ~kIdBits)) {
        return true;
      }
    }
    return false;
  }
  /// Lets everybody run freely to the end of its steps: somebody must fail to get there.
  void expect_stall() {
    for (std::size_t w = 0; w < state_.workers_count; ++w) {
      if (state_.workers[w].phase == Phase::kBetween) {
        begin_next(w);
      } else if (state_.workers[w].phase == Phase::kInCall) {
        tracees_[w]->let_go();
      }
    }
    const Clock::time_point until = Clock::now() + kStall;
    while (Clock::now() < until) {
      bool unfinished = false;
      for (std::size_t w = 0; w < state_.workers_count; ++w) {
        const Phase phase = state_.workers[w].phase;
        if (phase == Phase::kDone || phase == Phase::kDead) continue;
        unfinished = true;
        // The return address is not mapped: coming back is a fault there.
        if (tracees_[w]->poll_stop()) came_back(w);
      }
      if (!unfinished) differ("all workers came back: there is no stall");
    }
  }

  void came_back(std::size_t w) {
    WorkerState& worker = state_.workers[w];
    tracees_[w]->refresh();
    if (tracees_[w]->stop_signal() == SIGTRAP) {  // Of the step that fell asleep: woken now.
      tracees_[w]->let_go();
      return;
    }
    if (tracees_[w]->registers().rip != kReturnAddress) differ("a worker faulted");
    const hobbs::Step& step = world_.program().workers[w][worker.step];
    if (step.verb != Verb::kRelease &&
        holds(static_cast<Outcome>(tracees_[w]->registers().rax & 0xff))) {
      (step.mode == Mode::kExclusive ? worker.holds_exclusive : worker.holds_shared) = 1;
    }
    ++worker.step;
    begin_next(w);
  }

  /// Lets a worker that is between calls go into the next one, or notes that it has done all.
  void begin_next(std::size_t w) {
    WorkerState& worker = state_.workers[w];
    const std::vector<hobbs::Step>& steps = world_.program().workers[w];
    const bool holding = worker.holds_exclusive != 0 || worker.holds_shared != 0;
    while (worker.step < steps.size() && steps[worker.step].verb == Verb::kRelease && !holding) {
      ++worker.step;
    }
    if (worker.step == steps.size()) {
      worker.phase = Phase::kDone;
      return;
    }
    begin_call(w, worker.step, worker.holds_shared != 0);
    if (steps[worker.step].verb == Verb::kRelease) {
      worker.holds_exclusive = worker.holds_shared = 0;
    }
    worker.phase = Phase::kInCall;
    tracees_[w]->let_go();
  }

  void begin_call(std::size_t w, std::size_t step, bool holds_shared) {
    Processor start;
    start.general[kRdi] = world_.shared_base();
    start.general[kRsi] = static_cast<std::uint64_t>(kDeadline_ns);
    tracees_[w]->begin_call(
        start, entry_of(world_.lock().real, world_.program().workers[w][step], holds_shared));
  }

  World& world_;
  const std::vector<Transition>& path_;
  const bool ends_stuck_;
  State state_;
  std::size_t position_ = 0;
  std::vector<std::unique_ptr<Tracee>> tracees_;
  std::vector<pid_t> ids_;  // Also of those that have died.
  NativeReport report_;
};

}  // namespace

NativeReport run_natively(World& world, const std::vector<Transition>& path, bool ends_stuck) {
  return NativeRun(world, path, ends_stuck).run();
}

}  // namespace hobbs::step
