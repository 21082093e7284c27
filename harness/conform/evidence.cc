#include "harness/conform/evidence.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hobbs {
namespace {

std::string read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char buffer[2048];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  close(fd);
  return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
}

/// A system call in which a thread sleeps.
struct SleepingCall {
  long number;
  const char* name;
  /// Whether, given the arguments, only an event ends it; null: always so.
  bool (*without_timeout)(const std::uint64_t* arguments);
};

bool futex_without_timeout(const std::uint64_t* a) {
  const auto op = static_cast<int>(a[1]) & FUTEX_CMD_MASK;
  return (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI ||
          op == FUTEX_WAIT_REQUEUE_PI || op == 13 /* FUTEX_LOCK_PI2 */) &&
         a[3] == 0;
}
bool fourth_is_null(const std::uint64_t* a) { return a[3] == 0; }
bool fifth_is_null(const std::uint64_t* a) { return a[4] == 0; }
bool third_is_null(const std::uint64_t* a) { return a[2] == 0; }
[[maybe_unused]] bool third_is_negative(const std::uint64_t* a) {
  return static_cast<std::int32_t>(a[2]) < 0;
}
bool fourth_is_negative(const std::uint64_t* a) { return static_cast<std::int32_t>(a[3]) < 0; }
bool never(const std::uint64_t*) { return false; }
bool is_record_lock(const std::uint64_t* a) { return a[1] == F_SETLKW || a[1] == F_OFD_SETLKW; }

constexpr SleepingCall kSleepingCalls[] = {
    {SYS_futex, "futex", futex_without_timeout},
#ifdef SYS_futex_waitv
    {SYS_futex_waitv, "futex_waitv", fourth_is_null},
#endif
    {SYS_fcntl, "fcntl", is_record_lock},
    {SYS_flock, "flock", nullptr},
    {SYS_semop, "semop", nullptr},
    {SYS_semtimedop, "semtimedop", fourth_is_null},
    {SYS_openat, "open", never},  // Of a FIFO it waits for ever, of a slow file system for a while.
    {SYS_nanosleep, "nanosleep", never},
    {SYS_clock_nanosleep, "clock_nanosleep", never},
    {SYS_restart_syscall, "restart_syscall", never},
#ifdef SYS_poll
    {SYS_open, "open", never},
    {SYS_poll, "poll", third_is_negative},
    {SYS_select, "select", fifth_is_null},
    {SYS_pause, "pause", nullptr},
    {SYS_epoll_wait, "epoll_wait", fourth_is_negative},
#endif
    {SYS_ppoll, "ppoll", third_is_null},
    {SYS_pselect6, "pselect6", fifth_is_null},
    {SYS_epoll_pwait, "epoll_pwait", fourth_is_negative},
    {SYS_read, "read", nullptr},
    {SYS_readv, "readv", nullptr},
    {SYS_recvfrom, "recvfrom", nullptr},
    {SYS_recvmsg, "recvmsg", nullptr},
    {SYS_accept, "accept", nullptr},
    {SYS_accept4, "accept4", nullptr},
    {SYS_wait4, "wait4", nullptr},
    {SYS_waitid, "waitid", nullptr},
    {SYS_rt_sigsuspend, "sigsuspend", nullptr},
    {SYS_msgrcv, "msgrcv", nullptr},
    {SYS_mq_timedreceive, "mq_receive", fifth_is_null},
};

/// Tells the system call from the text of /proc/PID/task/TID/syscall.
void tell_call(const std::string& text, ThreadSample& sample) {
  sample.rest = Rest::kWaitsForTime;
  sample.where = "asleep";
  char* next = nullptr;
  const long number = std::strtol(text.c_str(), &next, 10);
  if (next == text.c_str()) return;  // Not readable, or running again by now.
  std::uint64_t arguments[6] = {};
  for (std::uint64_t& argument : arguments) argument = std::strtoull(next, &next, 16);
  for (const SleepingCall& call : kSleepingCalls) {
    if (call.number != number) continue;
    sample.where = std::string("asleep in ") + call.name;
    if (call.without_timeout == nullptr || call.without_timeout(arguments)) {
      sample.rest = Rest::kWaits;
    }
    return;
  }
  sample.where = "asleep in system call " + std::to_string(number);
}

}  // namespace

std::vector<pid_t> threads_of(pid_t process) {
  std::vector<pid_t> threads;
  DIR* directory = opendir(("/proc/" + std::to_string(process) + "/task").c_str());
  if (directory == nullptr) return threads;
  while (const dirent* entry = readdir(directory)) {
    const int thread = std::atoi(entry->d_name);
    if (thread > 0) threads.push_back(thread);
  }
  closedir(directory);
  return threads;
}

