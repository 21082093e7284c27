// One piece of a campaign in a child process of its own, so that a lock under test may crash, hang
// or scribble over memory without taking hobbs down.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/result.h"

namespace hobbs {

/// How a slice talks to its campaign while it runs; safe to call from one thread at a time.
struct SliceChannel {
  std::function<void(std::string_view)> progress;  // One short line.
  std::function<void(const Result&)> found;        // Kept even if the slice dies later.
};
using SliceWork = std::function<std::vector<Result>(const SliceChannel&)>;

/// How a slice ended.
struct SliceEnd {
  std::vector<Result> results;  // All of them after a clean end, else those told by found().
  bool clean = false;           // The work returned.
  int signal = 0;               // The signal that ended it, or 0.
  int status = 0;               // Its exit status if no signal did.
  std::string error;            // The exception that ended the work, or what was wrong.
  std::string last_words;       // The tail of what it wrote to its standard output and error.
};

/// Whether only the code that ran, and not somebody else, ends a process with this signal.
bool is_crash(int signal);

/// "SIGSEGV" or "exit status 3".
std::string ending_words(const SliceEnd& end);
std::string signal_words(int signal);

class Slice {
 public:
  using Clock = std::chrono::steady_clock;

  /// Forks the child. Call it while the process has one thread. Throws std::system_error.
  Slice(const SliceWork& work, const sigset_t& child_signals);
  ~Slice();
  Slice(const Slice&) = delete;
  Slice& operator=(const Slice&) = delete;

  pid_t pid() const { return pid_; }
  int fd() const { return messages_; }  // Readable when there is something to read.
  const std::string& progress() const { return progress_; }
  Clock::time_point started() const { return started_; }

  /// Waits until there is something to read or the child is gone, at most `timeout_ms`.
  void wait_readable(int timeout_ms) const;
  /// Takes in what the child has told, without waiting.
  void read_messages();
  /// Ends the child and all it left behind.
  void kill();
  /// Call once, after the child was reaped with this wait status.
  SliceEnd finish(int wait_status);

 private:
  void take(std::string_view line);

  pid_t pid_ = -1;
  int messages_ = -1;
  int output_ = -1;
  Clock::time_point started_;
  std::string unread_;
  std::string progress_;
  SliceEnd end_;
};

}  // namespace hobbs
