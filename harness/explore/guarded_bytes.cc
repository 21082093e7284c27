#include "harness/explore/guarded_bytes.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>

namespace hobbs::explore {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kGuard = std::size_t{64} << 20;  // Before them, and behind.

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::byte* map(std::size_t bytes) {
  void* const all = ::mmap(nullptr, kGuard + bytes + kGuard, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) fail("no addresses for the memory of locks");
  std::byte* const begin = static_cast<std::byte*>(all) + kGuard;
  if (::mprotect(begin, bytes, PROT_READ | PROT_WRITE) == 0) return begin;
  const int error = errno;
  ::munmap(all, kGuard + bytes + kGuard);
  errno = error;
  fail("no memory for locks");
}

/// What is mapped and nobody uses. Never destroyed, as GuardedBytes may be static; thread-safe.
class Spare {
 public:
  static Spare& instance() {
    static Spare& spare = *new Spare;
    return spare;
  }
  /// Null if there are none of that size.
  std::byte* take(std::size_t bytes) {
    const std::lock_guard guard(mutex_);
    const auto found = begin_by_size_.find(bytes);
    return found == begin_by_size_.end() ? nullptr : begin_by_size_.extract(found).mapped();
  }
  void give(std::byte* begin, std::size_t bytes) {
    const std::lock_guard guard(mutex_);
    begin_by_size_.emplace(bytes, begin);
  }

 private:
  std::mutex mutex_;
  std::multimap<std::size_t, std::byte*> begin_by_size_;
};

}  // namespace

GuardedBytes::GuardedBytes(std::size_t bytes)
    : bytes_(bytes),
      mapped_((bytes + kPage - 1) / kPage * kPage),
      begin_(Spare::instance().take(mapped_)) {
  if (begin_ == nullptr) {
    begin_ = map(mapped_);
  } else {
    std::memset(begin_, 0, mapped_);
  }
}

GuardedBytes::~GuardedBytes() { Spare::instance().give(begin_, mapped_); }

bool GuardedBytes::is_nobodys(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto begin = reinterpret_cast<std::uintptr_t>(begin_);
  if (at - begin < bytes_) return false;
  if (at - (begin - kGuard) < kGuard + mapped_ + kGuard) return true;
  unsigned char resident = 0;
  void* const page = reinterpret_cast<void*>(at / kPage * kPage);
  return ::mincore(page, 1, &resident) != 0 && errno == ENOMEM;
}

}  // namespace hobbs::explore
