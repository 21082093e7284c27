// The whole public surface for a program that tests its own locks:
//
//     #include "harness/hobbs.h"
//     int main(int argc, char** argv) {
//       return hobbs::main_with(argc, argv, {hobbs::spec_of<my_lock>("mine")});
//     }
#pragma once

#if __cplusplus < 202002L
#error "hobbs needs C++20: put `build --cxxopt=-std=c++20` into your workspace's .bazelrc"
#endif

#include <vector>

#include "locks/lock.h"
#include "locks/spec_of.h"

namespace hobbs {

/// The hobbs command line over these locks. Returns the documented exit code: 0 all pass, 1 a
/// finding, 3 inconclusive, 4 nothing ran, 64 usage, 70 internal error.
int main_with(int argc, char** argv, Catalog catalog);

/// main_with() for a program that is a test: called without a command it runs `words`, with the
/// options that were given after them. The macro lock_conformance_test writes such programs.
int test_main(int argc, char** argv, Catalog catalog, const std::vector<const char*>& words);

}  // namespace hobbs
