// Process id namespaces of one's own, and what the processes of a scene in them need: numbers that
// are chosen, a word to wait for each other, the lock's object. Source: pid_namespaces(7).
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "locks/lock.h"

namespace hobbs::gang {

/// What the system refused, and why; in memory that a scene's processes share.
class Refusal {
 public:
  /// By errno; ends the process.
  [[noreturn]] void tell(const char* what);
  /// Empty if nothing was refused.
  std::string words() const;

 private:
  std::atomic<int> error_;
  std::atomic<const char*> what_;
};

/// For the children of the calling process from now on, as root or as root of a user namespace.
/// Null, or what was refused.
const char* make_process_namespace();
/// A /proc that shows the namespace, in its first process.
bool mount_own_proc();

/// Forks a child that has this number in the namespace; it runs `body` and ends. -1 if the system
/// does not give that number.
template <class Body>
pid_t fork_with_number(pid_t number, Body&& body);

/// Sets a futex word of shared memory from 0 to 1, and wakes who waits for it.
void tell(std::atomic<std::uint32_t>& word);
bool wait_for(std::atomic<std::uint32_t>& word, std::chrono::milliseconds patience);

/// The calling process's object of the lock: what it allocates lives as long as the process.
void* object_of(const LockSpec& lock, void* shared, const std::string& path);

namespace internal {
bool choose_next_number(pid_t number);
}  // namespace internal

template <class Body>
pid_t fork_with_number(pid_t number, Body&& body) {
  if (!internal::choose_next_number(number)) return -1;
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  return pid == number ? pid : -1;
}

}  // namespace hobbs::gang
