#include "harness/free/stage.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "locks/real_platform.h"

namespace hobbs::gang {

bool fits_stage(const LockSpec& lock) {
  return lock.claims.process_shared && lock.real.available() && lock.real.size <= kStageLockBytes;
}

Cast::~Cast() {
  for (const pid_t player : players_) ::kill(player, SIGKILL);
  for (const pid_t player : players_) {
    while (::waitpid(player, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void tell(std::atomic<std::uint32_t>& word) {
  word.store(1);
  RealPlatform::futex_wake(word, INT32_MAX);
}

bool wait_for(std::atomic<std::uint32_t>& word, std::chrono::milliseconds patience) {
  const auto until = RealPlatform::now() + patience;
  while (word.load() == 0) {
    if (RealPlatform::now() >= until) return false;
    RealPlatform::futex_wait(word, 0, until);
  }
  return true;
}

void wait_until_told(std::atomic<std::uint32_t>& word) {
  while (!wait_for(word, kStagePatience)) {
  }
}

void* object_of(const LockSpec& lock, void* shared, const std::string& path) {
  if (lock.home == Home::kMemory) return shared;
  const std::size_t align = std::max<std::size_t>(lock.real.align, 64);
  void* const at = ::operator new(lock.real.size, std::align_val_t(align));
  std::memset(at, 0, lock.real.size);
  lock.real.construct(at, path.c_str());
  return at;
}

namespace {

/// As the kernel calls it in proc(5).
char state_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(") ");  // A name may have spaces and brackets in it.
  return name_end == std::string::npos ? '?' : text[name_end + 2];
}

}  // namespace

bool has_ended(pid_t process) { return state_of(process) == 'Z'; }

bool is_asleep(pid_t process) { return state_of(process) == 'S'; }

std::int64_t spent_ns(pid_t process) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

void internal::sleep_between_looks() {
  const timespec nap{0, 1'000'000};
  ::nanosleep(&nap, nullptr);
}

bool internal::all_had_their_chance(const Cast& cast) {
  return std::ranges::all_of(cast.players(), had_its_chance);
}

bool had_its_chance(pid_t process) {
  constexpr std::int64_t kEnoughNs = 50'000'000;
  const char state = state_of(process);
  return state == 'S' || state == 'Z' || spent_ns(process) >= kEnoughNs;
}

}  // namespace hobbs::gang
