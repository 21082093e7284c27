// Who is calling: a number for each thread of each process that is never used again.
//
// Thread ids and process ids are reused, are equal in two PID namespaces, and survive a fork in
// every cache of them: a lock that believes them lets a forked child or a late thread in as the
// owner. Here a process is a random 64-bit number kept in a page that the kernel wipes in every
// child (MADV_WIPEONFORK, Linux 4.14), however it was forked: fork(), _Fork() or a raw clone()
// that runs no handler. A thread is a serial counted up from there. Reading it costs two loads.
//
// A vfork child runs on its parent's memory and is its parent until it calls exec.
#pragma once

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "locks/hooked_platform.h"
#include "locks/platform.h"
#include "locks/real_platform.h"

namespace hobbs {

namespace internal {

struct ProcessPage {
  std::atomic<std::uint64_t> process;  // 0: just wiped, nobody has asked yet.
  std::atomic<std::uint64_t> threads;
};

inline ProcessPage& process_page() {
  static ProcessPage* const page = [] {
    const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // Without the wipe a child would pass for its parent: better no lock than that.
    if (at == MAP_FAILED || ::madvise(at, size, MADV_WIPEONFORK) != 0) std::abort();
    return static_cast<ProcessPage*>(at);
  }();
  return *page;
}

}  // namespace internal

/// The calling process: not zero, and never another process's, before or after it. Thread-safe,
/// and async-signal-safe after the first call in any ancestor.
inline std::uint64_t process_identity() {
  std::atomic<std::uint64_t>& process = internal::process_page().process;
  std::uint64_t mine = process.load(std::memory_order_acquire);
  while (mine == 0) {
    std::uint64_t drawn = 0;
    if (::getrandom(&drawn, sizeof drawn, 0) != sizeof drawn || drawn == 0) continue;
    if (process.compare_exchange_strong(mine, drawn, std::memory_order_acq_rel)) return drawn;
  }
  return mine;
}

/// A number that is nobody's yet and will be nobody else's: drawn once, kept by whoever asked.
inline std::uint64_t fresh_identity() {
  return process_identity() + internal::process_page().threads.fetch_add(1);
}

/// The calling thread of the calling process, likewise. Identities are spread over 64 bits, so two
/// processes' ranges meet with a chance of one in 2^40 for a million threads.
inline std::uint64_t thread_identity() {
  struct Cached {
    std::uint64_t process, thread;
  };
  static thread_local Cached cached{0, 0};
  const std::uint64_t process = process_identity();
  while (cached.process != process || cached.thread == 0) {
    cached = {process, process + internal::process_page().threads.fetch_add(1)};
  }
  return cached.thread;
}

/// The caller as the platform knows it: not zero, unique over processes and threads.
template <class P>
struct Caller {
  static std::uint64_t identity() {
    std::uint64_t process = 0;
    if constexpr (requires { P::pid(); }) process = P::pid();
    return process << 32 | P::self();
  }
};
template <>
struct Caller<RealPlatform> {
  static std::uint64_t identity() { return thread_identity(); }
};
template <>
struct Caller<HookedPlatform> : Caller<RealPlatform> {};

}  // namespace hobbs
