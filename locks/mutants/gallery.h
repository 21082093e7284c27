// The gallery: locks that are broken on purpose, each with the rules of which one must catch it.
//
// They are what the checkers are tested on, and worth reading: each header tells the lesson.
// Adding one is one header and one line in gallery.cc.
#pragma once

#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs::mutants {

struct Mutant {
  LockSpec lock;
  std::vector<std::string> rules;  // A checker that accuses it by another rule is wrong.
};

std::vector<Mutant> gallery();

}  // namespace hobbs::mutants
