// Process-and-thread-local storage: multiprocessing_utils' local() in C++ terms.
//
//   in the thread that set it     the value
//   in another thread             unset
//   in a child, however forked    unset, whatever its parent had set; what it sets itself stays
//
// Who asks is looked at in each access (identity.h): no handler of fork(2) is needed, so a child of
// _Fork() or of a bare clone(2) starts fresh as well. A value is destroyed when its thread ends,
// is erased, or the object goes in that thread; a parent's values are forgotten in the child, not
// destroyed: what they stand for is the parent's. Objects are independent of each other; copies of
// a process's memory share an object's key, so it may lie in shared memory.
//
// Source: multiprocessing_utils' README, "multiprocess-safe threading.local()".
// Not copied: the real one leaks the values of a child that touched it once to that child's own
// children; wipes, when the forking thread first touches it, what other threads of the child have
// set; and cannot delete.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "locks/reference/identity.h"

namespace hobbs {

namespace internal {

/// The values that one thread of one process has set.
class ThreadValues {
 public:
  struct Entry {
    std::uint64_t key;
    std::unique_ptr<void, void (*)(void*)> value;
  };

  /// The calling thread's, as this process knows it.
  static std::vector<Entry>& mine() {
    Holder& holder = holder_of_thread();
    const std::uint64_t process = process_identity();
    if (holder.values == nullptr || holder.values->process != process) {
      holder.values = new ThreadValues(process, holder.values);
    }
    return holder.values->entries_;
  }

 private:
  struct Holder {
    ThreadValues* values = nullptr;
    ~Holder() {
      if (values != nullptr && values->process == process_identity()) delete values;
    }
  };
  static Holder& holder_of_thread() {
    static thread_local Holder holder;
    return holder;
  }

  ThreadValues(std::uint64_t of, ThreadValues* before) : process(of), inherited(before) {}

  std::uint64_t process;
  ThreadValues* inherited;  // The parent's: kept in sight, never touched.
  std::vector<Entry> entries_;
};

}  // namespace internal

/// Thread-safe: threads never meet in it. Copying is not offered: a copy would be another object.
template <class T>
class ProcessLocal {
 public:
  ProcessLocal() : key_(fresh_identity()) {}
  ProcessLocal(const ProcessLocal&) = delete;
  ProcessLocal& operator=(const ProcessLocal&) = delete;
  ~ProcessLocal() { erase(); }

  /// The caller's value; null if this thread of this process has set none. Good until the caller
  /// sets or erases it.
  T* get() const {
    for (auto& entry : internal::ThreadValues::mine()) {
      if (entry.key == key_) return static_cast<T*>(entry.value.get());
    }
    return nullptr;
  }
  T& set(T value) {
    if (T* const old = get()) return *old = std::move(value);
    auto owned = std::make_unique<T>(std::move(value));
    T& made = *owned;
    internal::ThreadValues::mine().push_back(
        {key_, {owned.release(), [](void* at) { delete static_cast<T*>(at); }}});
    return made;
  }
  /// Whether there was a value.
  bool erase() {
    return std::erase_if(internal::ThreadValues::mine(),
                         [this](const auto& entry) { return entry.key == key_; }) != 0;
  }

 private:
  std::uint64_t key_;
};

}  // namespace hobbs
