#include "harness/free/caught_calls.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "locks/hooked_platform.h"

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

bool can_be_refused(long number) {
  return takes_a_lock(number) || number == SYS_open || number == SYS_openat ||
         number == SYS_semop || number == SYS_semtimedop;
}

bool waits_for_file(long number, const greg_t* registers) {
  const auto how = static_cast<int>(registers[REG_RSI]);
  if (number == SYS_flock) return (how & (LOCK_NB | LOCK_UN)) == 0;
  if (number == SYS_fcntl) return how == F_SETLKW || how == F_OFD_SETLKW;
  return number == SYS_semop || number == SYS_semtimedop;
}

HookPoint point_of(long number, const greg_t* registers) {
  if (number != SYS_futex) {
    return waits_for_file(number, registers) ? HookPoint::kFileWait : HookPoint::kFile;
  }
  const int operation = static_cast<int>(registers[REG_RSI]) & FUTEX_CMD_MASK;
  const bool wakes = operation == FUTEX_WAKE || operation == FUTEX_WAKE_OP ||
                     operation == FUTEX_WAKE_BITSET || operation == FUTEX_REQUEUE ||
                     operation == FUTEX_CMP_REQUEUE || operation == FUTEX_UNLOCK_PI;
  return wakes ? HookPoint::kFutexWake : HookPoint::kFutexWait;
}

/// A wait until a time of CLOCK_REALTIME, which FUTEX_LOCK_PI always takes its time for.
bool waits_by_wall_clock(long number, const greg_t* registers) {
  if (number != SYS_futex || registers[REG_R10] == 0) return false;
  const auto operation = static_cast<int>(registers[REG_RSI]);
  const int command = operation & FUTEX_CMD_MASK;
  const bool chooses =
      command == FUTEX_WAIT_BITSET || command == FUTEX_WAIT_REQUEUE_PI || command == FUTEX_LOCK_PI2;
  return command == FUTEX_LOCK_PI || (chooses && (operation & FUTEX_CLOCK_REALTIME) != 0);
}

/// Signals, SIGSYS too, are blocked between the first two of these and what follows.
bool starts_program(long number) {
  return number == SYS_clone || number == SYS_vfork || number == SYS_execve ||
         number == SYS_execveat;
}

/// What the nemesis lets the call end with instead of being made; 0: it is made.
int false_answer(long number, const greg_t* registers) {
  // The handler cannot make these: the child would return into it, on a stack of its own.
  if (number == SYS_clone || number == SYS_vfork) return EAGAIN;
  if (waits_by_wall_clock(number, registers) && set_clock_here()) return ETIMEDOUT;
  // To give up a whole file's lock needs nothing that may be short.
  if (!can_be_refused(number) || !refuses() || is_release(number, registers)) return 0;
  if (!refuse_here()) return 0;
  return takes_a_lock(number) ? ENOLCK : ENOMEM;
}

thread_local bool striking = false;  // What a strike itself calls is no point.
// Where it is told that the lock is uncatchable; the same for all threads of a process.
std::atomic<std::atomic<std::uint32_t>*> told{nullptr};

void note_fork() {
  std::atomic<std::uint32_t>* const where = told.load(std::memory_order_relaxed);
  if (where != nullptr) where->store(static_cast<std::uint32_t>(Uncatchable::kForks));
}

/// Before every fork(). Of the harness's own, one is a strike, and others come between calls.
void before_fork() {
  if (!striking && (in_call() || !is_armed())) note_fork();
}

void pass(HookPoint point, bool before) {
  if (current_hook == nullptr || striking || !in_call()) return;
  striking = true;
  current_hook(point, before);
  striking = false;
}

void on_caught(int, siginfo_t* info, void* context) {
  greg_t* const r = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const long number = info->si_syscall;
  const HookPoint point = point_of(number, r);
  if (starts_program(number)) note_fork();
  pass(point, true);
  const int error = false_answer(number, r);
  r[REG_RAX] = error != 0 ? -error
                          : hobbs_call_through(number, r[REG_RDI], r[REG_RSI], r[REG_RDX],
                                               r[REG_R10], r[REG_R8], r[REG_R9]);
  pass(point, false);
}

constexpr std::uint8_t kToTrap = 255;  // A leap to the filter's last instruction.

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
sock_filter when_any_of(std::uint32_t bits, std::uint8_t leap) {
  return BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, leap, 0);
}
sock_filter answer(std::uint32_t what) { return BPF_STMT(BPF_RET | BPF_K, what); }

