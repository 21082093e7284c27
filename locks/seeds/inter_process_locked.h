// fasteners' decorators as function wrappers: a function that holds a file lock while it runs.
//
//     auto save = inter_process_locked("/var/lock/save", [](int n) { ... });
//     save(3);  // Waits for the lock, calls, releases, passes the result or the exception on.
//
// One lock object a wrapper, made with it and shared by its copies. It always waits, with the
// documented defaults. The lock is the process's (inter_process_lock.h): threads that are in one
// wrapper at a time run together, and of them (as of nested calls) all but the first to leave find
// the lock released: LockError, after the call was made.
//
// Source: fasteners' documentation, "Decorators".
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "locks/real_platform.h"
#include "locks/seeds/inter_process_lock.h"
#include "locks/seeds/inter_process_reader_writer_lock.h"

namespace hobbs {

/// A function under a lock; `Section` acquires and releases it.
template <class Section, class Function>
class Locked {
 public:
  Locked(std::string path, Function function)
      : section_(std::make_shared<Section>(std::move(path))), function_(std::move(function)) {}

  template <class... Arguments>
  decltype(auto) operator()(Arguments&&... arguments) {
    section_->enter();
    const auto call = [&]() -> decltype(auto) {
      try {
        return function_(std::forward<Arguments>(arguments)...);
      } catch (...) {
        section_->leave();
        throw;
      }
    };
    using Result = decltype(call());
    if constexpr (std::is_void_v<Result>) {
      call();
      section_->leave();
    } else if constexpr (std::is_reference_v<Result>) {
      Result result = call();
      section_->leave();
      return static_cast<Result>(result);
    } else {
      Result result = call();
      section_->leave();
      return result;
    }
  }

 private:
  std::shared_ptr<Section> section_;
  Function function_;
};

namespace internal {

struct WholeSection : InterProcessLock<RealPlatform> {
  using InterProcessLock::InterProcessLock;
  void enter() { acquire(); }
  void leave() { release(); }
};
struct ReadSection : InterProcessReaderWriterLock<RealPlatform> {
  using InterProcessReaderWriterLock::InterProcessReaderWriterLock;
  void enter() { acquire_read_lock(); }
  void leave() { release_read_lock(); }
};
struct WriteSection : InterProcessReaderWriterLock<RealPlatform> {
  using InterProcessReaderWriterLock::InterProcessReaderWriterLock;
  void enter() { acquire_write_lock(); }
  void leave() { release_write_lock(); }
};

}  // namespace internal

/// `function` under an InterProcessLock on `path`. Thread-safe as said above.
template <class Function>
auto inter_process_locked(std::string path, Function function) {
  return Locked<internal::WholeSection, Function>(std::move(path), std::move(function));
}
/// Under the read lock, and the write lock, of an InterProcessReaderWriterLock.
template <class Function>
auto inter_process_read_locked(std::string path, Function function) {
  return Locked<internal::ReadSection, Function>(std::move(path), std::move(function));
}
template <class Function>
auto inter_process_write_locked(std::string path, Function function) {
  return Locked<internal::WriteSection, Function>(std::move(path), std::move(function));
}

}  // namespace hobbs
