// A run with one of everything, for the tests of the reporters.
#pragma once

#include "reports/run.h"

namespace hobbs::testing {

Run sample_run();

}  // namespace hobbs::testing
