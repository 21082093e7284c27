#include "harness/foreign/traced.h"

#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "harness/conform/evidence.h"
#include "harness/foreign/connections.h"
#include "harness/foreign/remote.h"

namespace hobbs::foreign {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBusyTries = 200;  // Before whoever waits sleeps between two looks.
constexpr int kRestMs = 1;       // So long.
constexpr std::chrono::seconds kPatience{10};
constexpr std::uint64_t kStandardDescriptors = 2;  // What it prints concerns nobody.

bool is_timed_out(const SystemCall& call, std::int64_t result) {
  return call.number == SYS_futex && result == -ETIMEDOUT;
}

}  // namespace

Traced::Traced(pid_t process, TraceOptions options)
    : process_(process), options_(std::move(options)), sleeper_(process), guard_(process) {
  if (!sleeper_.is_there()) throw Lost("a process of the agent is gone");
  seize(process_, true);
  try {
    begin();
  } catch (...) {
    kill();  // Nobody would wait for it.
    throw;
  }
}

void Traced::begin() {
  stop_now();
  // What it was about to start when it was seized has been started by now.
  if (options_.memory) seize_others();
  channels_ = sockets_to(process_, options_.socket_path);
  call_site_ = call_site_in(process_);
}

void Traced::note_exit(int status) {
  held_ = Held::kGone;
  at_point_ = false;
  signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  where_ = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(signal_)
                               : "ended with status " + std::to_string(WEXITSTATUS(status));
}

void Traced::begin_call() {
  if (held_ == Held::kGone) throw Lost("a process of the agent is gone");
  if (held_ == Held::kRunning) stop_now();
  repetition_ = Repetition();
  if (options_.memory && mappings_changed_) {
    guard(false);
    guard_.refresh();
    mappings_changed_ = false;
  }
  guard(options_.memory);
}

Traced::Stop Traced::go_on() {
  if (held_ == Held::kGone) return Stop::kDied;
  if (at_point_) {
    at_point_ = false;
    perform();
  } else if (held_ != Held::kRunning) {
    resume();
  }
  const auto until = Clock::now() + kPatience;
  for (;;) {
    const Event event = wait_for_event();
    if (event.kind == Event::Kind::kReplied) return Stop::kReplied;
    if (event.kind == Event::Kind::kAsleep) return Stop::kBlocked;
    Stop stop{};
    if (take_stop(event.status, stop)) return stop;
    if (Clock::now() >= until) {
      throw Lost("a call goes on and on without anything that others could notice");
    }
  }
}

void Traced::resume() {
  if (::ptrace(PTRACE_SYSCALL, process_, nullptr, std::exchange(deliver_, 0)) != 0 &&
      errno != ESRCH) {  // Who has died meanwhile is waited for.
    refuse_trace("cannot go on");
  }
  held_ = Held::kRunning;
}

void Traced::stop_now() {
  const int status = interrupt(process_);
  if (!WIFSTOPPED(status)) {
    note_exit(status);
    throw Lost("a process of the agent " + where_);
  }
  classify_stop(status);
}

/// Where it is held, of a stop that nothing is to follow from.
void Traced::classify_stop(int status) {
  held_ = Held::kStopped;
  if (status >> 16 != 0) return;
  const int signal = WSTOPSIG(status);
  if (!is_system_call_stop(status)) {
    held_ = Held::kAtFault;
    if (signal != SIGSEGV || !guard_.on()) deliver_ = signal;
    return;
  }
  __ptrace_syscall_info info{};
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, process_, sizeof info, &info) < 0) {
    refuse_trace("cannot ask for a system call");
  }
  held_ = info.op == PTRACE_SYSCALL_INFO_ENTRY ? Held::kAtEntry : Held::kAtExit;
}

Traced::Event Traced::wait_for_event() {
  Event event;
  const auto until = Clock::now() + kPatience;
  sleeper_.forget();
  for (int tries = 0;; ++tries) {
    if (poll_stop(process_, event.status)) return event;
    serve_others();
    if (sleeper_.seems_asleep()) {
      if (options_.replied()) return {Event::Kind::kReplied, 0};
      if (sleeper_.waits(is_shared(current_) && !is_said_to_us(current_))) {
        where_ = sleeper_.where();
        return {Event::Kind::kAsleep, 0};
      }
      tries = std::max(tries, kBusyTries);
    }
    if (tries < kBusyTries) {
      ::sched_yield();
    } else {
      ::poll(nullptr, 0, kRestMs);
    }
    if (Clock::now() > until) {
      throw Lost("a call neither returned nor blocked, and did nothing that others can notice");
    }
  }
}

