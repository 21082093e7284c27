#include "harness/explore/guarded_bytes.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace hobbs::explore {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kGuard = std::size_t{64} << 20;  // Before them, and behind.

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

GuardedBytes::GuardedBytes(std::size_t bytes)
    : bytes_(bytes), mapped_((bytes + kPage - 1) / kPage * kPage) {
  void* const all = ::mmap(nullptr, kGuard + mapped_ + kGuard, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) fail("no addresses for the memory of locks");
  begin_ = static_cast<std::byte*>(all) + kGuard;
  if (::mprotect(begin_, mapped_, PROT_READ | PROT_WRITE) == 0) return;
  const int error = errno;
  ::munmap(all, kGuard + mapped_ + kGuard);
  errno = error;
  fail("no memory for locks");
}

GuardedBytes::~GuardedBytes() { ::munmap(begin_ - kGuard, kGuard + mapped_ + kGuard); }

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
