// The whole public surface for a program that tests its own locks:
//
//     #include "harness/hobbs.h"
//     int main(int argc, char** argv) {
//       return hobbs::main_with(argc, argv, {hobbs::spec_of<my_lock>("mine")});
//     }
#pragma once

#include "locks/lock.h"
#include "locks/spec_of.h"

namespace hobbs {

/// The hobbs command line over these locks. Returns the documented exit code: 0 all pass, 1 a
/// finding, 3 inconclusive, 4 nothing ran, 64 usage, 70 internal error.
int main_with(int argc, char** argv, Catalog catalog);

}  // namespace hobbs
