// A semaphore that goes by a name: how unrelated processes, Python's among them, share the process
// locks. This is one process's view of it; the locks take it in place of a SemaphoreWord.
//
// Python: multiprocessing.get_context('spawn').Lock()._semlock.name is such a name; and a lock that
// a Python process attaches to one made here is SemLock._rebuild(0, kind, maxvalue, name).
// Source: sem_open(3).
#pragma once

#include <string>

#include "locks/real_platform.h"
#include "locks/seeds/semaphore_word.h"

namespace hobbs {

/// Movable. The view that made the semaphore removes its name when it goes, in the process that
/// made it; views that exist go on. A process that is killed leaves the name behind. Thread-safe as
/// the word is.
class NamedSemaphore {
 public:
  /// Makes it, for the user's own processes only (mode 0600). LockError with the errno: EEXIST if
  /// there is one of that name, EINVAL if the value is above SEM_VALUE_MAX.
  static NamedSemaphore create(const std::string& name, std::uint32_t value);
  /// As create(), with a fresh name: "/mp-" as multiprocessing has, `infix` and eight random
  /// characters.
  static NamedSemaphore create_unique(std::uint32_t value, const std::string& infix = "");
  /// LockError (ENOENT) if there is none of that name.
  static NamedSemaphore open(const std::string& name);
  /// Makes it unless it is there; whichever, the name stays until somebody unlinks it.
  static NamedSemaphore open_or_create(const std::string& name, std::uint32_t value);

  NamedSemaphore(NamedSemaphore&& other) noexcept;
  NamedSemaphore& operator=(NamedSemaphore&& other) = delete;
  ~NamedSemaphore();

  const std::string& name() const { return name_; }
  bool take(const Patience& patience) { return word_->take(patience); }
  bool give(std::uint32_t most) { return word_->give(most); }
  std::uint32_t value() const { return word_->value(); }

 private:
  NamedSemaphore(std::string name, int flags, std::uint32_t value);

  std::string name_;
  std::uint64_t maker_ = 0;  // The process that removes the name; 0: none does.
  SemaphoreWord<RealPlatform>* word_ = nullptr;
};

}  // namespace hobbs
