#include "harness/drivers.h"

#include "harness/conform/conform_driver.h"
#include "harness/explore/explore_driver.h"
#include "harness/free/free_driver.h"
#include "harness/step/step_driver.h"

namespace hobbs {

Drivers all_drivers() {
  Drivers drivers;
  drivers.push_back({conform_driver(), 0.5, false, false});
  drivers.push_back({std::make_unique<FreeDriver>(), 1, true, false});
  drivers.push_back({std::make_unique<ExploreDriver>(), 1, false, false});
  drivers.push_back({std::make_unique<StepDriver>(), 0.5, false, true});
  return drivers;
}

}  // namespace hobbs
