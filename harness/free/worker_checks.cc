// What must hold whenever all workers are outside, at the gate between rounds.
#include <dirent.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "harness/free/story.h"
#include "harness/free/worker.h"
#include "scenarios/suites/many_permits.h"

namespace hobbs::gang {
namespace {

constexpr std::int64_t kProbeDeadlineAgoNs = 1'000'000;
constexpr std::uint32_t kProbeExpiredEvery = 8;
constexpr std::uint32_t kPristineEvery = 4;
constexpr unsigned char kPoison = 0xdb;
constexpr std::uint32_t kRoundsForLeaks = 40;

std::string words_of(const Step& step) { return call_words(step.verb, step.mode, step.lock); }

std::size_t page_end(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

}  // namespace

std::size_t open_descriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  std::size_t count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

bool Assignment::destroys() const {
  return !program.workers.empty() && !program.workers.front().empty() &&
         program.workers.front().back().verb == Verb::kDestroy;
}

void Worker::check_counter(std::uint8_t lock) {
  std::uint64_t added = 0;
  for (std::size_t i = 0; i < arena_.workers.load(); ++i) added += arena_.slots[i].added[lock];
  const std::uint64_t guarded = arena_.witnesses[lock].guarded.load(std::memory_order_relaxed);
  if (guarded == added) return;
  accuse("ME-2", 0,
         fmt::format("the guarded counter is {} after {} exclusive sections: updates were lost",
                     guarded, added));
}

void Worker::check_free(std::uint8_t lock) {
  check_counter(lock);
  Step probe{Verb::kTry, Mode::kExclusive, lock, 0};
  const bool expired = ops_.acquire_until != nullptr && arena_.round % kProbeExpiredEvery == 3;
  if (expired) probe.verb = Verb::kTimed;
  if (lock_.claims.spurious_try_failure || (!expired && ops_.try_acquire == nullptr)) return;
  const std::uint32_t permits = takes_of_probe(lock_.claims);
  std::uint32_t got = 0;
  for (; got < permits && !over(); ++got) {
    const Outcome outcome = call(probe, now_ns() - kProbeDeadlineAgoNs);
    if (holds(outcome)) continue;
    if (outcome == Outcome::kInterrupted && sends_signals(assignment_.nemesis)) break;
    if (takes_away(assignment_.nemesis)) break;  // For want of a descriptor, or of memory.
    accuse(sleeper_lives()     ? "FK-5"
           : expired           ? "TO-3"
           : ops_.has_shared() ? "RW-3"
                               : "TR-2",
           0,
           fmt::format("all workers are outside, and {}{} ended with \"{}\"{}", words_of(probe),
                       expired ? " with an expired deadline" : "", to_string(outcome),
                       permits > 1 ? " before all permits were taken" : ""));
    break;
  }
  for (; got > 0; --got) call({Verb::kRelease, Mode::kExclusive, lock, 0}, INT64_MAX);
}

/// Where the lock claims it, a lock that nobody holds has the bytes of a new one.
void Worker::check_pristine(std::uint8_t lock) {
  if (!lock_.claims.pristine_when_free || lock_.home != Home::kMemory || over()) return;
  if (arena_.round.load() % kPristineEvery != 1 || assignment_.nemesis == Nemesis::kStale) return;
  if (pristine_.empty()) {
    void* const fresh = std::aligned_alloc(4096, page_end(ops_.size));
    if (fresh == nullptr) return;
    std::memset(fresh, 0, ops_.size);
    ops_.construct(fresh, nullptr);
    const auto* const bytes = static_cast<const unsigned char*>(fresh);
    pristine_.assign(bytes, bytes + ops_.size);
    ops_.destroy(fresh);
    std::free(fresh);
  }
  const auto* const bytes = static_cast<const unsigned char*>(locks_[lock]);
  const auto differs = std::mismatch(pristine_.begin(), pristine_.end(), bytes);
  if (differs.first == pristine_.end()) return;
  accuse(
      "AB-4", 0,
      fmt::format("all workers are outside, and byte {} of the lock is {:#04x}, which is {:#04x} "
                  "in a new one",
                  differs.first - pristine_.begin(), *differs.second, *differs.first));
}

/// Everybody has come in before this worker, and it has gone out: the lock is its own.
void Worker::destroy_if_last() {
  if (came_as_ != assignment_.program.workers.size() || over()) return;
  ops_.destroy(locks_[0]);
  std::memset(locks_[0], kPoison, ops_.size);
  arena_.destroyed.store(1);
  // Where all are threads of one process, whoever still touches it dies of that.
  if (assignment_.one_process) mprotect(locks_[0], page_end(ops_.size), PROT_NONE);
}

void Worker::check_destroyed() {
  if (arena_.destroyed.load() == 0) return;
  if (assignment_.one_process) mprotect(locks_[0], page_end(ops_.size), PROT_READ | PROT_WRITE);
  const auto* const bytes = static_cast<const unsigned char*>(locks_[0]);
  const auto* const touched =
      std::find_if(bytes, bytes + ops_.size, [](unsigned char byte) { return byte != kPoison; });
  if (touched != bytes + ops_.size) {
    accuse("AB-5", 0,
           fmt::format("the last holder had released the lock and destroyed it, and then byte {} "
                       "of it was written by a release that was still under way",
                       touched - bytes));
  }
  std::memset(locks_[0], 0, ops_.size);
  ops_.construct(locks_[0], nullptr);
  arena_.entered.store(0);
  arena_.destroyed.store(0);
}

/// A few descriptors may be kept; one more every few rounds is a leak.
void Worker::check_descriptors() {
  if (rounds_ < kRoundsForLeaks || descriptors_ == 0) return;
  const std::size_t now = open_descriptors();
  if (now < descriptors_ + rounds_ / 4) return;
  accuse("RS-1", 0,
         fmt::format("the process of worker {} had {} open descriptors after its first rounds, and "
                     "{} after {} rounds",
                     id_, descriptors_, now, rounds_));
}

}  // namespace hobbs::gang
