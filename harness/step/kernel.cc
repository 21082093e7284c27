#include "harness/step/kernel.h"

#include <Zydis/Mnemonic.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hobbs::step {
namespace {

CallResult returns(std::int64_t value) {
  CallResult result;
  result.value = value;
  return result;
}

CallResult sleeps(std::uint32_t where, bool may_time_out) {
  CallResult result;
  result.end = CallResult::End::kSleeps;
  result.channel = where;
  result.may_time_out = may_time_out;
  return result;
}

CallResult unknown(std::string what) {
  CallResult result;
  result.end = CallResult::End::kUnknown;
  result.unknown = std::move(what);
  return result;
}

CallResult yields() {
  CallResult result;
  result.end = CallResult::End::kYields;
  return result;
}

}  // namespace

bool is_syscall(const Instruction& instruction) {
  return instruction.mnemonic == ZYDIS_MNEMONIC_SYSCALL;
}

bool only_yields(std::uint64_t number) {
  return number == SYS_sched_yield || number == SYS_nanosleep || number == SYS_clock_nanosleep;
}

bool is_fence(const Instruction& instruction) {
  return instruction.mnemonic == ZYDIS_MNEMONIC_MFENCE ||
         instruction.mnemonic == ZYDIS_MNEMONIC_SFENCE;
}

std::uint32_t KernelCall::futex_channel(std::uint64_t address, std::uint32_t kind) const {
  const std::uint32_t offset = image_.shared_offset(local_.worker, address);
  const bool own = offset == kNotShared || kind == channel::kPrivate;
  if (!own) return kind | offset;
  // Nobody else's: private memory, or a key of this address space.
  return channel::kPrivate | static_cast<std::uint32_t>(local_.worker) << 16 | (offset & 0xffff);
}

Interest KernelCall::interest() {
  const std::uint64_t number = argument(kRax);
  if (number == SYS_semop || number == SYS_semtimedop) return {channel::kSemaphore, 0};
  if (number != SYS_futex) return {};
  const std::uint64_t operation = argument(kRsi);
  const bool is_private = (operation & FUTEX_PRIVATE_FLAG) != 0;
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: {
      const auto many = static_cast<std::int32_t>(argument(kRdx));
      return {futex_channel(argument(kRdi), is_private ? channel::kPrivate : channel::kFutex),
              static_cast<std::uint8_t>(std::clamp(many, 1, int{kWakeAll}))};
    }
    case FUTEX_UNLOCK_PI: return {futex_channel(argument(kRdi), channel::kPriority), 0};
    default: return {};
  }
}

CallResult KernelCall::perform(unsigned woken, unsigned first) {
  CallResult result = perform_known(woken, first);
  // What the kernel then says is not known for every call.
  if (memory_.fault().kind != Image::Own::kYes) {
    return unknown("a system call with an address that is not mapped");
  }
  return result;
}

CallResult KernelCall::perform_known(unsigned woken, unsigned first) {
  if (only_yields(argument(kRax))) return yields();
  switch (argument(kRax)) {
    case SYS_gettid:
    case SYS_getpid: return returns(thread_id_of(local_.worker));
    case SYS_set_robust_list:
      if (argument(kRdi) != image_.robust_head()) return unknown("a robust list of its own");
      return returns(0);
    case SYS_get_robust_list: return give_robust_list();
    case SYS_futex: return futex(woken, first);
    case SYS_fcntl: return record_lock();
    case SYS_flock: return file_lock();
    case SYS_semop:
    case SYS_semtimedop: return semaphore(first);
    default: return unknown("system call " + std::to_string(argument(kRax)));
  }
}

CallResult KernelCall::give_robust_list() {
  const std::uint64_t head = argument(kRsi), bytes = argument(kRdx);
  if (argument(kRdi) != 0) return unknown("the robust list of another thread");
  if (image_.shared_offset(local_.worker, head) != kNotShared ||
      image_.shared_offset(local_.worker, bytes) != kNotShared) {
    return unknown("a robust list's address given to everybody");
  }
  memory_.write(bytes, 8, sizeof(robust_list_head));
  memory_.write(head, 8, image_.robust_head());
  return returns(0);
}

CallResult KernelCall::futex(unsigned woken, unsigned first) {
  const std::uint64_t address = argument(kRdi), operation = argument(kRsi);
  const bool is_private = (operation & FUTEX_PRIVATE_FLAG) != 0;
  const std::uint64_t command = operation & FUTEX_CMD_MASK;
  const bool has_set = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
  if (has_set && static_cast<std::uint32_t>(argument(kR9)) != FUTEX_BITSET_MATCH_ANY) {
    return unknown("a futex operation on some of the waiters");
  }
  switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
      if (address % 4 != 0) return returns(-EINVAL);
      if (!memory_.readable(address, 4)) return returns(-EFAULT);
      const auto expected = static_cast<std::uint32_t>(argument(kRdx));
      if (memory_.read(address, 4) != expected) return returns(-EAGAIN);
      return sleeps(futex_channel(address, is_private ? channel::kPrivate : channel::kFutex),
                    argument(kR10) != 0);
    }
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: return returns(woken);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2: return lock_priority(address, true);
    case FUTEX_TRYLOCK_PI: return lock_priority(address, false);
    case FUTEX_UNLOCK_PI: return unlock_priority(address, first);
    default: return unknown("futex operation " + std::to_string(operation));
  }
}

