// Keeps the processes of one case: every agent, whatever it forked, and their private directory go
// away with the caller, however the caller ends (SIGKILL included).
//
// A guardian is a small process between hobbs and the agents. It is the subreaper of all that
// agents start, so no descendant can leave it, and it ends them all when its socket to hobbs
// closes. It is forked from a process that may have threads, so it makes async-signal-safe calls
// only.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace hobbs {

class Guardian {
 public:
  /// Starts the guardian. `command` is what start_member() runs, its standard output and error
  /// appended to `log_path`; `directory` is removed with all in it at the end. Throws
  /// std::system_error when the system refuses.
  Guardian(std::vector<std::string> command, std::string directory, std::string log_path);
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  /// Starts one more process of the command and gives its id. Throws std::system_error.
  pid_t start_member();

  /// Tells of a descendant that serves as an agent: at the end these are killed first, so that
  /// helpers of theirs (Python's resource tracker) can still clean up and leave by themselves.
  void remember(pid_t pid);

  /// The guardian's own process: all members and what they start descend from it.
  pid_t pid() const { return pid_; }

 private:
  [[noreturn]] void guard(int socket) noexcept;
  pid_t ask(char what, pid_t pid);

  std::vector<std::string> command_;
  std::string directory_;
  std::string log_path_;
  std::vector<char*> argv_;  // Into command_; made before the fork.
  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace hobbs
