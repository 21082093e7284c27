#include "harness/foreign/remote.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>

#include "harness/foreign/traced.h"

namespace hobbs::foreign {
namespace {

constexpr std::size_t kTextMax = 256;
constexpr int kStepTries = 16;  // So many signals may come before an instruction is run.

[[noreturn]] void refuse(const char* what) {
  const int why = errno;
  if (why == ESRCH) throw Lost("a process of the agent ended while it was traced");
  throw TraceRefused(std::string(what) + ": " + std::strerror(why));
}

}  // namespace

user_regs_struct registers_of(pid_t thread) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0) refuse("cannot read registers");
  return registers;
}

void set_registers(pid_t thread, const user_regs_struct& registers) {
  if (::ptrace(PTRACE_SETREGS, thread, nullptr, &registers) != 0) refuse("cannot set registers");
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
  while (::waitpid(thread, &status, __WALL) != thread) {
    if (errno != EINTR) refuse("cannot wait for a traced thread");
  }
  return status;
}

bool poll_stop(pid_t thread, int& status) {
  const pid_t got = ::waitpid(thread, &status, __WALL | WNOHANG);
  if (got < 0 && errno == ECHILD) throw Lost("a traced thread is gone");
  if (got < 0 && errno != EINTR) refuse("cannot wait for a traced thread");
  return got == thread;
}

bool step(pid_t thread, int& deliver) {
  const std::uint64_t before = registers_of(thread).rip;
  for (int i = 0; i < kStepTries; ++i) {
    if (::ptrace(PTRACE_SINGLESTEP, thread, nullptr, 0) != 0) refuse("cannot step");
    const int status = wait_for_stop(thread);
    if (!WIFSTOPPED(status)) throw Lost("a process of the agent ended while it was traced");
    if (status >> 16 != 0) continue;  // An event that is told in between.
    const int signal = WSTOPSIG(status);
    if (signal == SIGTRAP) return true;
    const bool by_itself = signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE ||
                           signal == SIGILL;
    deliver = signal;
    if (by_itself && registers_of(thread).rip == before) return false;
  }
  throw Lost("a traced process gets signals without end");
}

std::int64_t call_in(pid_t thread, std::uint64_t call_site, long number, std::uint64_t a,
                     std::uint64_t b, std::uint64_t c, int& deliver) {
  if (call_site == 0) throw Lost("no system call of the process has been seen");
  const user_regs_struct before = registers_of(thread);
  user_regs_struct registers = before;
  registers.rip = call_site;
  registers.rax = static_cast<std::uint64_t>(number);
  registers.orig_rax = ~0ull;  // Nothing that was interrupted is begun again here.
  registers.rdi = a;
  registers.rsi = b;
  registers.rdx = c;
  set_registers(thread, registers);
  step(thread, deliver);
  const auto result = static_cast<std::int64_t>(registers_of(thread).rax);
  set_registers(thread, before);
  return result;
}

}  // namespace hobbs::foreign
