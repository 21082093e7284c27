#include "harness/free/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "harness/free/worker.h"
#include "locks/real_platform.h"
#include "reports/replay_case.h"

namespace hobbs::gang {
namespace {

constexpr char kFlag[] = "--hobbs-free-worker";
constexpr int kCannotServe = 70;

bool served = false;

int serve(int fd, std::size_t index, const Catalog& catalog) {
  SharedArena arena(fd);
  const ReplayParse order = parse_replay(std::string_view(arena->order));
  if (!order.error.empty()) return kCannotServe;
  const ReplayCase& asked = order.replay;
  const auto lock = std::find_if(catalog.begin(), catalog.end(),
                                 [&](const LockSpec& spec) { return spec.name == asked.lock; });
  if (lock == catalog.end()) return kCannotServe;
  arena.share_registry();
  Assignment assignment;
  assignment.lock = &*lock;
  assignment.ops = asked.options.contains("hooked") ? &lock->hooked : &lock->real;
  assignment.program = asked.program;
  parse_nemesis(asked.options.at("nemesis"), assignment.nemesis);
  assignment.seed = asked.seed;
  assignment.path = asked.options.at("path");
  assignment.caught = asked.options.contains("caught");
  Worker(assignment, *arena, index).run();
  arena->done.fetch_add(1);
  RealPlatform::futex_wake(arena->done, 1);
  return 0;
}

}  // namespace

std::optional<int> serve_spawned(int argc, char** argv, const Catalog& catalog) {
  served = true;
  if (argc != 4 || std::strcmp(argv[1], kFlag) != 0) return std::nullopt;
  return serve(std::atoi(argv[2]), static_cast<std::size_t>(std::atoi(argv[3])), catalog);
}

bool spawn_is_served() { return served; }

bool write_order(const Assignment& assignment, Arena& arena) {
  ReplayCase order;
  order.lock = assignment.lock->name;
  order.claims = assignment.lock->claims;
  order.driver = "free";
  order.program = assignment.program;
  order.seed = assignment.seed;
  order.options["nemesis"] = to_string(assignment.nemesis);
  order.options["path"] = assignment.path;
  if (assignment.ops == &assignment.lock->hooked) order.options["hooked"] = "1";
  if (assignment.caught) order.options["caught"] = "1";
  const std::string text = to_json(order);
  if (text.size() >= sizeof arena.order) return false;
  arena.order[text.copy(arena.order, text.size())] = 0;
  return true;
}

void become_spawned(int arena_fd, std::size_t index) {
  const std::string fd = std::to_string(arena_fd), worker = std::to_string(index);
  fcntl(arena_fd, F_SETFD, 0);
  // The parent-death signal set after the fork survives exec.
  execl("/proc/self/exe", "hobbs", kFlag, fd.c_str(), worker.c_str(), static_cast<char*>(nullptr));
}

}  // namespace hobbs::gang
