// What the execution of a finding is watched for: signs that the lock keeps something where its
// modelled workers are not what real ones are. Whatever such a lock does is no finding.
//
// Static variables, plain ones: the modelled workers share them although they are processes, and
// what one execution leaves there the next one finds.
//
// Addresses of thread-local variables, by which threads know each other: the modelled ones share
// their thread. (Between forked processes such addresses are the same in the real world, too.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "harness/explore/thread_image.h"

namespace hobbs::explore {

/// Looks at the program itself and at libraries that are not the system's, and at the calling
/// thread's thread-local variables of these.
class Watch {
 public:
  Watch();

  /// The memory of the locks, in which plain words may be such addresses.
  void look_into(std::span<const std::byte> locks) { locks_ = locks; }
  /// To be called wherever another worker may go on; `value` was read or written. The first look
  /// only remembers the static variables.
  void look(std::uint64_t value);
  /// Whether static variables were found changed between two looks.
  bool statics_changed() const { return statics_changed_; }
  /// Whether the address of a thread-local variable was found in the lock.
  bool knows_thread_by_address() const { return knows_thread_by_address_; }

 private:
  struct Block {
    const std::byte* at;
    std::size_t bytes;
  };
  std::vector<Block> statics_;
  std::vector<std::byte> seen_;
  ThreadImage thread_;
  std::span<const std::byte> locks_;
  bool statics_changed_ = false;
  bool knows_thread_by_address_ = false;
};

}  // namespace hobbs::explore
