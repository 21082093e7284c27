// The inter-process lock on a path: fasteners' InterProcessLock in C++ terms.
//
//   state             acquire                                    release
//   free              held, true                                 refused: kNotLocked
//   held by us        true, and held still (not counted)         free; the file stays
//   held by another   attempts with growing pauses, or false     refused: kNotLocked
//   process           at once or after the timeout
//
// Claims: between processes, each with an object of its own on one path, or a forked copy; live
// processes that use fasteners are among them. It does not exclude the threads of a process from
// each other, nor two objects of a process on one path: the kernel's lock is the process's
// (lock_file.h), and any thread of it may release. The kernel frees it when its holder ends. No
// fairness: waiters look again every max_delay at the latest.
// Memory orders: none of ours; the kernel orders, and a mutex inside the process (file_hold.h).
// Source: fasteners' documentation, "Process Lock API"; fcntl(2).
// Not copied: in the real one a forked child reports its parent's hold as its own, and its release
// succeeds without releasing anything (here it is refused).
#pragma once

#include <utility>

#include "locks/reference/lockable.h"
#include "locks/seeds/file_hold.h"

namespace hobbs {

template <class P>
class InterProcessLock : public TimedLockable<InterProcessLock<P>, P> {
 public:
  static constexpr Claims claims = {.thread_shared = false,
                                    .releaser = Releaser::kProcess,
                                    .crash = CrashBehaviour::kReleasedBySystem,
                                    .exec_is_death = true,
                                    .reports_errors = true,
                                    .content_ignored = true,
                                    .across_namespaces = true,
                                    .waits_asleep = true};

  /// Nothing is opened before the first acquire. Empty functions: a plain sleep, no log.
  explicit InterProcessLock(std::string path, SleepFunction sleep = {}, Logger log = {})
      : hold_(std::move(path), Mode::kExclusive, std::move(sleep), std::move(log)) {}
  explicit InterProcessLock(const char* path) : InterProcessLock(std::string(path)) {}

  /// Whether it is held now. kBadArgument: checked(), before the file is opened; kOperatingSystem
  /// if the file cannot be opened or locked.
  bool acquire(const BackOff& wait = {}) { return hold_.take(Mode::kExclusive, wait); }
  bool take(const Patience& patience) { return acquire(BackOff::of(patience, P::now())); }

  /// kNotLocked unless this process has acquired it.
  void release() {
    if (!hold_.drop(Mode::kExclusive)) {
      throw LockError(LockErrorKind::kNotLocked, "Unable to release an unaquired lock");
    }
  }

  /// Whether this process has acquired it.
  bool acquired() const { return hold_.held(Mode::kExclusive); }
  bool exists() {
    return hold_.with_file([](LockFile& file) { return file.exists(); });
  }
  /// As FileHold::with_file(): the bare lock beneath, which acquired() knows nothing of.
  template <class Call>
  auto with_file(Call&& call) {
    return hold_.with_file(std::forward<Call>(call));
  }

 private:
  FileHold<P> hold_;
};

}  // namespace hobbs
