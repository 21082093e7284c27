#include "harness/bench/instructions.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <new>
#include <thread>

#include "harness/bench/spawn.h"
#include "harness/bench/workload.h"
#include "locks/real_platform.h"

namespace hobbs::bench {
namespace {

constexpr std::uint64_t kFew = 1'000;
constexpr std::uint64_t kMany = 101'000;
constexpr std::chrono::milliseconds kPatience{120'000};

/// "Collected : 1234" is callgrind's last word.
std::uint64_t collected(const std::string& text) {
  constexpr std::string_view kWord = "Collected :";
  const std::size_t at = text.rfind(kWord);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + kWord.size(), nullptr, 10);
}

}  // namespace

void run_fast_path(const LockSpec& lock, const std::string& path, std::uint64_t operations) {
  std::thread([] {}).join();  // glibc leaves atomics out until there was a second thread.
  RealPlatform::attach(1);
  const std::align_val_t align{std::max(kLine, lock.real.align)};
  const std::size_t bytes = lock_stride(lock.real);
  void* at = ::operator new(bytes, align);
  std::memset(at, 0, bytes);
  lock.real.construct(at, path.c_str());
  for (std::uint64_t i = 0; i < operations; ++i) {
    lock.real.acquire(at);
    lock.real.release(at);
  }
  lock.real.destroy(at);
  ::operator delete(at, align);
}

Instructions count_instructions(const std::string& program, const std::string& lock) {
  Instructions result;
  std::uint64_t totals[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    const Spawned spawned = run_program(
        {"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "bench",
         "--fast-path", std::to_string(i == 0 ? kFew : kMany), "--locks", lock},
        kPatience);
    totals[i] = collected(spawned.errors);
    result.error = spawned.failure;
    if (result.error.empty() && (spawned.exit_code != 0 || totals[i] == 0)) {
      result.error = fmt::format("valgrind counted nothing for {} of {}", lock, program);
    }
    if (!result.error.empty()) return result;
  }
  // Start and end are not quite the same in every run; a hundred thousand operations are.
  result.per_operation = (totals[1] - totals[0] + (kMany - kFew) / 2) / (kMany - kFew);
  return result;
}

}  // namespace hobbs::bench
