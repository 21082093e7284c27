// What scenes are made of: a few processes with parts of their own, that share memory, words to
// wait for each other, and a lock.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs::gang {

/// What a scene that was played once came to.
struct Played {
  enum class End : std::uint8_t {
    kKept,     // The lock kept its promise.
    kBroken,   // It did not: `sentence`.
    kUnsure,   // It came to neither: `sentence`.
    kRefused,  // The system does not allow the scene: `sentence`.
  } end = End::kUnsure;
  std::string sentence;
};

/// The largest lock that finds room on a stage.
inline constexpr std::size_t kStageLockBytes = 1 << 16;
struct alignas(4096) StageLock {
  unsigned char bytes[kStageLockBytes];
};
/// Whether the lock finds room on a stage, and processes share it.
bool fits_stage(const LockSpec& lock);
/// How long the parts wait for each other, where only a starved machine makes them.
inline constexpr std::chrono::milliseconds kStagePatience{10'000};

/// Memory that all parts share, forked ones included: a `T` of zeros. Null if there is none.
template <class T>
class SharedStage {
 public:
  SharedStage() {
    void* const at =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) stage_ = new (at) T();
  }
  ~SharedStage() {
    if (stage_ != nullptr) ::munmap(stage_, sizeof(T));
  }
  SharedStage(const SharedStage&) = delete;
  SharedStage& operator=(const SharedStage&) = delete;

  explicit operator bool() const { return stage_ != nullptr; }
  T& operator*() const { return *stage_; }
  T* operator->() const { return stage_; }

 private:
  T* stage_ = nullptr;
};

/// Processes that play their parts; those that are still there when this goes are killed.
class Cast {
 public:
  Cast() = default;
  ~Cast();
  Cast(const Cast&) = delete;
  Cast& operator=(const Cast&) = delete;

  /// Forks a process that runs `part` and ends. False if the system refuses.
  template <class Part>
  bool enter(Part&& part) {
    const pid_t parent = ::getpid(), player = ::fork();
    if (player == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() == parent) part();
      ::_exit(0);
    }
    if (player > 0) players_.push_back(player);
    return player > 0;
  }
  const std::vector<pid_t>& players() const { return players_; }

 private:
  std::vector<pid_t> players_;
};

/// Sets a futex word of shared memory from 0 to 1, and wakes who waits for it.
void tell(std::atomic<std::uint32_t>& word);
bool wait_for(std::atomic<std::uint32_t>& word, std::chrono::milliseconds patience);
/// However long: for players, who are killed when their cast goes.
void wait_until_told(std::atomic<std::uint32_t>& word);

/// The calling process's object of the lock: what it allocates lives as long as the process.
void* object_of(const LockSpec& lock, void* shared, const std::string& path);

/// Whether a child of this process has ended, and nobody has waited for it.
bool has_ended(pid_t process);
/// Whether a process waits for something else than a processor.
bool is_asleep(pid_t process);
/// The processor time that a process has used, 0 if it is gone.
std::int64_t spent_ns(pid_t process);
/// Whether a process that has not come on had every chance: it sleeps, has ended, or has used 50 ms
/// of processor time. Else it may have waited for a processor.
bool had_its_chance(pid_t process);

/// What waiting for players came to: kInVain only once all of them had every chance.
enum class Awaited : std::uint8_t { kCame, kInVain, kStarved };

/// Waits until `came()`, at least for `patience`; longer, up to kStagePatience, while one of the
/// players had no chance. A `came()` that answers "not yet, but there was progress" is to restart
/// this itself.
template <class Came>
Awaited await(const Cast& cast, std::chrono::milliseconds patience, Came&& came);

namespace internal {
void sleep_between_looks();
bool all_had_their_chance(const Cast& cast);
}  // namespace internal

template <class Came>
Awaited await(const Cast& cast, std::chrono::milliseconds patience, Came&& came) {
  const auto begun = std::chrono::steady_clock::now();
  for (;;) {
    if (came()) return Awaited::kCame;
    const auto waited = std::chrono::steady_clock::now() - begun;
    if (waited >= patience && internal::all_had_their_chance(cast)) return Awaited::kInVain;
    if (waited >= kStagePatience) return Awaited::kStarved;
    internal::sleep_between_looks();
  }
}

}  // namespace hobbs::gang
