#include "locks/adapters/adapters.h"

#include <algorithm>
#include <iterator>

namespace hobbs {

Catalog adapter_catalog() {
  Catalog all;
  for (const auto library : {std_locks, pthread_locks}) {
    std::ranges::move(library(), std::back_inserter(all));
  }
  return all;
}

}  // namespace hobbs
