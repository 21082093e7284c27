#include "harness/free/refusals.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "harness/free/nemesis.h"

#if defined(__x86_64__)

// The place from which the handler makes calls: the filter knows it by the address behind it.
extern "C" long hobbs_call_through(long number, long a, long b, long c, long d, long e, long f);
extern "C" const char hobbs_called_through[];
asm(R"(
    .text
    .type hobbs_call_through, @function
hobbs_call_through:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    mov 8(%rsp), %r9
    syscall
hobbs_called_through:
    ret
    .size hobbs_call_through, . - hobbs_call_through
)");

namespace hobbs::gang {
namespace {

constexpr int kHandled = 7, kRefused = 1;

bool is_release(long number, const greg_t* registers) {
  if (number == SYS_flock) return (registers[REG_RSI] & LOCK_UN) != 0;
  if (number != SYS_fcntl) return false;
  return reinterpret_cast<const struct flock*>(registers[REG_RDX])->l_type == F_UNLCK;
}

bool takes_a_lock(long number) { return number == SYS_fcntl || number == SYS_flock; }

void on_handed(int, siginfo_t* info, void* context) {
  greg_t* const r = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const long number = info->si_syscall;
  // To give up a whole file's lock needs nothing that may be short.
  if (!is_release(number, r) && refuse_here()) {
    r[REG_RAX] = takes_a_lock(number) ? -ENOLCK : -ENOMEM;
    return;
  }
  r[REG_RAX] = hobbs_call_through(number, r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8],
                                  r[REG_R9]);
}

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
/// Goes on if the loaded word is `value`; otherwise leaps over so many.
sock_filter unless(std::uint32_t value, std::uint8_t leap) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, leap);
}
sock_filter when(std::uint32_t value, std::uint8_t leap) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, leap, 0);
}
sock_filter answer(std::uint32_t what) { return BPF_STMT(BPF_RET | BPF_K, what); }

bool install_filter() {
  const auto place = reinterpret_cast<std::uintptr_t>(hobbs_called_through);
  constexpr std::size_t kPlace = offsetof(seccomp_data, instruction_pointer);
  sock_filter filter[] = {
      load(offsetof(seccomp_data, arch)),
      unless(AUDIT_ARCH_X86_64, 5),
      load(kPlace),
      unless(static_cast<std::uint32_t>(place), 4),
      load(kPlace + 4),
      unless(static_cast<std::uint32_t>(place >> 32), 2),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_ALLOW),
      load(offsetof(seccomp_data, nr)),
      when(SYS_flock, 11),
      when(SYS_open, 10),
      when(SYS_openat, 9),
      when(SYS_semop, 8),
      when(SYS_semtimedop, 7),
      unless(SYS_fcntl, 5),
      load(offsetof(seccomp_data, args[1])),
      when(F_SETLK, 4),
      when(F_SETLKW, 3),
      when(F_OFD_SETLK, 2),
      when(F_OFD_SETLKW, 1),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_TRAP),
  };
  sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/// The exit status tells what came of it.
[[noreturn]] void try_out() {
  if (!install_refusals()) _exit(kRefused);
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  _exit(file >= 0 && flock(file, LOCK_UN) == 0 ? kHandled : kRefused);
}

}  // namespace

bool install_refusals() {
  struct sigaction action {};
  action.sa_sigaction = on_handed;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGSYS, &action, nullptr) == 0 && install_filter();
}

const std::string& why_no_refusals() {
  static const std::string why = [] {
    const pid_t child = fork();
    if (child == 0) try_out();
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const bool handled = child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == kHandled;
    return std::string(handled ? "" : "the system allows no filter of system calls (seccomp)");
  }();
  return why;
}

}  // namespace hobbs::gang

#else

namespace hobbs::gang {

bool install_refusals() { return false; }

const std::string& why_no_refusals() {
  static const std::string why = "refusing system calls is written for x86-64 only";
  return why;
}

}  // namespace hobbs::gang

#endif
