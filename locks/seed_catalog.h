// The locks of the seed documents, as the library's own catalogue has them.
#pragma once

#include "locks/lock.h"

namespace hobbs {

Catalog seed_catalog();

}  // namespace hobbs
