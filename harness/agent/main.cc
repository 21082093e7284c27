// The agent as a program of its own: `agent SOCKET-PATH` or `agent fd:N`. Serves our locks and the
// system's file locks.
#include <cstdio>
#include <utility>

#include "harness/agent/agent.h"
#include "locks/adapters/adapters.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s SOCKET-PATH|fd:N\n", argv[0]);
    return 64;
  }
  hobbs::Catalog catalog = hobbs::reference_catalog();
  for (hobbs::LockSpec& spec : hobbs::file_locks()) catalog.push_back(std::move(spec));
  return hobbs::run_agent(argv[1], catalog);
}