/// False: nothing follows from this stop, and it goes on.
bool Traced::take_stop(int status, Stop& stop) {
  if (!WIFSTOPPED(status)) {
    note_exit(status);
    stop = Stop::kDied;
    return true;
  }
  held_ = Held::kStopped;
  const int signal = WSTOPSIG(status);
  if (status >> 16 != 0) {
    if (!take_child(process_, status >> 16)) throw Lost(kStartsProcess);
  } else if (is_system_call_stop(status)) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, process_, sizeof info, &info) < 0) {
      refuse_trace("cannot ask for a system call");
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      current_.number = static_cast<long>(info.entry.nr);
      std::copy(std::begin(info.entry.args), std::end(info.entry.args), current_.arguments.begin());
      call_end_ = info.instruction_pointer;
      return at_entry(stop);
    }
    return at_exit(info.exit.rval, stop);
  } else if (signal == SIGSEGV && guard_.on()) {
    return at_fault(stop);
  } else {
    deliver_ = signal;
  }
  resume();
  return false;
}

bool Traced::at_entry(Stop& stop) {
  held_ = Held::kAtEntry;
  if (std::exchange(repeats_, false)) {
    resume();
    return false;
  }
  if (effect_of(current_) == Effect::kSleep && repetition_.note_sleep()) {
    where_ = "polls: it looks in vain and sleeps in between";
    stop = Stop::kPolls;
    return true;
  }
  if (is_shared(current_) && !is_said_to_us(current_)) {
    point_ = point_at_call(process_, current_, call_end_);
    return decide(stop);
  }
  perform();
  return false;
}

bool Traced::at_exit(std::int64_t result, Stop& stop) {
  held_ = Held::kAtExit;
  if (result == -EFAULT && guard_.on()) {
    // Something that it points to lies in memory without rights: again, with them.
    guard(false);
    user_regs_struct registers = registers_of(process_);
    registers.rip -= 2;
    registers.rax = static_cast<std::uint64_t>(current_.number);
    registers.orig_rax = ~0ull;
    set_registers(process_, registers);
    suspended_ = repeats_ = true;
    resume();
    return false;
  }
  result_ = result;
  mappings_changed_ = mappings_changed_ || changes_mappings(current_.number);
  if (writes_descriptor(current_.number) && is_said_to_us(current_) && options_.replied()) {
    guard(false);
    suspended_ = false;
    stop = Stop::kReplied;
    return true;
  }
  if (std::exchange(suspended_, false)) guard(true);
  if (mappings_changed_ && guard_.on()) {
    guard(false);
    guard_.refresh();
    mappings_changed_ = false;
    guard(true);
  }
  if (is_timed_out(current_, result) && repetition_.note_sleep()) {
    where_ = "polls: it looks in vain and sleeps in between";
    stop = Stop::kPolls;
    return true;
  }
  resume();
  return false;
}

bool Traced::at_fault(Stop& stop) {
  held_ = Held::kAtFault;
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, process_, nullptr, &info) != 0)
    refuse_trace("cannot ask for a signal");
  const auto address = reinterpret_cast<std::uint64_t>(info.si_addr);
  if (info.si_code <= 0 || !guard_.contains(address)) {
    deliver_ = SIGSEGV;
    resume();
    return false;
  }
  point_ = point_at_access(process_, address);
  return decide(stop);
}

/// Whether others get their turn here.
bool Traced::decide(Stop& stop) {
  const bool no_news = repetition_.note(signature_of(process_, point_));
  if (repetition_.spins()) {
    where_ = "spins";
    stop = Stop::kPolls;
  } else if (no_news) {
    perform();
    return false;
  } else {
    stop = Stop::kPoint;
  }
  at_point_ = true;
  return true;
}

void Traced::perform() {
  if (held_ == Held::kAtFault) {
    guard_.let_through(process_, call_site_, deliver_);
  } else if (held_ == Held::kAtEntry && guard_.on() && guard_.is_touched_by(current_)) {
    guard(false);
    suspended_ = true;
  }
  resume();
}

/// A private futex in memory that others share is meant for them, rightly or not.
bool Traced::is_shared(const SystemCall& call) const {
  if (effect_of(call) == Effect::kShared) return true;
  return call.number == SYS_futex && guard_.contains(call.arguments[0]);
}

bool Traced::is_said_to_us(const SystemCall& call) const {
  if (!takes_descriptor(call.number)) return false;
  const std::uint64_t descriptor = call.arguments[0];
  return descriptor <= kStandardDescriptors ||
         std::find(channels_.begin(), channels_.end(), descriptor) != channels_.end();
}

void Traced::guard(bool on) {
  if (!on && held_ == Held::kAtEntry) {
    guard_.lift_at_entry(process_, call_site_, deliver_);
  } else {
    guard_.set(on, process_, call_site_, deliver_);
  }
}

}  // namespace hobbs::foreign
