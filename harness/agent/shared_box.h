// One object in memory of its own that every process forked later shares.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "locks/errors.h"

namespace hobbs::agent {

/// The object is unmapped, not destroyed, when this process drops it: others may use it on, and
/// its memory is never given to a new object while they do.
template <class T, class... A>
std::shared_ptr<T> make_shared_box(A&&... arguments) {
  void* at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw LockError(errno, "no shared memory for a lock");
  return std::shared_ptr<T>(new (at) T(std::forward<A>(arguments)...),
                            [](T* object) { ::munmap(object, sizeof(T)); });
}

}  // namespace hobbs::agent
