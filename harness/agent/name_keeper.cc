#include "harness/agent/name_keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "locks/errors.h"

namespace hobbs::agent {
namespace {

/// Only calls that are safe after a fork of a process with threads.
[[noreturn]] void keep(const char* path, int lifeline) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // Nothing else stays open: whoever reads the agent's connection must see its end.
  ::dup2(lifeline, 0);
  ::syscall(SYS_close_range, 1U, ~0U, 0U);
  char byte;
  while (::read(0, &byte, 1) < 0 && errno == EINTR) {
  }
  ::unlink(path);
  ::_exit(0);
}

}  // namespace

void keep_name(const std::string& semaphore) {
  const std::string path = "/dev/shm/sem." + semaphore.substr(1);  // As sem_overview(7) has it.
  int lifeline[2];
  if (::pipe2(lifeline, O_CLOEXEC) != 0) throw LockError(errno, "a pipe");
  const pid_t child = ::fork();
  if (child == 0) keep(path.c_str(), lifeline[0]);
  const int error = errno;
  ::close(lifeline[0]);
  if (child < 0) throw LockError(error, "fork");
  // The other end stays open until this process and its children have ended.
}

}  // namespace hobbs::agent
