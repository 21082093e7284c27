// Process id namespaces of one's own, and numbers that are chosen. Source: pid_namespaces(7).
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>

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
