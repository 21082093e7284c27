#include "harness/foreign/system_call.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>

namespace hobbs::foreign {
namespace {

constexpr std::uint8_t kDescriptor = 1;  // The first argument is one.
constexpr std::uint8_t kWrites = 2;      // To it.

/// A system call that others can notice, or that notices them.
struct Shared {
  long number;
  const char* name;
  std::int8_t path = -1;  // Which argument names a file.
  std::uint8_t traits = 0;
};

constexpr Shared kShared[] = {
#ifdef SYS_open
    {SYS_open, "open", 0},
    {SYS_creat, "creat", 0},
    {SYS_stat, "stat", 0},
    {SYS_lstat, "lstat", 0},
    {SYS_access, "access", 0},
    {SYS_rename, "rename", 0},
    {SYS_mkdir, "mkdir", 0},
    {SYS_rmdir, "rmdir", 0},
    {SYS_link, "link", 0},
    {SYS_unlink, "unlink", 0},
    {SYS_symlink, "symlink", 1},
    {SYS_readlink, "readlink", 0},
    {SYS_chmod, "chmod", 0},
    {SYS_utimes, "utimes", 0},
    {SYS_utime, "utime", 0},
    {SYS_mknod, "mknod", 0},
#endif
    {SYS_openat, "openat", 1},
    {SYS_openat2, "openat2", 1},
    {SYS_newfstatat, "newfstatat", 1},
    {SYS_statx, "statx", 1},
    {SYS_faccessat, "faccessat", 1},
    {SYS_faccessat2, "faccessat2", 1},
    {SYS_renameat, "renameat", 1},
    {SYS_renameat2, "renameat2", 1},
    {SYS_mkdirat, "mkdirat", 1},
    {SYS_linkat, "linkat", 1},
    {SYS_unlinkat, "unlinkat", 1},
    {SYS_symlinkat, "symlinkat", 2},
    {SYS_readlinkat, "readlinkat", 1},
    {SYS_fchmodat, "fchmodat", 1},
    {SYS_utimensat, "utimensat", 1},
    {SYS_mknodat, "mknodat", 1},
    {SYS_truncate, "truncate", 0},
    {SYS_close, "close", -1, kDescriptor},
    {SYS_read, "read", -1, kDescriptor},
    {SYS_readv, "readv", -1, kDescriptor},
    {SYS_pread64, "pread64", -1, kDescriptor},
    {SYS_write, "write", -1, kDescriptor | kWrites},
    {SYS_writev, "writev", -1, kDescriptor | kWrites},
    {SYS_pwrite64, "pwrite64", -1, kDescriptor},
    {SYS_sendto, "sendto", -1, kDescriptor | kWrites},
    {SYS_sendmsg, "sendmsg", -1, kDescriptor | kWrites},
    {SYS_recvfrom, "recvfrom", -1, kDescriptor},
    {SYS_recvmsg, "recvmsg", -1, kDescriptor},
    {SYS_connect, "connect", -1, kDescriptor},
    {SYS_bind, "bind", -1, kDescriptor},
    {SYS_accept, "accept", -1, kDescriptor},
    {SYS_accept4, "accept4", -1, kDescriptor},
    {SYS_shutdown, "shutdown", -1, kDescriptor},
    {SYS_fstat, "fstat", -1, kDescriptor},
    {SYS_fcntl, "fcntl", -1, kDescriptor},
    {SYS_flock, "flock", -1, kDescriptor},
    {SYS_ftruncate, "ftruncate", -1, kDescriptor},
    {SYS_fchmod, "fchmod", -1, kDescriptor},
    {SYS_fallocate, "fallocate", -1, kDescriptor},
    {SYS_getdents64, "getdents64", -1, kDescriptor},
    {SYS_semget, "semget"},
    {SYS_semop, "semop"},
    {SYS_semtimedop, "semtimedop"},
    {SYS_semctl, "semctl"},
    {SYS_msgget, "msgget"},
    {SYS_msgsnd, "msgsnd"},
    {SYS_msgrcv, "msgrcv"},
    {SYS_msgctl, "msgctl"},
    {SYS_mq_open, "mq_open", 0},
    {SYS_mq_unlink, "mq_unlink", 0},
    {SYS_mq_timedsend, "mq_timedsend"},
    {SYS_mq_timedreceive, "mq_timedreceive"},
    {SYS_kill, "kill"},
    {SYS_pidfd_open, "pidfd_open"},
    {SYS_pidfd_send_signal, "pidfd_send_signal"},
    {SYS_futex, "futex"},
};

constexpr struct {
  long number;
  const char* name;
} kSleeps[] = {
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
};

const Shared* find_shared(long number) {
  const auto found = std::find_if(std::begin(kShared), std::end(kShared),
                                  [&](const Shared& one) { return one.number == number; });
  return found == std::end(kShared) ? nullptr : found;
}

/// A select or poll of no descriptor at all is a sleep.
bool is_empty_wait(const SystemCall& call) {
#ifdef SYS_select
  if (call.number == SYS_select) return call.arguments[0] == 0;
  if (call.number == SYS_poll) return call.arguments[1] == 0;
#endif
  if (call.number == SYS_pselect6) return call.arguments[0] == 0;
  return call.number == SYS_ppoll && call.arguments[1] == 0;
}

}  // namespace

Effect effect_of(const SystemCall& call) {
  if (call.number == SYS_futex) {
    return (call.arguments[1] & FUTEX_PRIVATE_FLAG) != 0 ? Effect::kPrivate : Effect::kShared;
  }
  if (find_shared(call.number) != nullptr) return Effect::kShared;
  for (const auto& sleep : kSleeps) {
    if (sleep.number == call.number) return Effect::kSleep;
  }
  return is_empty_wait(call) ? Effect::kSleep : Effect::kPrivate;
}

std::string name_of(long number) {
  if (const Shared* shared = find_shared(number)) return shared->name;
  for (const auto& sleep : kSleeps) {
    if (sleep.number == number) return sleep.name;
  }
  return "system call " + std::to_string(number);
}

bool changes_mappings(long number) {
  return number == SYS_mmap || number == SYS_munmap || number == SYS_mremap ||
         number == SYS_mprotect || number == SYS_shmat || number == SYS_shmdt;
}

bool takes_descriptor(long number) {
  const Shared* shared = find_shared(number);
  return shared != nullptr && (shared->traits & kDescriptor) != 0;
}

int path_argument(long number) {
  const Shared* shared = find_shared(number);
  return shared == nullptr ? -1 : shared->path;
}

bool writes_descriptor(long number) {
  const Shared* shared = find_shared(number);
  return shared != nullptr && (shared->traits & kWrites) != 0;
}

}  // namespace hobbs::foreign
