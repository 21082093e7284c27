#include "harness/drivers.h"

namespace hobbs {

Drivers all_drivers() {
  Drivers drivers;
  return drivers;
}

std::string missing_driver(const std::string& name) {
  return name == "step"
             ? "the step driver (uninstrumented machine code) is not part of this version"
             : std::string();
}

}  // namespace hobbs
