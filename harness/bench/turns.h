// Two programs that measure in turns.
//
// A machine is fast and slow by turns, for milliseconds up to minutes. Two programs that measure
// one after the other meet different machines; two that take turns for each single round meet the
// same one. A program asks before each round and so says that its last one is over; whoever
// started both grants: A B B A A B B A ...
#pragma once

#include <optional>
#include <string>

namespace hobbs::bench {

/// Asks on `fd`, a socket whose other end grants turns, and waits for the turn. Returns empty, or
/// why it never comes, in one sentence.
std::string await_turn(int fd);

/// One side's end of such a socket: what the asker sent is read, and a turn is granted.
/// False: the asker is gone.
bool hear_asker(int fd);
void grant_turn(int fd);

/// Whose turn it is, of sides 0 and 1.
class Turns {
 public:
  /// It has done its round, if it had one, and asks for the next.
  void asks(int side) { sides_[side] = kAsks; }
  /// It will not ask again.
  void leaves(int side) { sides_[side] = kGone; }

  /// Who may go now, which it then does; nobody while somebody is busy, or while the one whose turn
  /// it is has not asked yet.
  std::optional<int> next();

 private:
  enum State { kBusy, kAsks, kGone };
  State sides_[2] = {kBusy, kBusy};
  unsigned granted_ = 0;
};

}  // namespace hobbs::bench
