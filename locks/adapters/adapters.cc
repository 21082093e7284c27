#include "locks/adapters/adapters.h"

#include <algorithm>
#include <iterator>

namespace hobbs {

Catalog adapter_catalog() {
  Catalog all;
  for (const auto library : {std_locks, pthread_locks, sysv_locks, file_locks, boost_locks,
                             tbb_locks, ck_locks, nsync_locks, abseil_locks}) {
    std::ranges::move(library(), std::back_inserter(all));
  }
  return all;
}

}  // namespace hobbs
