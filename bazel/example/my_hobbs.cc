#include "harness/hobbs.h"
#include "healthy_lock.h"

int main(int argc, char** argv) {
  return hobbs::main_with(argc, argv, {hobbs::spec_of<my::healthy_lock>("healthy_lock")});
}
