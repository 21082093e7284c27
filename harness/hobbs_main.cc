// The hobbs command over the library's own locks.
#include "harness/hobbs.h"

int main(int argc, char** argv) { return hobbs::main_with(argc, argv, hobbs::reference_catalog()); }
