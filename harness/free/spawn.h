// Fresh processes as workers: the program starts itself anew, and that start serves the gang.
//
// A fresh process has its own address space layout, so a lock that is not position independent, or
// keeps something in memory that only forked processes share, shows it.
#pragma once

#include <optional>

#include "locks/lock.h"

namespace hobbs::gang {

/// To be called first in main(): if this start is to be a worker, runs it and returns the exit
/// status. Having been called is also what allows the free driver to spawn at all.
std::optional<int> serve_spawned(int argc, char** argv, const Catalog& catalog);

/// Whether a start of this program would serve.
bool spawn_is_served();

struct Assignment;
struct Arena;

/// Writes into the arena what a fresh process must know; false if it does not fit.
bool write_order(const Assignment& assignment, Arena& arena);
/// Becomes worker `index` by starting the program anew; to be called in a forked child. Returns
/// only if that fails.
void become_spawned(int arena_fd, std::size_t index);

}  // namespace hobbs::gang
