// All small programs over what a lock offers: what nobody thought of writing down by hand.
//
// Most lock bugs show in two workers with two sections each, or three with one (the small scope
// hypothesis; LESSONS has the figures for locks). Pure data; smallest first.
#pragma once

#include <string>
#include <vector>

#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs {

/// The kinds of sections that the lock offers (by mode, try, timed, converted, nested), each of
/// which gives back what it has taken.
std::vector<std::vector<Step>> sections_of(const LockSpec& lock);

/// Every program of two and three workers with one section each, and of two workers with up to two,
/// over the lock's kinds of sections, but for the order of the workers. None for locks of several
/// permits, for which a section excludes nobody, and for locks on a path.
std::vector<Program> small_programs(const LockSpec& lock);

/// What they can break of this lock's promises, comma-separated.
std::string small_program_rules(const LockSpec& lock);

}  // namespace hobbs
