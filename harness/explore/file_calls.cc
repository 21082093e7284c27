// System calls that a lock on a path makes: under control, steps of the schedule on the modelled
// file system; else what they always are.
//
// Also under the names that large-file and fortified programs call. What is not here is in
// unmodelled_calls.cc. These definitions stand before the C library's in every program that links
// the explorer, so that a lock needs no seam of its own for files. Outside an execution each is the
// bare system call: the same results and errno, but no cancellation point. Descriptors of the
// kernel's (below FileSystem::kFirstDescriptor) stay the kernel's even within an execution.
#ifndef HOBBS_TSAN  // Its runtime makes such calls before any instrumented code may run.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "harness/explore/machine.h"

namespace {

using hobbs::explore::current_machine;
using hobbs::explore::FileCall;
using hobbs::explore::FileSystem;
using hobbs::explore::Machine;

/// What libc returns: -1 and errno for -errno.
long result_of(long result) {
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

template <class Operation>
long modelled(Machine& machine, const char* name, const Operation& operation) {
  struct Call : FileCall {
    const Operation* operation;
  };
  Call call;
  call.name = name;
  call.perform = [](const FileCall& self, FileSystem& files, std::uint32_t process) -> long {
    return (*static_cast<const Call&>(self).operation)(files, process);
  };
  call.operation = &operation;
  return result_of(machine.file_call(call));
}

/// The machine, if this call on an open file is part of an execution.
Machine* controlling(int descriptor) {
  return FileSystem::is_ours(descriptor) ? current_machine : nullptr;
}

/// The same for a path that may be relative to an open folder.
Machine* controlling_at(int folder, const char* path) {
  if (current_machine != nullptr && folder != AT_FDCWD && path[0] != '/') {
    current_machine->refuse_call("it names a file by an open folder, which is not modelled");
  }
  return current_machine;
}

int do_open(int folder, const char* path, int flags, mode_t mode) {
  if (Machine* const machine = controlling_at(folder, path); machine != nullptr) {
    return static_cast<int>(
        modelled(*machine, "open", [&](FileSystem& files, std::uint32_t process) {
          return files.open(process, path, flags, mode);
        }));
  }
  return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode));
}

mode_t mode_argument(int flags, va_list arguments) {
  const bool has = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return has ? va_arg(arguments, mode_t) : 0;
}

bool is_record_lock(int command) {
  switch (command) {
    case F_SETLK:
    case F_SETLKW:
    case F_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_OFD_GETLK: return true;
    default: return false;
  }
}

int do_fcntl(int descriptor, int command, void* argument) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) {
    return static_cast<int>(syscall(SYS_fcntl, descriptor, command, argument));
  }
  return static_cast<int>(
      modelled(*machine, "fcntl", [&](FileSystem& files, std::uint32_t process) {
        if (is_record_lock(command)) {
          return files.record_lock(process, descriptor, command,
                                   static_cast<struct flock*>(argument));
        }
        const auto value = static_cast<int>(reinterpret_cast<std::intptr_t>(argument));
        return files.flags(process, descriptor, command, value);
      }));
}

int do_stat(int folder, const char* path, struct stat* to, int flags) {
  if ((flags & AT_EMPTY_PATH) != 0 && path[0] == 0) return fstat(folder, to);
  Machine* const machine = controlling_at(folder, path);
  if (machine == nullptr) {
    return static_cast<int>(syscall(SYS_newfstatat, folder, path, to, flags));
  }
  return static_cast<int>(modelled(
      *machine, "stat", [&](FileSystem& files, std::uint32_t) { return files.stat(path, to); }));
}

