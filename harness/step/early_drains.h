// Fewer states under TSO: a buffered store that nobody else comes near becomes visible at once,
// and nothing else is tried before it does.
//
// A word is calm if, in every state that can be reached, while a worker is about to store to it
// without a lock prefix, no other worker is about to access it, or could be killed with effect on
// it (the kernel reads and writes what a dying worker's robust list names). As soon as the oldest
// store of a buffer is to calm words it is drained, as the only thing that is tried in that state.
//
// Nothing is lost by that, if the words are calm in all states of the *reduced* graph:
//
// - While a store to X waits in w's buffer, nothing that w does after it is visible to others:
//   later stores wait behind it; locked instructions, fences and system calls wait for it; calls
//   that return change only what rules see of w.
// - So nobody else comes to touch X while the store waits: without what w did from that store on,
//   which nobody else has seen, the same others come to touch X while w is about to store to it.
// - The drain commutes with whatever else can happen before it. Others do not touch X. w's death
//   makes all of its buffer visible before anything else (KernelCall::die): a death before the
//   drain leads to where a death after it leads, so no death is lost. w's own reads of X are
//   answered by its buffer before and by memory after. A drain breaks no rule, and rules see
//   nothing of it. Drains alone make no cycle, since each leaves less in the buffers.
// - So a path of the full graph is one of the reduced graph with drains moved forward and some
//   added, and its end leads to the end of that. A broken rule stays broken. A state from which
//   there is no way to the end leads to states of which that is true as well; and if there is a way
//   in the full graph, there is one in the reduced graph.
// - If some word is not calm in the full graph, that is seen in the reduced one. Of all paths to
//   a state that shows it, take one with the fewest transitions that are no drains. Then no path
//   with as many has somebody touch X while a store to it waits: without what the storing worker
//   did from then on it would show the same with fewer (or break a rule, which is told). So all
//   drains on it commute as above, and the reduced graph has it with its drains moved forward,
//   which move neither the worker before its store nor the one before its access.
//
// Which words are calm is a guess from one run; a search that meets the contrary says so and begins
// again without them (as for quiet_reads.h). Nobody may pause, since what a pause notes depends on
// whose stores came between; a search in which somebody does begins again without calm words.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "harness/step/runner.h"
#include "harness/step/state.h"

namespace hobbs::step {

class World;
struct Transition;

/// A choice of words, each with a bit of its own; those beyond 64 are left out.
class CalmWords {
 public:
  explicit CalmWords(const SharedWords& words);

  bool empty() const { return count_ == 0; }
  /// The bits of the chosen words that lie in these bytes.
  std::uint64_t bits(std::uint32_t offset, std::uint32_t bytes) const;
  /// Whether each of these bytes lies in a chosen word.
  bool all(std::uint32_t offset, std::uint32_t bytes) const;
  SharedWords words(std::uint64_t bits) const;

 private:
  static constexpr std::uint8_t kNone = 0xff;
  std::array<std::uint8_t, kSharedBytes / 4> bit_;
  unsigned count_ = 0;
};

/// Which calm words a worker is near, from its Local alone.
struct Nearness {
  std::uint64_t stores = 0;   // It is about to store there plainly,
  std::uint64_t touches = 0;  // or to access them in any way.
  bool drains_alone = false;  // Its oldest buffered store is to calm words.
};

void note_next(const CalmWords& calm, const Access& next, Nearness& near);
/// Whether the oldest store that a worker has buffered is to be drained alone.
bool drains_alone(const CalmWords& calm, const Local& local);

/// The same path with each drain of calm words as late as its worker allows, or not at all: told
/// so, a path has only what is needed. The runner must stop where it did in the search.
std::vector<Transition> with_late_drains(World& world, const State& start, const CalmWords& calm,
                                         const std::vector<Transition>& path);

}  // namespace hobbs::step
