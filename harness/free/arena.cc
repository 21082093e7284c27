#include "harness/free/arena.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kRegistryBytes = kPage;  // One page, before the arena.

std::size_t rounded_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

std::size_t stride_of(const LockOps& ops) {
  return rounded_up(ops.size, std::max(kPage, ops.align));  // So that it can be taken away.
}

}  // namespace

void* Arena::lock_at(std::size_t index) {
  const std::size_t begin = rounded_up(sizeof(Arena), kPage);
  return reinterpret_cast<char*>(this) + begin + index * lock_stride;
}

Record* Arena::records_of(std::size_t slot) {
  return reinterpret_cast<Record*>(reinterpret_cast<char*>(this) + records_at) +
         slot * kRecordsKept;
}

SharedArena::SharedArena(const LockOps& ops, std::size_t locks, std::size_t workers)
    : fd_(memfd_create("hobbs-arena", MFD_CLOEXEC)) {
  const std::size_t records_at =
      rounded_up(rounded_up(sizeof(Arena), kPage) + locks * stride_of(ops), kPage);
  // Only what is written takes memory.
  bytes_ = records_at + workers * kRecordsKept * sizeof(Record);
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(kRegistryBytes + bytes_)) != 0) {
    throw std::system_error(errno, std::generic_category(), "memory for the workers to share");
  }
  map();  // Zero bytes are the initial value of every member.
  arena_->lock_stride = stride_of(ops);
  arena_->records_at = records_at;
}

SharedArena::SharedArena(int fd) : fd_(fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) {
    throw std::system_error(errno, std::generic_category(), "the workers' shared memory");
  }
  bytes_ = static_cast<std::size_t>(status.st_size) - kRegistryBytes;
  map();
}

void SharedArena::map() {
  void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, kRegistryBytes);
  if (at == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "mmap of the workers' shared memory");
  }
  arena_ = static_cast<Arena*>(at);
}

void SharedArena::share_registry() const {
  // In place of the registry's own page, so that whoever holds its address finds the shared one.
  static_assert(sizeof(RealPlatform::Registry) <= kRegistryBytes);
  void* const at = &RealPlatform::registry();
  if (mmap(at, kRegistryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, 0) != at) {
    throw std::system_error(errno, std::generic_category(), "mmap of the registry of workers");
  }
}

SharedArena::~SharedArena() {
  munmap(arena_, bytes_);
  close(fd_);
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace hobbs::gang
