// Calls a function before chosen instructions of this process's own code, whatever code that is.
//
// Where it can, it puts a jump in the instruction's place, to a stub that saves what the function
// may change, calls it, and executes the instruction out of line: some 0.1 us a stop. A jump takes
// five bytes. Of a shorter instruction only its own bytes are written all the same: the jump's last
// bytes are then those that follow it, which says where the stub must lie, up to 2 GB away, and
// nearly always that is free (Duck, Gao and Roychoudhury, PLDI 2020, call it a pun). So nobody who
// jumps to the next instruction ever notices, and no control flow need be known. Where it is not
// free, a trap (int3) calls the function from a signal handler: some 3 us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hobbs::step {

/// An instruction that means the same elsewhere.
struct Site {
  std::uint64_t address = 0;
  std::uint8_t length = 0;
  bool is_syscall = false;  // The function does it, result in rax: it is not executed.
};

/// At a stop: the registers that a call may change. What is written here is what goes on.
struct StopRegisters {
  std::uint64_t rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11;
};

/// Of the process that makes them, until it ends; only one may.
class Breakpoints {
 public:
  /// Called with the index of the site. Nothing that it calls may have a site in it.
  using Function = void (*)(std::size_t site, StopRegisters& registers);
  enum class Kind : std::uint8_t { kJumps, kTraps };  // Jumps where they can be.

  /// At `sites`, in the order of their addresses.
  Breakpoints(std::vector<Site> sites, Function function, Kind kind);

  bool placed() const { return placed_; }  // False if the code cannot be written to.
  std::size_t jumps() const { return jumps_; }

 private:
  static constexpr std::size_t kJumpBytes = 5;
  struct Place {
    std::uint64_t stub = 0;
    std::uint8_t length = 0;  // Of what is written over the code.
    std::uint8_t bytes[kJumpBytes] = {};
  };
  void plan(std::size_t site, Kind kind);
  std::uint64_t room_for_jump(std::size_t site);
  std::uint32_t operand_at(std::size_t site) const;
  bool take(std::uint64_t stub);
  void write_stub(std::size_t site) const;
  void write_code() const;
  void trapped(void* context) const;

  const std::vector<Site> sites_;
  std::vector<Place> places_;         // By site.
  std::vector<std::uint64_t> pages_;  // Mapped for the stubs of jumps.
  std::uint64_t trap_stubs_ = 0;
  std::size_t jumps_ = 0;
  bool placed_ = false;
};

}  // namespace hobbs::step
