// What the two file locks have in common: the file, who holds it, waiting, logging.
//
//   held      take(mode)                                       drop(mode)
//   nothing   the kernel's lock in that mode, or attempts      refused
//   mode      true at once                                     unlocks, closes the file
//   another   converted by the kernel, or attempts, the old    refused
//             hold kept
// One hold, however often taken; each process has its own, and a forked child starts with none.
//
// A mutex guards the object for the threads of its process, never while waiting. (A child forked
// while another thread is inside a call finds it locked, as with any mutex.)
#pragma once

#include <cstdio>
#include <mutex>
#include <utility>

#include "locks/errors.h"
#include "locks/reference/identity.h"
#include "locks/seeds/back_off.h"
#include "locks/seeds/lock_file.h"

namespace hobbs {

template <class P>
class FileHold {
 public:
  FileHold(std::string path, Mode access, SleepFunction sleep, Logger log)
      : file_(std::move(path), access),
        sleep_(sleep ? std::move(sleep) : sleep_through_signals),
        log_(std::move(log)) {}

  /// Whether this process holds it in that mode now. Errors: checked(), LockFile.
  bool take(Mode mode, const BackOff& asked) {
    const BackOff wait = checked(asked);
    const BackOffResult result = back_off<P>(wait, sleep_, [&] {
      const std::lock_guard<std::mutex> guard(mutex_);
      file_.open(log_);  // Each time: another thread's release may have closed it meanwhile.
      file_point<P>();
      if (!file_.try_lock(mode)) return false;
      holder_ = process_identity();
      mode_ = mode;
      return true;
    });
    file_point<P>();
    if (result.acquired && log_) log_acquired(result);
    return result.acquired;
  }

  /// Whether it was held in that mode, by this process; if so, no more. If the system refuses it
  /// is held on, and the error is logged and thrown.
  bool drop(Mode mode) {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      if (!holds(mode)) return false;
      try {
        file_.unlock();
      } catch (const LockError&) {
        if (log_)
          log_(kErrorLevel, "Could not unlock the acquired lock opened on `" + file_.path() + "`");
        throw;
      }
      holder_ = 0;
      file_point<P>();
      file_.close();
    }
    if (log_) log_(kTraceLevel, "Unlocked and closed file lock open on `" + file_.path() + "`");
    return true;
  }

  bool held(Mode mode) const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return holds(mode);
  }

  /// Runs a call on the file itself, one at a time.
  template <class Call>
  auto with_file(Call&& call) {
    const std::lock_guard<std::mutex> guard(mutex_);
    return call(file_);
  }

 private:
  bool holds(Mode mode) const { return holder_ == process_identity() && mode_ == mode; }
  void log_acquired(const BackOffResult& result) const {
    char text[80];
    std::snprintf(text, sizeof text, " after waiting %0.3fs [%llu attempts were required]",
                  result.waited.count(), static_cast<unsigned long long>(result.attempts));
    log_(kTraceLevel, "Acquired file lock `" + file_.path() + "`" + text);
  }

  mutable std::mutex mutex_;
  LockFile file_;
  SleepFunction sleep_;
  Logger log_;
  std::uint64_t holder_ = 0;  // The process; 0: none.
  Mode mode_ = Mode::kExclusive;
};

}  // namespace hobbs
