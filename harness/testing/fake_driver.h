// A driver for tests of what stands around drivers: it does to each lock what the lock's name says.
//
//   good       passes                    bad      a finding with a replay file
//   unsure     inconclusive              unfit    is refused by the driver
//   segv       crashes                   segv_once   crashes in every first run of a directory
//   abort      aborts with a message     hang     never returns
//   throws     throws                    orphan   passes and leaves a sleeping process behind
//   crashy   passes after telling found()
#pragma once

#include <memory>
#include <string>

#include "harness/drivers.h"
#include "locks/lock.h"

namespace hobbs::testing {

/// A driver of that name; its scenarios are "plain" (ME-1) and "death" (CR-1).
std::unique_ptr<Driver> fake_driver(std::string name);

/// Two fakes named explore (parallel) and free (alone).
Drivers fake_drivers();

/// A lock that exists by name only.
LockSpec fake_lock(std::string name);

}  // namespace hobbs::testing
