// The modelled kernel's file locks and System V semaphore, as far as locks on a path use them: one
// file, locked as a whole, and one semaphore that is waited for to become zero and then raised.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "harness/step/kernel.h"

namespace hobbs::step {
namespace {

constexpr int kProcessFamily = 0, kDescriptionFamily = 1, kFlockFamily = 2;
constexpr std::uint8_t kNone = 0, kShared = 1, kExclusive = 2;

CallResult returns(std::int64_t value) {
  CallResult result;
  result.value = value;
  return result;
}

CallResult unknown(std::string what) {
  CallResult result;
  result.end = CallResult::End::kUnknown;
  result.unknown = std::move(what);
  return result;
}

}  // namespace

CallResult KernelCall::record_lock() {
  const std::uint64_t command = argument(kRsi), at = argument(kRdx);
  const bool by_process = command == F_SETLK || command == F_SETLKW;
  const bool by_description = command == F_OFD_SETLK || command == F_OFD_SETLKW;
  if (!image_.on_path() || (!by_process && !by_description)) {
    return unknown("fcntl command " + std::to_string(command));
  }
  struct flock request {};
  for (unsigned i = 0; i < sizeof request; i += 8) {
    const std::uint64_t word = memory_.read(at + i, 8);
    std::memcpy(reinterpret_cast<char*>(&request) + i, &word, 8);
  }
  if (request.l_whence != SEEK_SET || request.l_start != 0 || request.l_len != 0) {
    return unknown("a record lock on a part of a file");
  }
  const int wanted = request.l_type == F_RDLCK   ? kShared
                     : request.l_type == F_WRLCK ? kExclusive
                                                 : kNone;
  return change_file_lock(by_process ? kProcessFamily : kDescriptionFamily, wanted,
                          command == F_SETLKW || command == F_OFD_SETLKW);
}

CallResult KernelCall::file_lock() {
  if (!image_.on_path()) return unknown("flock on a file that is not the lock's");
  const std::uint64_t operation = argument(kRsi) & ~static_cast<std::uint64_t>(LOCK_NB);
  const int wanted = operation == LOCK_SH ? kShared : operation == LOCK_EX ? kExclusive : kNone;
  return change_file_lock(kFlockFamily, wanted, (argument(kRsi) & LOCK_NB) == 0);
}

/// A change is one step. It waits for what conflicts; giving something up wakes all who wait, and
/// they ask again.
CallResult KernelCall::change_file_lock(int family, int wanted, bool may_wait) {
  KernelObjects files = objects();
  std::uint8_t& mine = files.held[family][local_.worker];
  for (std::size_t other = 0; other < kMaxStepWorkers; ++other) {
    const std::uint8_t theirs = files.held[family][other];
    if (other == local_.worker || wanted + theirs <= 2 || wanted == kNone || theirs == kNone) {
      continue;
    }
    if (!may_wait) return returns(-EAGAIN);
    if (mine != kNone) return unknown("waiting for a file lock while holding one");
    CallResult result;
    result.end = CallResult::End::kSleeps;
    result.channel = channel::kFile | static_cast<std::uint32_t>(family);
    return result;
  }
  CallResult result;
  if (wanted < mine) {
    result.wakes.add(channel::kFile | static_cast<std::uint32_t>(family), kWakeAll);
  }
  mine = static_cast<std::uint8_t>(wanted);
  put(files);
  return result;
}

CallResult KernelCall::semaphore(unsigned first) {
  const std::uint64_t at = argument(kRsi), count = argument(kRdx);
  if (!image_.on_path() || count == 0 || count > 2) return unknown("this use of semop");
  sembuf operations[2] = {};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t bytes = memory_.read(at + i * sizeof(sembuf), 4);
    const std::uint64_t flags = memory_.read(at + i * sizeof(sembuf) + 4, 2);
    operations[i].sem_num = static_cast<unsigned short>(bytes);
    operations[i].sem_op = static_cast<short>(bytes >> 16);
    operations[i].sem_flg = static_cast<short>(flags);
  }
  KernelObjects kernel = objects();
  const bool acquires = count == 2 && operations[0].sem_op == 0 && operations[1].sem_op == 1;
  const bool releases = count == 1 && operations[0].sem_op == -1;
  const sembuf& change = operations[count - 1];
  if (change.sem_num != 0 || (!acquires && !releases)) return unknown("this use of semop");
  const bool undo = (change.sem_flg & SEM_UNDO) != 0;
  if (acquires ? kernel.semaphore != 0 : kernel.semaphore == 0) {
    if ((change.sem_flg & IPC_NOWAIT) != 0) return returns(-EAGAIN);
    if (releases) return unknown("a release that waits");
    kernel.sleepers_undo = undo ? 1 : 0;
    put(kernel);
    CallResult result;
    result.end = CallResult::End::kSleeps;
    result.channel = channel::kSemaphore;
    result.may_time_out = argument(kRax) == SYS_semtimedop && argument(kR10) != 0;
    return result;
  }
  CallResult result;
  kernel.semaphore = static_cast<std::int16_t>(kernel.semaphore + change.sem_op);
  std::int16_t& adjustment = kernel.undo[local_.worker];
  if (undo) adjustment = static_cast<std::int16_t>(adjustment - change.sem_op);
  if (kernel.semaphore == 0 && first != 0) {
    // The kernel performs the first sleeper's operations for it.
    kernel.semaphore = 1;
    if (kernel.sleepers_undo != 0) kernel.undo[first - 1] = -1;
    result.wakes.add(channel::kSemaphore, 1);
  }
  put(kernel);
  return result;
}

}  // namespace hobbs::step
