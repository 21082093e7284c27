// The agent as a program of its own: `agent SOCKET-PATH` or `agent fd:N`.
#include <cstdio>

#include "harness/agent/agent.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s SOCKET-PATH|fd:N\n", argv[0]);
    return 64;
  }
  return hobbs::run_agent(argv[1], hobbs::reference_catalog());
}
