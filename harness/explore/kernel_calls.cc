// What a lock asks the kernel for besides files and sleep: the time, who it is, system calls by
// their number. Under control the clocks are the modelled ones; what would act on the kernel's
// processes and threads, of which the modelled ones are none, refuses the lock.
//
// As in file_calls.cc the definitions stand before the C library's.
#ifndef HOBBS_TSAN  // Its runtime makes such calls before any instrumented code may run.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "harness/explore/machine.h"

namespace {

using hobbs::explore::current_machine;

timespec timespec_of(std::int64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

bool is_wall_clock(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

/// Why a lock that makes this system call by its number cannot be modelled; null: it may.
const char* why_not(long number) {
  switch (number) {
    case SYS_futex: return "it makes the futex call itself, past its platform";
    case SYS_set_robust_list:
    case SYS_get_robust_list: return "it keeps a robust list of its own, which is not modelled";
    case SYS_gettid: return "it asks for its thread's id itself, which is not modelled";
    case SYS_getpid:
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_pidfd_open: return "it asks for processes by system calls of its own";
    case SYS_semop:
    case SYS_semtimedop: return "it uses System V semaphores, which are not modelled";
    case SYS_clock_gettime:
    case SYS_clock_nanosleep:
    case SYS_nanosleep: return "it asks for the time by system calls of its own";
    default: return nullptr;
  }
}

/// As syscall(2), but that it returns -errno.
long enter_kernel(long number, const long (&a)[6]) {
  register long a4 asm("r10") = a[3];
  register long a5 asm("r8") = a[4];
  register long a6 asm("r9") = a[5];
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(a4), "r"(a5), "r"(a6)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* to) noexcept {
  if (current_machine != nullptr) {
    *to =
        timespec_of(is_wall_clock(clock) ? current_machine->wall_ns() : current_machine->now_ns());
    return 0;
  }
  static auto* const real =
      reinterpret_cast<decltype(&clock_gettime)>(dlsym(RTLD_NEXT, "clock_gettime"));
  return real(clock, to);
}
int gettimeofday(timeval* to, void*) noexcept {
  timespec now;
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  to->tv_sec = now.tv_sec;
  to->tv_usec = now.tv_nsec / 1000;
  return result;
}
time_t time(time_t* to) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != nullptr) *to = now.tv_sec;
  return now.tv_sec;
}
/// A number like the real one, of no other thread: no call but a comparison may be made with it.
pthread_t pthread_self() noexcept {
  const auto self = reinterpret_cast<pthread_t>(__builtin_thread_pointer());
  constexpr int kApart = 20;  // Bits.
  return current_machine == nullptr ? self
                                    : self + (pthread_t{current_machine->thread()} << kApart);
}
pid_t gettid() noexcept {
  if (current_machine != nullptr) current_machine->refuse_call(why_not(SYS_gettid));
  return static_cast<pid_t>(enter_kernel(SYS_gettid, {}));
}
/// syscall(2) itself. As if it always had all its arguments: those not passed are not looked at.
long system_call(long number, long a1, long a2, long a3, long a4, long a5, long a6) noexcept
    asm("syscall");
long system_call(long number, long a1, long a2, long a3, long a4, long a5, long a6) noexcept {
  if (current_machine != nullptr && why_not(number) != nullptr) {
    current_machine->refuse_call(why_not(number));
  }
  const long result = enter_kernel(number, {a1, a2, a3, a4, a5, a6});
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

}  // extern "C"

#endif  // HOBBS_TSAN