std::vector<pid_t> descendants_of(pid_t ancestor) {
  std::vector<pid_t> found;
  std::vector<pid_t> open{ancestor};
  while (!open.empty()) {
    const pid_t process = open.back();
    open.pop_back();
    for (const pid_t thread : threads_of(process)) {
      const std::string text = read_file("/proc/" + std::to_string(process) + "/task/" +
                                         std::to_string(thread) + "/children");
      const char* next = text.c_str();
      char* end = nullptr;
      for (long child; (child = std::strtol(next, &end, 10)) > 0; next = end) {
        found.push_back(static_cast<pid_t>(child));
        open.push_back(static_cast<pid_t>(child));
      }
    }
  }
  return found;
}

ThreadSample look_at(pid_t process, pid_t thread) {
  const std::string base = "/proc/" + std::to_string(process) + "/task/" + std::to_string(thread);
  ThreadSample sample;
  sample.where = "running";
  // The system call first: if the state then shows sleep and the counters do not move from look to
  // look, the thread slept in this call.
  const std::string call = read_file(base + "/syscall");
  const std::string stat = read_file(base + "/stat");
  const std::string times = read_file(base + "/schedstat");
  char* next = nullptr;
  sample.run_ns = std::strtoll(times.c_str(), &next, 10);
  sample.runnable_ns = std::strtoll(next, &next, 10);
  sample.turns = std::strtoll(next, &next, 10);
  const std::size_t name_end = stat.rfind(") ");  // The name before may hold anything.
  const char state = name_end == std::string::npos ? 'X' : stat[name_end + 2];
  if (state == 'S') {
    tell_call(call, sample);
  } else if (state == 'Z') {
    sample.rest = Rest::kWaits;  // Dead, and not reaped yet: it will not move again.
    sample.where = "dead";
  } else if (state != 'R') {
    sample.where = std::string("in state ") + state;
  }
  return sample;
}

std::int64_t runnable_ns_of(pid_t process) {
  std::int64_t sum = 0;
  for (const pid_t thread : threads_of(process)) sum += look_at(process, thread).runnable_ns;
  return sum;
}

/// True if the thread rests: asleep without having moved, a poller between two looks, or a spinner.
bool Watch::note(Thread& thread, const ThreadSample& sample) {
  Story& story = thread.story;
  const bool moved = sample.turns != story.last.turns || sample.run_ns != story.last.run_ns;
  const bool asleep = sample.rest != Rest::kMoving;
  story.looks = asleep && !moved ? story.looks + 1 : 0;
  story.asleep_looks = asleep ? story.asleep_looks + 1 : 0;
  story.turns = sample.turns - thread.turns_before;
  story.run_ns = sample.run_ns - thread.run_before_ns;
  story.last = sample;
  if (!asleep) return spin_ns_ > 0 && story.run_ns >= spin_ns_;
  return !moved || sample.rest == Rest::kWaitsForTime;
}

void Watch::look(const std::vector<pid_t>& processes) {
  bool all_rest = true;
  time_matters_ = false;
  for (auto& [id, thread] : threads_) thread.fresh = false;
  for (const pid_t process : processes) {
    for (const pid_t id : threads_of(process)) {
      const ThreadSample sample = look_at(process, id);
      auto [at, is_new] = threads_.try_emplace(id);
      Thread& thread = at->second;
      thread.fresh = true;
      time_matters_ = time_matters_ || sample.rest == Rest::kWaitsForTime;
      if (is_new) {
        thread.process = process;
        thread.turns_before = sample.turns;
        thread.run_before_ns = sample.run_ns;
        thread.story.last = sample;
        all_rest = false;
      } else {
        all_rest = note(thread, sample) && all_rest;
      }
    }
  }
  all_rest =
      std::erase_if(threads_, [](const auto& item) { return !item.second.fresh; }) == 0 && all_rest;
  settled_ = all_rest ? settled_ + 1 : 0;
}

Watch::Story Watch::story(pid_t process, pid_t thread) const {
  if (const auto at = threads_.find(thread); at != threads_.end()) return at->second.story;
  Story result;
  bool first = true;
  for (const auto& [id, other] : threads_) {
    if (other.process != process) continue;
    const Story& story = other.story;
    if (first || story.last.rest < result.last.rest) result.last = story.last;
    result.looks = first ? story.looks : std::min(result.looks, story.looks);
    result.asleep_looks =
        first ? story.asleep_looks : std::min(result.asleep_looks, story.asleep_looks);
    result.turns += story.turns;
    result.run_ns += story.run_ns;
    first = false;
  }
  return result;
}

}  // namespace hobbs
