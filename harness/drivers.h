// The table of drivers: adding one is one line in drivers.cc.
#pragma once

#include <memory>
#include <vector>

#include "harness/driver.h"

namespace hobbs {

struct DriverEntry {
  std::unique_ptr<Driver> driver;
  double weight = 1;             // Its share of the budget, beside the others'.
  bool takes_all_cores = false;  // Runs alone; the others run `--jobs` at a time.
  bool black_boxes_only = false; // Unless named, runs only for locks that none can run controlled.
};
using Drivers = std::vector<DriverEntry>;

/// Every driver of this version, in the order in which reports show them.
Drivers all_drivers();

}  // namespace hobbs