/// A sleep lets others go first; how long is the scheduler's business.
bool slept_under_control() {
  if (current_machine == nullptr) return false;
  hobbs::ControlledPlatform::pause();
  return true;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return do_open(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int __open_2(const char* path, int flags) { return do_open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char* path, int flags) __attribute__((alias("__open_2")));
int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return do_open(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) __attribute__((alias("openat")));
int __openat_2(int folder, const char* path, int flags) { return do_open(folder, path, flags, 0); }
int __openat64_2(int folder, const char* path, int flags) __attribute__((alias("__openat_2")));
int creat(const char* path, mode_t mode) {
  return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char* path, mode_t mode) __attribute__((alias("creat")));
int close(int descriptor) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_close, descriptor));
  return static_cast<int>(modelled(
      *machine, "close",
      [&](FileSystem& files, std::uint32_t process) { return files.close(process, descriptor); }));
}
int flock(int descriptor, int operation) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_flock, descriptor, operation));
  return static_cast<int>(
      modelled(*machine, "flock", [&](FileSystem& files, std::uint32_t process) {
        return files.flock(process, descriptor, operation);
      }));
}
int fcntl(int descriptor, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return do_fcntl(descriptor, command, argument);
}
int fcntl64(int descriptor, int command, ...) __attribute__((alias("fcntl")));
int dup(int descriptor) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_dup, descriptor));
  return static_cast<int>(modelled(*machine, "dup", [&](FileSystem& files, std::uint32_t process) {
    return files.duplicate(process, descriptor, false);
  }));
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  Machine* const machine = controlling_at(folder, path);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_unlinkat, folder, path, flags));
  if ((flags & AT_REMOVEDIR) != 0) {
    return static_cast<int>(modelled(
        *machine, "rmdir", [&](FileSystem& files, std::uint32_t) { return files.rmdir(path); }));
  }
  return static_cast<int>(modelled(
      *machine, "unlink", [&](FileSystem& files, std::uint32_t) { return files.unlink(path); }));
}
int unlink(const char* path) noexcept { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) noexcept { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) noexcept {
  const int removed = unlink(path);
  return removed != 0 && errno == EISDIR ? rmdir(path) : removed;
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  Machine* const machine = controlling_at(from_folder, from);
  controlling_at(to_folder, to);
  if (machine == nullptr) {
    return static_cast<int>(syscall(SYS_renameat, from_folder, from, to_folder, to));
  }
  return static_cast<int>(modelled(*machine, "rename", [&](FileSystem& files, std::uint32_t) {
    return files.rename(from, to);
  }));
}
int rename(const char* from, const char* to) noexcept {
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  Machine* const machine = controlling_at(from_folder, from);
  controlling_at(to_folder, to);
  if (machine == nullptr) {
    return static_cast<int>(syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
  }
  return static_cast<int>(modelled(
      *machine, "link", [&](FileSystem& files, std::uint32_t) { return files.link(from, to); }));
}
int link(const char* from, const char* to) noexcept {
  return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  Machine* const machine = controlling_at(folder, path);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_mkdirat, folder, path, mode));
  return static_cast<int>(modelled(*machine, "mkdir", [&](FileSystem& files, std::uint32_t) {
    return files.mkdir(path, mode);
  }));
}
int mkdir(const char* path, mode_t mode) noexcept { return mkdirat(AT_FDCWD, path, mode); }
int faccessat(int folder, const char* path, int how, int flags) noexcept {
  Machine* const machine = controlling_at(folder, path);
  if (machine == nullptr) {
    return static_cast<int>(syscall(SYS_faccessat2, folder, path, how, flags));
  }
  return static_cast<int>(modelled(
      *machine, "access", [&](FileSystem& files, std::uint32_t) { return files.access(path); }));
}
int access(const char* path, int how) noexcept { return faccessat(AT_FDCWD, path, how, 0); }
static_assert(sizeof(struct stat) == sizeof(struct stat64));
int stat(const char* path, struct stat* to) noexcept { return do_stat(AT_FDCWD, path, to, 0); }
int lstat(const char* path, struct stat* to) noexcept {
  return do_stat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW);
}
int fstatat(int folder, const char* path, struct stat* to, int flags) noexcept {
  return do_stat(folder, path, to, flags);
}
int fstat(int descriptor, struct stat* to) noexcept {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_fstat, descriptor, to));
  return static_cast<int>(
      modelled(*machine, "fstat", [&](FileSystem& files, std::uint32_t process) {
        return files.stat_open(process, descriptor, to);
      }));
}
int stat64(const char* path, struct stat64* to) noexcept {
  return stat(path, reinterpret_cast<struct stat*>(to));
}
int lstat64(const char* path, struct stat64* to) noexcept {
  return lstat(path, reinterpret_cast<struct stat*>(to));
}
int fstat64(int descriptor, struct stat64* to) noexcept {
  return fstat(descriptor, reinterpret_cast<struct stat*>(to));
}
int fstatat64(int folder, const char* path, struct stat64* to, int flags) noexcept {
  return fstatat(folder, path, reinterpret_cast<struct stat*>(to), flags);
}
ssize_t read(int descriptor, void* to, size_t bytes) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return syscall(SYS_read, descriptor, to, bytes);
  return modelled(*machine, "read", [&](FileSystem& files, std::uint32_t process) {
    return files.read(process, descriptor, to, bytes);
  });
}
ssize_t __read_chk(int descriptor, void* to, size_t bytes, size_t) {
  return read(descriptor, to, bytes);
}
ssize_t write(int descriptor, const void* from, size_t bytes) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return syscall(SYS_write, descriptor, from, bytes);
  return modelled(*machine, "write", [&](FileSystem& files, std::uint32_t process) {
    return files.write(process, descriptor, from, bytes);
  });
}
ssize_t pread(int descriptor, void* to, size_t bytes, off_t at) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return syscall(SYS_pread64, descriptor, to, bytes, at);
  return modelled(*machine, "pread", [&](FileSystem& files, std::uint32_t process) {
    return files.read_at(process, descriptor, to, bytes, at);
  });
}
ssize_t pread64(int descriptor, void* to, size_t bytes, off64_t at) __attribute__((alias("pread")));
ssize_t __pread_chk(int descriptor, void* to, size_t bytes, off_t at, size_t) {
  return pread(descriptor, to, bytes, at);
}
ssize_t __pread64_chk(int descriptor, void* to, size_t bytes, off64_t at, size_t)
    __attribute__((alias("__pread_chk")));
