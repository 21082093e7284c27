// The bytes in which locks lie while they are explored, with nothing around them: who strays from
// them by a wrong index or offset is seen, and cannot do any harm.
#pragma once

#include <cstddef>

namespace hobbs::explore {

/// Zeroed bytes that begin at a page, between two stretches of addresses that nobody can use. What
/// had them stays mapped, for the next of that size: a lock that still points there from a static
/// variable does not stray.
class GuardedBytes {
 public:
  /// Throws std::system_error if the system has no room for them.
  explicit GuardedBytes(std::size_t bytes);
  ~GuardedBytes();
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  std::byte* begin() const { return begin_; }
  std::size_t size() const { return bytes_; }
  /// Whether no correct program has anything at this address: it is right before or behind the
  /// bytes, or nothing is mapped there.
  bool is_nobodys(const void* address) const;

 private:
  std::size_t bytes_;
  std::size_t mapped_;
  std::byte* begin_;
};

}  // namespace hobbs::explore
