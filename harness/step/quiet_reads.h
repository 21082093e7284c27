// Fewer stops for a search: the read of a word that nobody changes, in any state that the workers
// can reach, is no concern of anybody else, so that it needs no stop of its own. Most locks read
// their kind, flags or owner's policy again and again.
//
// Which words change is not known before the search: it begins with what changes in one run, and
// a search that meets a change of another word (Space::surprises()) begins again.
#pragma once

#include <optional>
#include <vector>

#include "harness/step/world.h"

namespace hobbs::step {

/// While it lives, reads of other words than `changing`, which must outlive it, are no stops.
class QuietReads {
 public:
  QuietReads(Runner& runner, const SharedWords& changing) : runner_(runner) {
    runner_.stop_only_at(&changing);
  }
  ~QuietReads() { runner_.stop_only_at(nullptr); }
  QuietReads(const QuietReads&) = delete;
  QuietReads& operator=(const QuietReads&) = delete;

 private:
  Runner& runner_;
};

/// What happens when one worker takes the lock, the others come until they wait, and each then goes
/// on as far as it gets.
struct OneRun {
  SharedWords changed;
  SharedWords stored;  // By plain stores,
  SharedWords atomic;  // by locked instructions, or looked at by the kernel.
  bool pauses = false;
};
OneRun one_run(World& world, const State& start);

/// A path that was found under QuietReads as one of a world that stops at every access, so that it
/// can be followed anywhere; nothing if it is none.
std::optional<std::vector<Transition>> with_all_stops(World& world, const State& start,
                                                      const SharedWords& changing,
                                                      const std::vector<Transition>& path);

}  // namespace hobbs::step
