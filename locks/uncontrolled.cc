// ControlledPlatform for programs without the explorer (unit tests of this folder): a lock may be
// instantiated, but not run, under control.
#include <cstdio>
#include <cstdlib>

#include "locks/controlled_platform.h"

namespace hobbs::controlled {

constinit thread_local Machine* machine = nullptr;

void refuse_uncontrolled() {
  std::fputs("hobbs: a controlled lock was called in a program without the explorer\n", stderr);
  std::abort();
}

}  // namespace hobbs::controlled