/// By which locks work; and what starts a program, which the filter would end.
constexpr long kCaught[] = {
    SYS_futex,   SYS_semop,     SYS_semtimedop, SYS_semctl,   SYS_flock,     SYS_open,
    SYS_openat,  SYS_creat,     SYS_close,      SYS_read,     SYS_pread64,   SYS_write,
    SYS_writev,  SYS_pwrite64,  SYS_unlink,     SYS_unlinkat, SYS_rename,    SYS_renameat,
    SYS_link,    SYS_renameat2, SYS_linkat,     SYS_symlink,  SYS_symlinkat, SYS_mkdir,
    SYS_mkdirat, SYS_rmdir,     SYS_mknod,      SYS_mknodat,  SYS_truncate,  SYS_ftruncate,
    SYS_bind,    SYS_connect,   SYS_sendto,     SYS_recvfrom, SYS_utimensat, SYS_msgsnd,
    SYS_msgrcv,  SYS_execve,    SYS_execveat,   SYS_vfork,
};

std::vector<sock_filter> filter() {
  const auto place = reinterpret_cast<std::uintptr_t>(hobbs_called_through);
  constexpr std::size_t kPlace = offsetof(seccomp_data, instruction_pointer);
  std::vector<sock_filter> filter = {
      load(offsetof(seccomp_data, arch)),
      unless(AUDIT_ARCH_X86_64, 5),
      load(kPlace),
      unless(static_cast<std::uint32_t>(place), 4),
      load(kPlace + 4),
      unless(static_cast<std::uint32_t>(place >> 32), 2),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_ALLOW),
      load(offsetof(seccomp_data, nr)),
  };
  for (const long number : kCaught) {
    filter.push_back(when(static_cast<std::uint32_t>(number), kToTrap));
  }
  const sock_filter rest[] = {
      unless(SYS_fcntl, 6),
      load(offsetof(seccomp_data, args[1])),
      when(F_SETLK, kToTrap),
      when(F_SETLKW, kToTrap),
      when(F_OFD_SETLK, kToTrap),
      when(F_OFD_SETLKW, kToTrap),
      answer(SECCOMP_RET_ALLOW),
      // How posix_spawn() begins. With clone3 a filter cannot see the flags, and the C library does
      // without.
      unless(SYS_clone, 3),
      load(offsetof(seccomp_data, args[0])),
      when_any_of(CLONE_VFORK, kToTrap),
      answer(SECCOMP_RET_ALLOW),
      unless(SYS_clone3, 1),
      answer(SECCOMP_RET_ERRNO | ENOSYS),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_TRAP),
  };
  filter.insert(filter.end(), std::begin(rest), std::end(rest));
  for (std::size_t i = 0; i < filter.size(); ++i) {
    if (filter[i].jt == kToTrap) filter[i].jt = static_cast<std::uint8_t>(filter.size() - i - 2);
  }
  return filter;
}

bool install_filter() {
  std::vector<sock_filter> instructions = filter();
  sock_fprog program{static_cast<unsigned short>(instructions.size()), instructions.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/// The exit status tells what came of it.
[[noreturn]] void try_out() {
  static std::atomic<std::uint32_t> uncatchable{0};
  if (!catch_calls(uncatchable)) _exit(kRefused);
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  _exit(file >= 0 && flock(file, LOCK_UN) == 0 ? kHandled : kRefused);
}

}  // namespace

bool catch_calls(std::atomic<std::uint32_t>& uncatchable) {
  told.store(&uncatchable, std::memory_order_relaxed);
  static const bool watched = pthread_atfork(before_fork, nullptr, nullptr) == 0;
  if (!watched) return false;
  struct sigaction action {};
  action.sa_sigaction = on_caught;
  // What comes on top of it, another signal's handler, makes calls as well.
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  return sigaction(SIGSYS, &action, nullptr) == 0 && install_filter();
}

const std::string& why_no_caught_calls() {
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

bool catch_calls(std::atomic<std::uint32_t>&) { return false; }

const std::string& why_no_caught_calls() {
  static const std::string why = "catching system calls is written for x86-64 only";
  return why;
}

}  // namespace hobbs::gang

#endif

namespace hobbs::gang {
namespace {

bool execs(const Program& program) {
  return std::ranges::any_of(program.workers, [](const std::vector<Step>& steps) {
    return std::ranges::any_of(steps, [](const Step& step) { return step.verb == Verb::kExec; });
  });
}

}  // namespace

std::string_view to_string(Uncatchable why) {
  return why == Uncatchable::kForks ? "it forks or starts programs in its calls"
                                    : "it blocks all signals in its calls";
}

bool falsifies_calls(Nemesis nemesis) {
  return nemesis == Nemesis::kRefusals || nemesis == Nemesis::kClockSet;
}

bool catches_calls(const LockSpec& lock, const Program& program, Nemesis nemesis) {
  if (falsifies_calls(nemesis)) return true;
  const bool struck = needs_hooks(nemesis) || nemesis == Nemesis::kFresh || !program.faults.empty();
  return struck && !lock.hooked.available() && nemesis != Nemesis::kExecs && !execs(program) &&
         why_no_caught_calls().empty();
}

}  // namespace hobbs::gang
