// Thread-local variables of the code under test, one set a fibre.
//
// Fibres share their thread, so a lock that keeps something in a thread_local variable would see
// every worker's. The explorer therefore keeps an image of the program's thread-local storage for
// each worker and swaps it at every switch, but only for locks that were seen to change it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hobbs::explore {

/// The calling thread's thread-local blocks of the program itself and of libraries that are not
/// the system's.
class ThreadImage {
 public:
  ThreadImage();

  std::size_t bytes() const { return bytes_; }
  void save(std::byte* to) const;
  void restore(const std::byte* from) const;
  /// Whether that is the address of a byte in the blocks.
  bool contains(std::uint64_t address) const;
  /// Whether the blocks differ from what was saved.
  bool differs(const std::byte* from) const;

 private:
  struct Block {
    std::byte* at;
    std::size_t bytes;
  };
  std::vector<Block> blocks_;
  std::size_t bytes_ = 0;
};

}  // namespace hobbs::explore
