// Removes a semaphore's name when everybody who may use it is gone, however they went: what
// multiprocessing's resource tracker does for Python.
#pragma once

#include <string>

namespace hobbs::agent {

/// Starts a process that waits for the end of the caller and of all it forks later, and then
/// unlinks the semaphore, if its name is still there. LockError if the system refuses.
void keep_name(const std::string& semaphore);

}  // namespace hobbs::agent
