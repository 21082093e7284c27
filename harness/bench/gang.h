// The workers of many rounds: processes × threads, forked once and kept.
//
// Forking costs more than a round, and a fresh process runs slower than a warm one. Between rounds
// the members sleep. They die with the coordinator, however it ends (PR_SET_PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/bench/arena.h"
#include "harness/bench/tsc.h"

namespace hobbs::bench {

/// Zeroed anonymous memory that every process forked later shares, at one address. Throws
/// std::system_error if refused.
void* map_shared(std::size_t bytes);
void unmap_shared(void* at, std::size_t bytes);

template <class T>
class SharedMemory {
 public:
  SharedMemory() : at_(static_cast<T*>(map_shared(sizeof(T)))) {}
  ~SharedMemory() { unmap_shared(at_, sizeof(T)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  T& operator*() const { return *at_; }
  T* operator->() const { return at_; }

 private:
  T* at_;
};

/// How a child of the coordinator begins: it dies with it, ignores the terminal's interrupt (the
/// coordinator ends it) and has had a second thread, since glibc leaves atomics out until then.
void begin_child(pid_t coordinator);

class Gang {
 public:
  /// Forks the processes, which must happen while the caller has one thread. `arena` and `tsc`
  /// must outlive the gang.
  Gang(Arena& arena, const Tsc& tsc, std::uint32_t processes, std::uint32_t threads);
  ~Gang();
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  /// Runs one round of the first `processes` × `threads` members for that long, after which
  /// arena.workers[1..] hold what they did. Returns empty, or why there is no result, in one
  /// sentence (a worker died, or did not come back); then the gang has been forked anew.
  std::string run(Orders orders, std::uint32_t processes, std::uint32_t threads,
                  std::chrono::nanoseconds duration);

 private:
  struct Mailbox {
    struct alignas(kLine) Box {
      std::atomic<std::uint32_t> round{0};  // Futex word: the round to join.
    };
    std::uint32_t processes = 0;  // Who takes part in the round.
    std::uint32_t threads = 0;
    Box boxes[kMaxWorkers];
  };

  void fork_all();
  void kill_all();
  [[noreturn]] void live(std::uint32_t process, pid_t coordinator);
  void serve(std::uint32_t process, std::uint32_t thread);
  /// Waits until the word has that value; empty, or why it will not.
  std::string wait_for(std::atomic<std::uint32_t>& word, std::uint32_t value);
  std::string why_dead();

  Arena& arena_;
  const Tsc& tsc_;
  const std::uint32_t processes_;
  const std::uint32_t threads_;
  std::uint32_t round_ = 0;
  SharedMemory<Mailbox> mailbox_;
  std::vector<pid_t> children_;
};

}  // namespace hobbs::bench
