// Takes from a traced process the rights to the memory that it shares with others, so that each
// access to it is a fault that its tracer sees, and gives them back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "harness/foreign/mappings.h"
#include "harness/foreign/system_call.h"

namespace hobbs::foreign {

/// The process's threads share the rights. `call_site` is where a thread finds a system call
/// instruction; signals that come meanwhile are kept in `deliver`. Throws as remote.h does.
class Guard {
 public:
  explicit Guard(pid_t process) : process_(process) {}

  bool on() const { return on_; }
  bool contains(std::uint64_t address) const;
  /// Whether an argument points there.
  bool is_touched_by(const SystemCall& call) const;

  /// Looks afresh at what is shared. The guard is off.
  void refresh() { ranges_ = shared_ranges(maps_of(process_)); }
  /// `thread` is stopped, not at the entry of a system call.
  void set(bool on, pid_t thread, std::uint64_t call_site, int& deliver);
  /// Off, by a thread at the entry of a system call, where it is again afterwards.
  void lift_at_entry(pid_t thread, std::uint64_t call_site, int& deliver);
  /// One instruction of the thread with all rights. The guard is on.
  void let_through(pid_t thread, std::uint64_t call_site, int& deliver);

 private:
  const pid_t process_;
  std::vector<Range> ranges_;
  bool on_ = false;
};

}  // namespace hobbs::foreign
