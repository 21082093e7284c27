// The hobbs command over the library's own locks and, as their peers, other libraries'.
#include <algorithm>
#include <iterator>

#include "harness/hobbs.h"
#include "locks/adapters/adapters.h"

int main(int argc, char** argv) {
  hobbs::Catalog catalog = hobbs::reference_catalog();
  std::ranges::move(hobbs::adapter_catalog(), std::back_inserter(catalog));
  return hobbs::main_with(argc, argv, std::move(catalog));
}
