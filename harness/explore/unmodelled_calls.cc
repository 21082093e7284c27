// System calls on files that the explorer has no model of: under control a lock that makes one is
// refused, by the call's name; else they are what they always are.
//
// Let through, they would act on the kernel's files, of which the modelled ones know nothing: a
// healthy lock would look broken. As in file_calls.cc the definitions stand before the C library's,
// whose own are found behind them.
#ifndef HOBBS_TSAN  // Its runtime makes such calls before any instrumented code may run.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "harness/explore/machine.h"

namespace {

using hobbs::explore::current_machine;
using hobbs::explore::FileSystem;

/// The C library's own function of this name.
template <class Function>
Function* beneath(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void refuse(const char* why) {
  if (current_machine != nullptr) current_machine->refuse_call(why);
}
/// For a call on an open file: only if that is a modelled one.
void refuse(int descriptor, const char* why) {
  if (FileSystem::is_ours(descriptor)) refuse(why);
}

}  // namespace

extern "C" {

void* mmap(void* where, size_t bytes, int protection, int flags, int descriptor,
           off_t at) noexcept {
  refuse(descriptor, "it calls mmap() on its file, which is not modelled");
  return reinterpret_cast<void*>(
      syscall(SYS_mmap, where, bytes, protection, flags, descriptor, at));
}
void* mmap64(void* where, size_t bytes, int protection, int flags, int descriptor,
             off64_t at) noexcept __attribute__((alias("mmap")));
int dup2(int descriptor, int other) noexcept {
  refuse(descriptor, "it calls dup2(), which is not modelled");
  return static_cast<int>(syscall(SYS_dup2, descriptor, other));
}
int fallocate(int descriptor, int mode, off_t from, off_t bytes) {
  refuse(descriptor, "it calls fallocate(), which is not modelled");
  return static_cast<int>(syscall(SYS_fallocate, descriptor, mode, from, bytes));
}
int posix_fallocate(int descriptor, off_t from, off_t bytes) {
  refuse(descriptor, "it calls posix_fallocate(), which is not modelled");
  static auto* const real = beneath<int(int, off_t, off_t)>("posix_fallocate");
  return real(descriptor, from, bytes);
}
int fchmod(int descriptor, mode_t mode) noexcept {
  refuse(descriptor, "it calls fchmod(), which is not modelled");
  return static_cast<int>(syscall(SYS_fchmod, descriptor, mode));
}
int futimens(int descriptor, const timespec times[2]) noexcept {
  refuse(descriptor, "it calls futimens(), which is not modelled");
  return static_cast<int>(syscall(SYS_utimensat, descriptor, nullptr, times, 0));
}
int utimensat(int folder, const char* path, const timespec times[2], int flags) noexcept {
  refuse("it calls utimensat(), which is not modelled");
  return static_cast<int>(syscall(SYS_utimensat, folder, path, times, flags));
}
/// Of fcntl(2)'s locks (lockf(3)): a range from where the file stands.
int lockf(int descriptor, int command, off_t bytes) {
  struct flock range {};
  range.l_type = command == F_ULOCK ? F_UNLCK : F_WRLCK;
  range.l_whence = SEEK_CUR;
  range.l_len = bytes;
  if (command != F_TEST) {
    return fcntl(descriptor, command == F_LOCK ? F_SETLKW : F_SETLK, &range);
  }
  if (fcntl(descriptor, F_GETLK, &range) != 0) return -1;
  if (range.l_type == F_UNLCK || range.l_pid == getpid()) return 0;
  errno = EACCES;
  return -1;
}
int lockf64(int descriptor, int command, off64_t bytes) __attribute__((alias("lockf")));

int symlink(const char* to, const char* path) noexcept {
  refuse("it calls symlink(), which is not modelled");
  return static_cast<int>(syscall(SYS_symlink, to, path));
}
ssize_t readlink(const char* path, char* to, size_t bytes) noexcept {
  refuse("it calls readlink(), which is not modelled");
  return syscall(SYS_readlink, path, to, bytes);
}
int truncate(const char* path, off_t bytes) noexcept {
  refuse("it calls truncate(), which is not modelled");
  return static_cast<int>(syscall(SYS_truncate, path, bytes));
}
int chmod(const char* path, mode_t mode) noexcept {
  refuse("it calls chmod(), which is not modelled");
  return static_cast<int>(syscall(SYS_chmod, path, mode));
}
int mkostemp(char* path, int flags) {
  refuse("it calls mkostemp(), which is not modelled");
  static auto* const real = beneath<int(char*, int)>("mkostemp");
  return real(path, flags);
}
int mkstemp(char* path) {
  refuse("it calls mkstemp(), which is not modelled");
  static auto* const real = beneath<int(char*)>("mkstemp");
  return real(path);
}
char* mkdtemp(char* path) noexcept {
  refuse("it calls mkdtemp(), which is not modelled");
  static auto* const real = beneath<char*(char*)>("mkdtemp");
  return real(path);
}
FILE* fopen(const char* path, const char* how) {
  refuse("it calls fopen(), or opens a stream, which is not modelled");
  static auto* const real = beneath<FILE*(const char*, const char*)>("fopen");
  return real(path, how);
}
FILE* fopen64(const char* path, const char* how) __attribute__((alias("fopen")));
FILE* fdopen(int descriptor, const char* how) noexcept {
  refuse(descriptor, "it calls fdopen(), which is not modelled");
  static auto* const real = beneath<FILE*(int, const char*)>("fdopen");
  return real(descriptor, how);
}
DIR* opendir(const char* path) {
  refuse("it calls opendir(), which is not modelled");
  static auto* const real = beneath<DIR*(const char*)>("opendir");
  return real(path);
}
int shm_open(const char* name, int flags, mode_t mode) {
  refuse("it calls shm_open(), which is not modelled");
  static auto* const real = beneath<int(const char*, int, mode_t)>("shm_open");
  return real(name, flags, mode);
}
sem_t* sem_open(const char* name, int flags, ...) noexcept {
  refuse("it calls sem_open(), which is not modelled");
  va_list arguments;
  va_start(arguments, flags);
  const bool makes = (flags & O_CREAT) != 0;
  const mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
  const unsigned value = makes ? va_arg(arguments, unsigned) : 0;
  va_end(arguments);
  static auto* const real = beneath<sem_t*(const char*, int, mode_t, unsigned)>("sem_open");
  return real(name, flags, mode, value);
}

}  // extern "C"

#endif  // HOBBS_TSAN
