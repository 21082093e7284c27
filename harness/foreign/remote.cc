#include "harness/foreign/remote.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "harness/conform/evidence.h"
#include "harness/foreign/mappings.h"

namespace hobbs::foreign {
namespace {

constexpr std::size_t kTextMax = 256;
constexpr int kBusyTries = 200;
constexpr std::uint64_t kSystemCallCode = 0x050f;  // Its two bytes.
constexpr int kEnds = WEXITED | WNOHANG | __WALL;
constexpr int kStepTries = 16;  // So many signals may come before an instruction is run.

/// Takes the ends of all other threads of the process. (A wait for ends takes a traced thread's
/// stop as well, and nobody would ever let that thread go on: so it looks first.)
void take_ends_beside(pid_t thread) {
  for (const pid_t other : threads_of(thread)) {
    siginfo_t told{};
    if (other == thread || ::waitid(P_PID, static_cast<id_t>(other), &told, kEnds | WNOWAIT) != 0) {
      continue;
    }
    const bool ended =
        told.si_code == CLD_EXITED || told.si_code == CLD_KILLED || told.si_code == CLD_DUMPED;
    if (ended) ::waitid(P_PID, static_cast<id_t>(other), &told, kEnds);
  }
}

}  // namespace

bool is_system_call_stop(int status) {
  return status >> 16 == 0 && WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80);
}

void refuse_trace(const char* what) {
  const int why = errno;
  if (why == ESRCH) throw Lost("a process of the agent ended while it was traced");
  throw TraceRefused(std::string(what) + ": " + std::strerror(why));
}

user_regs_struct registers_of(pid_t thread) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0)
    refuse_trace("cannot read registers");
  return registers;
}

void set_registers(pid_t thread, const user_regs_struct& registers) {
  if (::ptrace(PTRACE_SETREGS, thread, nullptr, &registers) != 0)
    refuse_trace("cannot set registers");
}

std::uint64_t word_at(pid_t thread, std::uint64_t address) {
  errno = 0;
  const long word = ::ptrace(PTRACE_PEEKDATA, thread, address, nullptr);
  return errno != 0 ? 0 : static_cast<std::uint64_t>(word);
}

std::string text_at(pid_t thread, std::uint64_t address) {
  std::string text;
  while (text.size() < kTextMax) {
    const std::uint64_t word = word_at(thread, address + text.size());
    char bytes[8];
    std::memcpy(bytes, &word, sizeof bytes);
    const std::size_t length = ::strnlen(bytes, sizeof bytes);
    text.append(bytes, length);
    if (length < sizeof bytes) break;
  }
  return text;
}

int wait_for_stop(pid_t thread) {
  int status = 0;
  for (int tries = 0; !poll_stop(thread, status); ++tries) {
    if (tries < kBusyTries) {
      ::sched_yield();
      continue;
    }
    // The end of a process is told when the ends of all of its other threads have been taken.
    take_ends_beside(thread);
    ::poll(nullptr, 0, 1);
  }
  return status;
}

bool poll_stop(pid_t thread, int& status) {
  const pid_t got = ::waitpid(thread, &status, __WALL | WNOHANG);
  if (got < 0 && errno == ECHILD) throw Lost("a traced thread is gone");
  if (got < 0 && errno != EINTR) refuse_trace("cannot wait for a traced thread");
  return got == thread;
}

bool has_fault_to_tell(pid_t thread) {
  constexpr int kMost = 8;
  siginfo_t pending[kMost];
  __ptrace_peeksiginfo_args which{.off = 0, .flags = 0, .nr = kMost};
  const long n = ::ptrace(PTRACE_PEEKSIGINFO, thread, &which, pending);
  return std::any_of(pending, pending + std::max(n, 0L), [](const siginfo_t& info) {
    return info.si_signo == SIGSEGV && info.si_code > 0;
  });
}

int step(pid_t thread, int& deliver) {
  const std::uint64_t before = registers_of(thread).rip;
  for (int i = 0; i < kStepTries; ++i) {
    if (::ptrace(PTRACE_SINGLESTEP, thread, nullptr, 0) != 0) refuse_trace("cannot step");
    const int status = wait_for_stop(thread);
    if (!WIFSTOPPED(status)) throw Lost("a process of the agent ended while it was traced");
    if (status >> 16 != 0) continue;  // An event that is told in between.
    const int signal = WSTOPSIG(status);
    if (signal == SIGTRAP) return 0;
    const bool by_itself =
        signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL;
    if (by_itself && registers_of(thread).rip == before) return signal;
    deliver = signal;
  }
  throw Lost("a traced process gets signals without end");
}

void to_system_call_stop(pid_t thread, int& deliver) {
  for (;;) {
    if (::ptrace(PTRACE_SYSCALL, thread, nullptr, nullptr) != 0) refuse_trace("cannot go on");
    const int status = wait_for_stop(thread);
    if (!WIFSTOPPED(status)) throw Lost("a process of the agent ended while it was traced");
    if (is_system_call_stop(status)) return;
    if (status >> 16 == 0) deliver = WSTOPSIG(status);
  }
}

std::uint64_t call_site_in(pid_t process) {
  const Range code = kernel_code(maps_of(process));
  for (std::uint64_t at = code.begin; at + 8 <= code.end; at += 7) {
    const std::uint64_t word = word_at(process, at);
    for (std::uint64_t i = 0; i < 7; ++i) {
      if ((word >> (8 * i) & 0xffff) == kSystemCallCode) return at + i;
    }
  }
  throw TraceRefused("the kernel gives the processes no code with a system call in it (vdso)");
}

std::int64_t call_in(pid_t thread, std::uint64_t call_site, long number, std::uint64_t a,
                     std::uint64_t b, std::uint64_t c, int& deliver) {
  const user_regs_struct before = registers_of(thread);
  user_regs_struct registers = before;
  registers.rip = call_site;
  registers.rax = static_cast<std::uint64_t>(number);
  registers.orig_rax = ~0ull;  // Nothing that was interrupted is begun again here.
  registers.rdi = a;
  registers.rsi = b;
  registers.rdx = c;
  set_registers(thread, registers);
  if (step(thread, deliver) != 0) throw Lost("a traced process cannot make a system call");
  const auto result = static_cast<std::int64_t>(registers_of(thread).rax);
  set_registers(thread, before);
  return result;
}

}  // namespace hobbs::foreign