CallResult KernelCall::lock_priority(std::uint64_t address, bool may_wait) {
  const std::uint32_t offset = image_.shared_offset(local_.worker, address);
  if (offset == kNotShared) return unknown("a priority-inheriting futex in private memory");
  const auto word = static_cast<std::uint32_t>(memory_.read(address, 4));
  const std::uint32_t owner = word & FUTEX_TID_MASK, me = thread_id_of(local_.worker);
  if (owner == me) return returns(-EDEADLK);
  if (owner == 0) {
    memory_.write_through(offset, me | (word & FUTEX_OWNER_DIED));
    return returns(0);
  }
  memory_.write_through(offset, word | FUTEX_WAITERS);
  if (!may_wait) return returns(-EAGAIN);
  return sleeps(channel::kPriority | offset, argument(kR10) != 0);
}

CallResult KernelCall::unlock_priority(std::uint64_t address, unsigned first) {
  const std::uint32_t offset = image_.shared_offset(local_.worker, address);
  if (offset == kNotShared) return unknown("a priority-inheriting futex in private memory");
  const auto word = static_cast<std::uint32_t>(memory_.read(address, 4));
  if ((word & FUTEX_TID_MASK) != thread_id_of(local_.worker)) return returns(-EPERM);
  // The kernel hands the lock over before the heir runs.
  memory_.write_through(offset, first == 0 ? 0 : thread_id_of(first - 1) | FUTEX_WAITERS);
  CallResult result;
  result.wakes.add(channel::kPriority | offset, 1);
  return result;
}

Wakes KernelCall::die(unsigned first_at_semaphore, std::vector<std::uint32_t>& touched) {
  memory_.drain_all();
  Wakes wakes;
  leave_robust_list(wakes, touched);
  if (!image_.on_path()) return wakes;
  KernelObjects files = objects();
  for (int family = 0; family < KernelObjects::kFamilies; ++family) {
    if (files.held[family][local_.worker] == 0) continue;
    files.held[family][local_.worker] = 0;
    wakes.add(channel::kFile | static_cast<std::uint32_t>(family), kWakeAll);
  }
  if (files.undo[local_.worker] != 0) {
    files.semaphore = static_cast<std::int16_t>(files.semaphore + files.undo[local_.worker]);
    files.undo[local_.worker] = 0;
    if (files.semaphore == 0 && first_at_semaphore != 0) {
      files.semaphore = 1;
      files.undo[first_at_semaphore - 1] = files.sleepers_undo != 0 ? -1 : 0;
      wakes.add(channel::kSemaphore, 1);
    }
  }
  put(files);
  return wakes;
}

/// What the kernel does with a dying thread's robust list (its futex documentation).
void KernelCall::leave_robust_list(Wakes& wakes, std::vector<std::uint32_t>& touched) {
  const std::uint64_t head = image_.robust_head();
  if (head == 0) return;
  const auto touch = [&](std::uint64_t address) {
    const std::uint32_t offset = image_.shared_offset(local_.worker, address);
    if (offset != kNotShared) touched.push_back(offset / 4 * 4);
    return offset;
  };
  const auto handle = [&](std::uint64_t entry, bool is_pending) {
    const std::uint64_t address = (entry & ~1ull) + memory_.read(head + 8, 8);
    const std::uint32_t offset = touch(address);
    if (offset == kNotShared) return;
    const auto word = static_cast<std::uint32_t>(memory_.read(address, 4));
    const bool priority_inheriting = (entry & 1) != 0;
    if (is_pending && !priority_inheriting && (word & FUTEX_TID_MASK) == 0) {
      // It was releasing, or was woken to acquire, and the wake may be lost with it.
      wakes.add(channel::kFutex | offset, 1);
    } else if ((word & FUTEX_TID_MASK) == thread_id_of(local_.worker)) {
      memory_.write_through(offset, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
      if (!priority_inheriting && (word & FUTEX_WAITERS) != 0) {
        wakes.add(channel::kFutex | offset, 1);
      }
    }
  };
  const std::uint64_t pending = memory_.read(head + 16, 8);
  std::uint64_t entry = memory_.read(head, 8);
  for (int limit = 0; (entry & ~1ull) != head && limit < 16; ++limit) {
    if (!memory_.readable(entry & ~1ull, 8)) break;  // The kernel, too, goes no further then.
    touch(entry & ~1ull);
    touch((entry & ~1ull) + 4);
    const std::uint64_t next = memory_.read(entry & ~1ull, 8);
    if ((entry & ~1ull) != (pending & ~1ull)) handle(entry, false);
    entry = next;
  }
  if (pending != 0) handle(pending, true);
}

KernelObjects KernelCall::objects() const {
  KernelObjects found;
  std::memcpy(&found, shared_.bytes + image_.kernel_offset(), sizeof found);
  return found;
}

void KernelCall::put(const KernelObjects& objects) {
  std::memcpy(shared_.bytes + image_.kernel_offset(), &objects, sizeof objects);
}

}  // namespace hobbs::step
