#include "harness/step/native.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "harness/step/kernel.h"
#include "harness/step/symbols.h"
#include "harness/step/tracee.h"

namespace hobbs::step {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = Transition::Kind;
constexpr std::chrono::milliseconds kStall{150};  // A call takes microseconds.
constexpr std::chrono::milliseconds kLateWake{1};

class NativeRun {
 public:
  NativeRun(World& world, const std::vector<Transition>& path, bool ends_stuck)
      : world_(world), path_(path), ends_stuck_(ends_stuck), state_(world.initial()) {}

  NativeReport run() {
    try {
      if (world_.options().memory == Memory::kTotalStoreOrder) {
        throw Refusal{NativeReport::End::kRefused, "a store buffer cannot be held back natively"};
      }
      world_.image().copy_to_machine(0, state_.shared);
      for (std::size_t w = 0; w < state_.head.count; ++w) {
        tracees_.push_back(std::make_unique<Tracee>(w, world_.lock(), world_.image()));
        ids_.push_back(tracees_.back()->pid());
      }
      for (position_ = 0; position_ < path_.size(); ++position_) follow(path_[position_]);
      const Clock::time_point until = Clock::now() + kLateWake;
      while (!ends_stuck_ && world_.options().kills > 0 && Clock::now() < until) {
        nobody_else_wakes();
      }
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
    Event event;
    const Incident incident = world_.step(state_, transition, event);
    switch (transition.kind) {
      case Kind::kDrain: differ("a store buffer that is none");
      case Kind::kSignal:
        if (!tracee.interrupt(state_.locals[w].cpu.rip)) differ("a signal did not end a sleep");
        break;
      case Kind::kSpurious:
        throw Refusal{NativeReport::End::kRefused, "a wake without a cause cannot be ordered"};
      case Kind::kKill: tracee.kill(); break;
      case Kind::kTimeOut:
        if (before.head.workers[w].phase != Phase::kAsleep) break;  // It will see it on the clock.
        if (!tracee.comes_back()) differ("a deadline did not pass");
        break;
      case Kind::kRun:
      case Kind::kGiveUp: run_worker(before, tracee, w, event); break;
    }
    for (std::size_t i = 0; i < state_.head.count; ++i) {
      const bool woken = before.head.workers[i].phase == Phase::kAsleep &&
                         state_.head.workers[i].phase == Phase::kInCall && i != w;
      // Who waits for a file lock asks again before it comes back, and may have to wait on.
      if (woken && !channel::retries(before.head.workers[i].channel) &&
          !tracees_[i]->comes_back()) {
        differ("a sleeper was not woken");
      }
    }
    nobody_else_wakes();
    compare_memory();
    if (state_.head.workers[w].phase == Phase::kInCall && !event.faults) compare_registers(w);
    if (incident.kind == Incident::Kind::kUnknown) differ(incident.summary);
    ++report_.points;
  }

  /// A sleeper that the machine woke and the model did not. A late one is met at a later
  /// transition.
  void nobody_else_wakes() {
    for (std::size_t i = 0; i < state_.head.count; ++i) {
      const WorkerHead& worker = state_.head.workers[i];
      // Who waits for a file lock asks again inside the kernel, and a deadline that the path lets
      // pass is made to have passed before the sleep.
      const bool sleeps = worker.phase == Phase::kAsleep && !channel::retries(worker.channel) &&
                          !worker.has(WorkerHead::kMayTimeOut);
      if (sleeps && (!tracees_[i]->running() || tracees_[i]->poll_stop())) {
        differ("worker " + std::to_string(i + 1) + " was woken that sleeps on in the model");
      }
    }
  }

  void run_worker(const State& before, Tracee& tracee, std::size_t w, const Event& event) {
    WorkerHead model = before.head.workers[w];
    if (model.phase == Phase::kBetween) {
      CallKind call{};
      if (!world_.next_call(model, w, call)) return;
      begin_call(w, call);
    }
    const bool late = model.has(WorkerHead::kTimedOut);
    std::uint32_t count = event.instructions;
    if (tracee.running()) {  // It has been asking for a file lock again since it was woken.
      const bool sleeps_on = state_.head.workers[w].phase == Phase::kAsleep;
      if (sleeps_on) return;
      if (!tracee.comes_back()) differ("a file lock was not granted");
      if (count > 0) --count;
    }
    if (before.head.workers[w].phase == Phase::kInCall) answer_who_lives(before.head, tracee);
    for (std::uint32_t i = 0; i < count; ++i) {
      answer_clock(tracee, late);
      const bool sleeps = i + 1 == count && state_.head.workers[w].phase == Phase::kAsleep;
      if (sleeps && times_out_next(w)) expire_deadline(tracee);
      tracee.single_step(sleeps);
      ++report_.instructions;
    }
    if (event.faults) {
      if (tracee.stop_signal() != SIGSEGV) differ("the machine does not fault");
      return;
    }
    answer_clock(tracee, late);
    if (event.returned && tracee.registers().rip != kReturnAddress) {
      differ("a call did not return");
    }
    if (event.returned && static_cast<Outcome>(tracee.registers().rax & 0xff) != event.outcome) {
      differ("a call returned something else");
    }
  }

  /// The model's answer: a real process that was killed a moment ago has just not ended yet.
  void answer_who_lives(const Head& before, Tracee& tracee) {
    user_regs_struct& registers = tracee.registers();
    if (tracee.running() || !world_.runner().asks_who_lives(registers.rip)) return;
    const auto who = std::find(ids_.begin(), ids_.end(), static_cast<pid_t>(registers.rsi));
    const auto w = static_cast<unsigned>(who - ids_.begin());
    registers.rax = who != ids_.end() && (World::dead(before) >> w & 1) == 0 ? 1 : 0;
    registers.rip = tracee.read_word(registers.rsp);
    registers.rsp += 8;
    tracee.write_registers();
  }

  void answer_clock(Tracee& tracee, bool late) {
    user_regs_struct& registers = tracee.registers();
    while (!tracee.running() && world_.runner().is_clock(registers.rip)) {
      const bool is_gettime = world_.runner().is_clock_gettime(registers.rip);
      const std::uint64_t now[2] = {static_cast<std::uint64_t>(late ? kLate_s : kNow_s), 0};
      tracee.write_memory(is_gettime ? registers.rsi : registers.rdi, now, sizeof now);
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
      if (ahead.head.workers[w].phase != Phase::kAsleep) return false;
      if (path_[i].worker == w) return path_[i].kind == Kind::kTimeOut;
      world_.step(ahead, path_[i]);
    }
    return false;
  }
  void expire_deadline(Tracee& tracee) {
    const std::uint64_t past[2] = {0, 1};
    if (tracee.registers().r10 != 0) tracee.write_memory(tracee.registers().r10, past, 16);
  }

  void compare_memory() {
    const std::uint32_t bytes =
        world_.image().on_path() ? world_.image().kernel_offset() : state_.shared.used;
    Shared machine;
    world_.image().copy_from_machine(0, machine);
    for (std::uint32_t at = 0; at + 4 <= bytes; at += 4) {
      std::uint32_t in_model = 0, in_machine = 0;
      std::memcpy(&in_model, state_.shared.bytes + at, 4);
      std::memcpy(&in_machine, machine.bytes + at, 4);
      if (!alike(in_model, in_machine)) {
        differ("lock+" + std::to_string(at) + " is " + std::to_string(in_machine) +
               ", in the model " + std::to_string(in_model));
      }
    }
  }

  void compare_registers(std::size_t w) {
    if (tracees_[w]->running()) return;
    const Processor& model = state_.locals[w].cpu;
    const user_regs_struct& real = tracees_[w]->registers();
    const std::uint64_t machine[16] = {real.rax, real.rcx, real.rdx, real.rbx, real.rsp, real.rbp,
                                       real.rsi, real.rdi, real.r8,  real.r9,  real.r10, real.r11,
                                       real.r12, real.r13, real.r14, real.r15};
    if (real.rip != model.rip) {
      differ("worker " + std::to_string(w + 1) + " is at " + symbol_of(real.rip) +
             ", in the model at " + symbol_of(model.rip));
    }
    // Objects on a path hold descriptors and addresses that each process gets anew.
    if (world_.image().on_path()) return;
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
    for (std::size_t w = 0; w < state_.head.count; ++w) {
      const Phase phase = state_.head.workers[w].phase;
      if (phase == Phase::kBetween) {
        begin_next(w);
      } else if (phase == Phase::kInCall) {
        tracees_[w]->let_go();
      }
    }
    const Clock::time_point until = Clock::now() + kStall;
    while (Clock::now() < until) {
      bool unfinished = false;
      for (std::size_t w = 0; w < state_.head.count; ++w) {
        if (state_.head.workers[w].finished()) continue;
        unfinished = true;
        // The return address is not mapped: coming back is a fault there.
        if (tracees_[w]->poll_stop()) came_back(w);
      }
      if (!unfinished) differ("all workers came back: there is no stall");
    }
    tell_stall();
  }

  /// Who sleeps now without a deadline, with nobody running, sleeps for ever.
  void tell_stall() {
    std::string asleep, awake;
    for (std::size_t w = 0; w < state_.head.count; ++w) {
      if (state_.head.workers[w].finished()) continue;
      std::string& list = tracees_[w]->waits_for_others() ? asleep : awake;
      list += (list.empty() ? "worker " : ", worker ") + std::to_string(w + 1);
    }
    if (awake.empty()) {
      report_.stall = "let go, " + asleep + " sleeps, and nobody is left who could end that";
      return;
    }
    report_.stall = "let go, " + awake + " had not finished after " +
                    std::to_string(kStall.count()) + " ms" +
                    (asleep.empty() ? "" : ", and " + asleep + " slept") +
                    "; that no schedule finishes is what the search says";
  }

  void came_back(std::size_t w) {
    WorkerHead& worker = state_.head.workers[w];
    tracees_[w]->refresh();
    if (tracees_[w]->stop_signal() == SIGTRAP) {  // Of the step that fell asleep: woken now.
      tracees_[w]->let_go();
      return;
    }
    if (tracees_[w]->registers().rip != kReturnAddress) differ("a worker faulted");
    const hobbs::Step& step = world_.program().workers[w][worker.step];
    if (step.verb != Verb::kRelease &&
        holds(static_cast<Outcome>(tracees_[w]->registers().rax & 0xff))) {
      ++(step.mode == Mode::kExclusive ? worker.exclusive : worker.shared);
    }
    ++worker.step;
    begin_next(w);
  }

  /// Lets a worker that is between calls go into the next one, or notes that it has done all.
  void begin_next(std::size_t w) {
    WorkerHead& worker = state_.head.workers[w];
    CallKind call{};
    if (!world_.next_call(worker, w, call)) {
      worker.phase = Phase::kDone;
      return;
    }
    begin_call(w, call);
    if (world_.program().workers[w][worker.step].verb == Verb::kRelease) {
      --(worker.shared > 0 ? worker.shared : worker.exclusive);
    }
    worker.phase = Phase::kInCall;
    tracees_[w]->let_go();
  }

  void begin_call(std::size_t w, CallKind call) {
    tracees_[w]->begin_call(entry_of(world_.lock().real, call), world_.image().object(),
                            static_cast<std::uint64_t>(kDeadline_ns));
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