ssize_t pwrite(int descriptor, const void* from, size_t bytes, off_t at) {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return syscall(SYS_pwrite64, descriptor, from, bytes, at);
  return modelled(*machine, "pwrite", [&](FileSystem& files, std::uint32_t process) {
    return files.write_at(process, descriptor, from, bytes, at);
  });
}
ssize_t pwrite64(int descriptor, const void* from, size_t bytes, off64_t at)
    __attribute__((alias("pwrite")));
off_t lseek(int descriptor, off_t to, int whence) noexcept {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return syscall(SYS_lseek, descriptor, to, whence);
  return modelled(*machine, "lseek", [&](FileSystem& files, std::uint32_t process) {
    return files.seek(process, descriptor, to, whence);
  });
}
off64_t lseek64(int descriptor, off64_t to, int whence) noexcept __attribute__((alias("lseek")));
int ftruncate(int descriptor, off_t bytes) noexcept {
  Machine* const machine = controlling(descriptor);
  if (machine == nullptr) return static_cast<int>(syscall(SYS_ftruncate, descriptor, bytes));
  return static_cast<int>(
      modelled(*machine, "ftruncate", [&](FileSystem& files, std::uint32_t process) {
        return files.truncate(process, descriptor, bytes);
      }));
}
int ftruncate64(int descriptor, off64_t bytes) noexcept __attribute__((alias("ftruncate")));
int fsync(int descriptor) {
  if (controlling(descriptor) != nullptr) return 0;
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}
int fdatasync(int descriptor) {
  if (controlling(descriptor) != nullptr) return 0;
  return static_cast<int>(syscall(SYS_fdatasync, descriptor));
}

int usleep(useconds_t us) {
  if (slept_under_control()) return 0;
  const timespec time{static_cast<time_t>(us / 1'000'000),
                      static_cast<long>(us % 1'000'000) * 1000};
  return static_cast<int>(syscall(SYS_nanosleep, &time, nullptr));
}
int nanosleep(const timespec* time, timespec* left) {
  if (slept_under_control()) return 0;
  return static_cast<int>(syscall(SYS_nanosleep, time, left));
}
int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  if (slept_under_control()) return 0;
  return syscall(SYS_clock_nanosleep, clock, flags, time, left) == 0 ? 0 : errno;
}
int sched_yield() noexcept {
  if (slept_under_control()) return 0;
  return static_cast<int>(syscall(SYS_sched_yield));
}
pid_t getpid() noexcept {
  if (current_machine != nullptr) return static_cast<pid_t>(current_machine->pid());
  return static_cast<pid_t>(syscall(SYS_getpid));
}
int kill(pid_t process, int signal) noexcept {
  if (current_machine == nullptr) return static_cast<int>(syscall(SYS_kill, process, signal));
  if (signal != 0) return static_cast<int>(result_of(-EPERM));  // A lock that kills is on its own.
  const bool runs = current_machine->process_runs(static_cast<std::uint32_t>(process));
  return static_cast<int>(result_of(runs ? 0 : -ESRCH));
}

}  // extern "C"

#endif  // HOBBS_TSAN
