// What '@rec:N' and '@log' arguments write down, for the operation "rec" to read.
#pragma once

#include <string>

#include "harness/agent/subject.h"
#include "locks/seeds/back_off.h"
#include "locks/seeds/lock_file.h"

namespace hobbs::agent {

/// The record "sleeps" or "log" of this process: a list, empty if there is none. Thread-safe.
Json recorded(const std::string& name);

/// From "@rec:N": never sleeps; notes each duration in a new record "sleeps", and its N-th call
/// raises InterruptedError. From None: the lock's default. TypeError for anything else.
SleepFunction sleep_function(const Json& argument);

/// From "@log": notes level and text, up to where a line names a path, in a new record "log". From
/// None: no log. TypeError for anything else.
Logger logger(const Json& argument);

}  // namespace hobbs::agent
