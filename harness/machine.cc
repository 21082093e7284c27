#include "harness/machine.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "harness/conform/agent_command.h"
#include "harness/free/caught_calls.h"
#include "harness/janitor.h"

namespace hobbs {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string cpu_field(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(": ");
    return colon == std::string::npos ? std::string() : line.substr(colon + 2);
  }
  return {};
}

bool has_cpu_flag(const std::string& flag) {
  std::istringstream flags(cpu_field("flags"));
  for (std::string word; flags >> word;) {
    if (word == flag) return true;
  }
  return false;
}

/// Runs `act` in a child and returns 0 or the errno it reported.
int errno_in_child(const std::function<int()>& act) {
  const pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) _exit(act() & 0xff);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

Ability cores() {
  const unsigned n = usable_cores();
  return {"cores", n >= 2, fmt::format("{} usable", n),
          "with one core workers rarely overlap: free-running verdicts are mostly inconclusive; "
          "allow at least two (taskset, the container's cpuset)"};
}

Ability time_stamp_counter() {
  const bool steady = has_cpu_flag("constant_tsc") && has_cpu_flag("nonstop_tsc");
  const std::string source =
      first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  return {"time stamp counter", steady, fmt::format("clock source {}", source),
          "histories are stamped with CLOCK_MONOTONIC, which costs more per event"};
}

Ability ptrace_ability() {
  const int failed = errno_in_child([] {
    const pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) {
      pause();
      _exit(0);
    }
    const int error = ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0 ? 0 : errno;
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return error;
  });
  return {"ptrace", failed == 0,
          failed == 0 ? "own children can be traced" : std::generic_category().message(failed),
          "stacks of stuck workers are not shown; in a container add --cap-add=SYS_PTRACE"};
}

Ability user_namespaces() {
  const int failed = errno_in_child([] { return unshare(CLONE_NEWUSER) == 0 ? 0 : errno; });
  return {"user namespaces", failed == 0,
          failed == 0 ? "can be made" : std::generic_category().message(failed),
          "scenarios with process id namespaces are skipped; "
          "sysctl kernel.unprivileged_userns_clone=1, or run as root"};
}

Ability caught_calls() {
  const std::string& why_not = gang::why_no_caught_calls();
  return {"caught system calls", why_not.empty(),
          why_not.empty() ? "seccomp filters can be set" : why_not,
          "files/refused and burst/clock are skipped, and locks that are no templates are not "
          "struck between their system calls; in a container use a seccomp profile that allows "
          "seccomp(2)"};
}

Ability robust_futexes() {
  void* head = nullptr;
  std::size_t length = 0;
  const long result = syscall(SYS_get_robust_list, 0, &head, &length);
  return {"robust futexes", result == 0, result == 0 ? "supported by the kernel" : "refused",
          "robust locks cannot recover; use another kernel or sandbox"};
}

Ability limit(const char* name, int resource, rlim_t wanted, const char* without) {
  rlimit value{};
  getrlimit(static_cast<__rlimit_resource_t>(resource), &value);
  const bool enough = value.rlim_cur == RLIM_INFINITY || value.rlim_cur >= wanted;
  return {name, enough,
          value.rlim_cur == RLIM_INFINITY ? "unlimited" : fmt::format("{}", value.rlim_cur),
          without};
}

Ability writable_directory() {
  const std::string directory = scratch_directory();
  const bool there = access(directory.c_str(), W_OK | X_OK) == 0;
  const std::string why = there ? "" : ": " + std::generic_category().message(errno);
  return {"scratch directory", there, directory + why,
          "nothing runs: campaigns keep their files there; set TMPDIR"};
}

/// Takes and gives back a record lock; 0 or the errno.
int try_record_lock(int fd, int command) {
  struct flock range {};
  range.l_type = F_WRLCK;
  if (fcntl(fd, command, &range) != 0) return errno;
  range.l_type = F_UNLCK;
  return fcntl(fd, command, &range) == 0 ? 0 : errno;
}

/// File locks of all three kinds, which some file systems refuse.
Ability file_locks() {
  const int failed = errno_in_child([] {
    const int fd = open(scratch_directory().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    if (const int error = try_record_lock(fd, F_SETLK); error != 0) return error;
    if (const int error = try_record_lock(fd, F_OFD_SETLK); error != 0) return error;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  });
  return {"file locks", failed == 0,
          failed == 0 ? "fcntl, OFD and flock" : std::generic_category().message(failed),
          "locks on a path cannot be tested; set TMPDIR to a directory of a local file system"};
}

/// What the Python agent needs, in the Python that it would use.
Ability python_module(const std::string& python, const char* name, const char* line,
                      const char* without) {
  const bool there = !python.empty() && python_runs(python, line);
  return {name, there, there ? "in " + python : "not found", without};
}

}  // namespace

Ability shared_memory() {
  struct statvfs info {};
  const bool there = statvfs("/dev/shm", &info) == 0 && access("/dev/shm", W_OK) == 0;
  const auto free_mb = there ? info.f_bavail * info.f_frsize >> 20 : 0;
  return {"/dev/shm", there && free_mb >= 16, there ? fmt::format("{} MB free", free_mb) : "absent",
          "named semaphores cannot be made: locks shared by name are skipped; mount a tmpfs there"};
}

unsigned usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::vector<std::pair<std::string, std::string>> machine_facts() {
  utsname names{};
  uname(&names);
  return {{"host", names.nodename},
          {"cpu", cpu_field("model name")},
          {"cores", std::to_string(usable_cores())},
          {"kernel", fmt::format("{} {} {}", names.sysname, names.release, names.machine)}};
}

std::vector<Ability> abilities() {
  const std::string python = find_python();
  return {
      cores(),
      time_stamp_counter(),
      ptrace_ability(),
      user_namespaces(),
      caught_calls(),
      shared_memory(),
      writable_directory(),
      file_locks(),
      robust_futexes(),
      limit("processes (ulimit -u)", RLIMIT_NPROC, 256, "large topologies fail; ulimit -u 256"),
      limit("open files (ulimit -n)", RLIMIT_NOFILE, 256, "large topologies fail; ulimit -n 1024"),
      python_module(python, "python3", "pass",
                    "the Python agent and interoperation tests are skipped; "
                    "apt-get install python3, or set HOBBS_PYTHON"),
      python_module(python, "fasteners", "import fasteners",
                    "Python's file locks are skipped; apt-get install python3-fasteners"),
      python_module(python, "multiprocessing_utils", "import multiprocessing_utils",
                    "Python's shared locks are skipped; it is not a Debian package"),
  };
}

}  // namespace hobbs
