// The hobbs command over drivers that misbehave as the lock's name says (fake_driver.h).
#include "harness/commands.h"
#include "harness/testing/fake_driver.h"

int main(int argc, char** argv) {
  hobbs::Catalog catalog;
  for (const char* name : {"good", "bad", "unsure", "unfit", "segv", "abort", "hang", "throws",
                           "orphan", "crashy"}) {
    catalog.push_back(hobbs::testing::fake_lock(name));
  }
  const hobbs::Drivers drivers = hobbs::testing::fake_drivers();
  return hobbs::main_with(argc, argv, catalog, drivers);
}
