#include "harness/step/kernel.h"

#include <Zydis/Mnemonic.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

namespace hobbs::step {

bool is_syscall(const Instruction& instruction) {
  return instruction.mnemonic == ZYDIS_MNEMONIC_SYSCALL;
}

bool is_fence(const Instruction& instruction) {
  return instruction.mnemonic == ZYDIS_MNEMONIC_MFENCE ||
         instruction.mnemonic == ZYDIS_MNEMONIC_SFENCE;
}

std::vector<std::uint8_t> readable_copy(std::uint64_t from, std::size_t bytes) {
  std::vector<std::uint8_t> copy(bytes, 0);
  constexpr std::size_t kPage = 4096;
  for (std::size_t done = 0; done < bytes;) {
    const std::uint64_t at = from + done;
    const std::size_t part = std::min(bytes - done, kPage - at % kPage);
    // The system call reports an unmapped page where a plain read would end the process.
    const iovec local{copy.data() + done, part};
    const iovec remote{reinterpret_cast<void*>(at), part};
    if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) < 0) {
      std::memset(copy.data() + done, 0, part);
    }
    done += part;
  }
  return copy;
}

bool replace_thread_id(std::vector<std::uint8_t>& block, std::size_t fs_offset, std::uint32_t from,
                       std::uint32_t to) {
  // struct pthread lies at fs; its tid is at 0x2d0 since glibc 2.x on x86-64. Search near, so that
  // a moved field is noticed rather than missed.
  for (std::size_t at = fs_offset + 0x2c0; at < fs_offset + 0x320; at += 4) {
    std::uint32_t value = 0;
    std::memcpy(&value, block.data() + at, 4);
    if (value != from) continue;
    std::memcpy(block.data() + at, &to, 4);
    return true;
  }
  return false;
}

std::uint64_t entry_of(const LockOps& ops, const hobbs::Step& step, bool holds_shared) {
  const bool shared = step.mode == Mode::kShared;
  switch (step.verb) {
    case Verb::kTry:
      return reinterpret_cast<std::uint64_t>(shared ? ops.try_acquire_shared : ops.try_acquire);
    case Verb::kTimed:
      return reinterpret_cast<std::uint64_t>(shared ? ops.acquire_shared_until : ops.acquire_until);
    case Verb::kRelease:
      return reinterpret_cast<std::uint64_t>(holds_shared ? ops.release_shared : ops.release);
    default: return reinterpret_cast<std::uint64_t>(shared ? ops.acquire_shared : ops.acquire);
  }
}

bool can_call(const LockOps& ops, const hobbs::Step& step) {
  switch (step.verb) {
    case Verb::kRelease: return true;
    case Verb::kAcquire:
    case Verb::kTry:
    case Verb::kTimed: return entry_of(ops, step, false) != 0;
    default: return false;
  }
}

bool nobody_else_near(const State& state, std::size_t w) {
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    const WorkerState& other = state.workers[i];
    if (i == w || (other.phase == Phase::kDone && other.buffered == 0)) continue;
    if (other.phase != Phase::kBetween || other.holds_exclusive != 0 || other.holds_shared != 0 ||
        other.buffered > 0) {
      return false;
    }
  }
  return true;
}

}  // namespace hobbs::step
