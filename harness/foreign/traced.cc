#include "harness/foreign/traced.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "harness/conform/evidence.h"
#include "harness/foreign/remote.h"

namespace hobbs::foreign {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSystemCallStop = SIGTRAP | 0x80;
constexpr int kBusyTries = 200;         // Before whoever waits sleeps between two looks.
constexpr int kRestMs = 1;              // So long.
constexpr int kLooksOfFamily = 20;      // All threads at rest: then so is the process.
constexpr std::chrono::seconds kPatience{10};
constexpr std::uint64_t kStandardDescriptors = 2;  // What it prints concerns nobody.

[[noreturn]] void refuse(const char* what) {
  const int why = errno;
  if (why == ESRCH) throw Lost("a process of the agent ended while it was traced");
  throw TraceRefused(std::string(what) + ": " + std::strerror(why));
}

bool is_timed_out(const SystemCall& call, std::int64_t result) {
  return call.number == SYS_futex && result == -ETIMEDOUT;
}

}  // namespace

Traced::Traced(pid_t process, TraceOptions options)
    : process_(process), options_(std::move(options)) {
  stat_ = ::open(("/proc/" + std::to_string(process) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (stat_ < 0) throw Lost("a process of the agent is gone");
  seize(process_, true);
  try {
    begin();
  } catch (...) {
    kill();  // Nobody would wait for it.
    ::close(stat_);
    throw;
  }
}

void Traced::begin() {
  if (options_.memory) {
    for (const pid_t thread : threads_of(process_)) {
      if (thread != process_) seize(thread, false);
    }
  }
  stop_now();
  find_channels(options_.socket_path);
  const user_regs_struct registers = registers_of(process_);
  if ((word_at(process_, registers.rip - 2) & 0xffff) == 0x050f) call_site_ = registers.rip - 2;
}

void Traced::seize(pid_t thread, bool caller) {
  long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
  if (options_.memory) options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  if (::ptrace(PTRACE_SEIZE, thread, nullptr, options) == 0) {
    if (!caller) others_.push_back(thread);
  } else if (caller || errno != ESRCH) {
    refuse("cannot trace the agent");
  }
}

/// Its sockets whose other end is ours.
void Traced::find_channels(const std::string& socket_path) {
  const std::string folder = "/proc/" + std::to_string(process_) + "/fd";
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
  DIR* const directory = ::opendir(folder.c_str());
  while (const dirent* entry = directory == nullptr ? nullptr : ::readdir(directory)) {
    char target[64] = {};
    const std::string path = folder + "/" + entry->d_name;
    if (::readlink(path.c_str(), target, sizeof target - 1) < 0) continue;
    if (std::strncmp(target, "socket:", 7) != 0) continue;
    const int number = std::atoi(entry->d_name);
    const int copy = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0));
    if (copy < 0) continue;
    sockaddr_un peer{};
    socklen_t size = sizeof peer - 1;
    if (::getpeername(copy, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
        peer.sun_family == AF_UNIX && socket_path == peer.sun_path) {
      channels_.push_back(static_cast<std::uint64_t>(number));
    }
    ::close(copy);
  }
  if (directory != nullptr) ::closedir(directory);
  if (pidfd >= 0) ::close(pidfd);
}

Traced::~Traced() {
  try {
    if (held_ != Held::kGone) {
      if (held_ == Held::kRunning) stop_now();
      guard(false);
      ::ptrace(PTRACE_DETACH, process_, nullptr, deliver_);
      held_ = Held::kGone;
    }
    for (const pid_t thread : others_) {
      if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) continue;
      const int status = wait_for_stop(thread);
      const bool plain = WIFSTOPPED(status) && status >> 16 == 0;
      const int signal = plain && WSTOPSIG(status) != SIGSEGV ? WSTOPSIG(status) : 0;
      ::ptrace(PTRACE_DETACH, thread, nullptr, signal);
    }
  } catch (const std::runtime_error&) {
    kill();  // It would fault where nobody helps it.
  }
  ::close(stat_);
}

void Traced::kill() {
  if (held_ == Held::kGone) return;
  try {
    // The kernel looks at robust locks in its memory when it dies, and needs the rights.
    if (held_ == Held::kRunning) stop_now();
    guard(false);
  } catch (const std::runtime_error&) {
    // It has died meanwhile.
  }
  ::kill(process_, SIGKILL);
  // The first thread's end is told when all others have been waited for.
  int status = 0;
  for (;;) {
    for (const pid_t thread : threads_of(process_)) {
      if (thread != process_) ::waitpid(thread, &status, __WALL | WNOHANG);
    }
    const pid_t got = ::waitpid(process_, &status, __WALL | WNOHANG);
    if (got == process_ && !WIFSTOPPED(status)) break;
    if (got < 0 && errno != EINTR) break;
    ::sched_yield();
  }
  others_.clear();
  note_exit(status);
}

void Traced::note_exit(int status) {
  held_ = Held::kGone;
  at_point_ = false;
  signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  where_ = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(signal_)
                               : "ended with status " + std::to_string(WEXITSTATUS(status));
}

void Traced::begin_call() {
  if (held_ == Held::kGone) throw Lost("a process of the agent is gone");
  if (held_ == Held::kRunning) stop_now();
  repetition_ = Repetition();
  if (options_.memory && mappings_changed_) {
    guard(false);
    ranges_ = shared_ranges_of(process_);
    mappings_changed_ = false;
  }
  guard(options_.memory);
}

Traced::Stop Traced::go_on() {
  if (held_ == Held::kGone) return Stop::kDied;
  if (at_point_) {
    at_point_ = false;
    perform();
  } else if (held_ != Held::kRunning) {
    resume();
  }
  for (;;) {
    const Event event = wait_for_event();
    if (event.kind == Event::Kind::kReplied) return Stop::kReplied;
    if (event.kind == Event::Kind::kAsleep) return Stop::kBlocked;
    Stop stop{};
    if (take_stop(event.status, stop)) return stop;
  }
}

void Traced::resume() {
  if (::ptrace(PTRACE_SYSCALL, process_, nullptr, std::exchange(deliver_, 0)) != 0 &&
      errno != ESRCH) {  // Who has died meanwhile is waited for.
    refuse("cannot go on");
  }
  held_ = Held::kRunning;
}

void Traced::stop_now() {
  if (::ptrace(PTRACE_INTERRUPT, process_, nullptr, nullptr) != 0) refuse("cannot stop");
  const int status = wait_for_stop(process_);
  if (!WIFSTOPPED(status)) {
    note_exit(status);
    throw Lost("a process of the agent " + where_);
  }
  classify_stop(status);
}

/// Where it is held, of a stop that nothing is to follow from.
void Traced::classify_stop(int status) {
  held_ = Held::kStopped;
  if (status >> 16 != 0) return;
  const int signal = WSTOPSIG(status);
  if (signal != kSystemCallStop) {
    held_ = Held::kAtFault;
    if (signal != SIGSEGV || !guarded_) deliver_ = signal;
    return;
  }
  __ptrace_syscall_info info{};
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, process_, sizeof info, &info) < 0) {
    refuse("cannot ask for a system call");
  }
  held_ = info.op == PTRACE_SYSCALL_INFO_ENTRY ? Held::kAtEntry : Held::kAtExit;
}

/// By the kernel's word at this moment.
bool Traced::seems_asleep() const {
  char text[256];
  const ssize_t length = ::pread(stat_, text, sizeof text - 1, 0);
  if (length <= 0) return false;
  text[length] = 0;
  const char* const state = std::strrchr(text, ')');
  return state != nullptr && state[2] == 'S';
}

/// Whether it sleeps where only others can wake it, as far as one more look can tell.
/// `quiet_looks`: how often in a row all of its threads have been found at rest before.
bool Traced::waits_for_others(int quiet_looks) {
  const ThreadSample first = look_at(process_, process_);
  where_ = first.where;
  if (first.rest != Rest::kWaits) return false;
  if (is_shared(current_) && !is_said_to_us(current_)) {
    const ThreadSample second = look_at(process_, process_);
    return second.rest == Rest::kWaits && second.turns == first.turns;
  }
  // It waits for a thread of its own, perhaps, which waits for others.
  return quiet_looks >= kLooksOfFamily;
}

Traced::Event Traced::wait_for_event() {
  Event event;
  const auto until = Clock::now() + kPatience;
  std::int64_t turns = -1;
  int quiet_looks = 0;
  for (int tries = 0;; ++tries) {
    if (poll_stop(process_, event.status)) return event;
    serve_others();
    if (seems_asleep()) {
      if (options_.replied()) return {Event::Kind::kReplied, 0};
      if (waits_for_others(quiet_looks)) return {Event::Kind::kAsleep, 0};
      std::int64_t now_turns = 0;
      bool rests = true;
      for (const pid_t thread : threads_of(process_)) {
        const ThreadSample sample = look_at(process_, thread);
        now_turns += sample.turns;
        rests = rests && sample.rest == Rest::kWaits;
      }
      quiet_looks = rests && now_turns == turns ? quiet_looks + 1 : 0;
      turns = now_turns;
      tries = std::max(tries, kBusyTries);
    }
    if (tries < kBusyTries) {
      ::sched_yield();
    } else {
      ::poll(nullptr, 0, kRestMs);
    }
    if (Clock::now() > until) {
      throw Lost("a call neither returned nor blocked, and did nothing that others can notice");
    }
  }
}

void Traced::serve_others() {
  const std::vector<pid_t> others = others_;
  for (const pid_t thread : others) {
    int status = 0;
    if (poll_stop(thread, status)) serve_other(thread, status);
  }
}

/// A new thread is one of the others. A new process is not ours, and has no rights to the memory
/// that it shares.
void Traced::take_child(pid_t thread, int event) {
  if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK) {
    return;
  }
  unsigned long message = 0;
  ::ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &message);
  const auto child = static_cast<pid_t>(message);
  if (event == PTRACE_EVENT_CLONE) {
    others_.push_back(child);
    return;
  }
  wait_for_stop(child);
  ::ptrace(PTRACE_DETACH, child, nullptr, nullptr);
  throw Lost("a call started another process, which is not followed");
}

/// Other threads of the process just run; what they do is not part of the call.
void Traced::serve_other(pid_t thread, int status) {
  if (!WIFSTOPPED(status)) {
    std::erase(others_, thread);
    return;
  }
  int deliver = 0;
  if (status >> 16 != 0) {
    take_child(thread, status >> 16);
  } else {
    siginfo_t info{};
    const bool faults = WSTOPSIG(status) == SIGSEGV && guarded_ &&
                        ::ptrace(PTRACE_GETSIGINFO, thread, nullptr, &info) == 0 &&
                        in_ranges(reinterpret_cast<std::uint64_t>(info.si_addr));
    if (faults) {
      access_once(thread);
    } else {
      deliver = WSTOPSIG(status);
    }
  }
  ::ptrace(PTRACE_CONT, thread, nullptr, deliver);
}

/// False: nothing follows from this stop, and it goes on.
bool Traced::take_stop(int status, Stop& stop) {
  if (!WIFSTOPPED(status)) {
    note_exit(status);
    stop = Stop::kDied;
    return true;
  }
  held_ = Held::kStopped;
  const int signal = WSTOPSIG(status);
  if (status >> 16 != 0) {
    take_child(process_, status >> 16);
  } else if (signal == kSystemCallStop) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, process_, sizeof info, &info) < 0) {
      refuse("cannot ask for a system call");
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      current_.number = static_cast<long>(info.entry.nr);
      std::copy(std::begin(info.entry.args), std::end(info.entry.args),
                current_.arguments.begin());
      call_site_ = info.instruction_pointer - 2;
      return at_entry(stop);
    }
    return at_exit(info.exit.rval, stop);
  } else if (signal == SIGSEGV && guarded_) {
    return at_fault(stop);
  } else {
    deliver_ = signal;
  }
  resume();
  return false;
}

bool Traced::at_entry(Stop& stop) {
  held_ = Held::kAtEntry;
  if (std::exchange(repeats_, false)) {
    resume();
    return false;
  }
  if (effect_of(current_) == Effect::kSleep && repetition_.note_sleep()) {
    where_ = "polls: it looks in vain and sleeps in between";
    stop = Stop::kPolls;
    return true;
  }
  if (is_shared(current_) && !is_said_to_us(current_)) {
    point_ = {};
    point_.call = current_;
    point_.code = call_site_ + 2;
    const int path = path_argument(current_.number);
    if (path >= 0) {
      point_.path = text_at(process_, current_.arguments[static_cast<std::size_t>(path)]);
    }
    return decide(stop);
  }
  perform();
  return false;
}

bool Traced::at_exit(std::int64_t result, Stop& stop) {
  held_ = Held::kAtExit;
  if (result == -EFAULT && guarded_) {
    // Something that it points to lies in memory without rights: again, with them.
    guard(false);
    user_regs_struct registers = registers_of(process_);
    registers.rip -= 2;
    registers.rax = static_cast<std::uint64_t>(current_.number);
    registers.orig_rax = ~0ull;
    set_registers(process_, registers);
    suspended_ = repeats_ = true;
    resume();
    return false;
  }
  result_ = result;
  mappings_changed_ = mappings_changed_ || changes_mappings(current_.number);
  if (writes_descriptor(current_.number) && is_said_to_us(current_) && options_.replied()) {
    guard(false);
    suspended_ = false;
    stop = Stop::kReplied;
    return true;
  }
  if (std::exchange(suspended_, false)) guard(true);
  if (mappings_changed_ && guarded_) {
    guard(false);
    ranges_ = shared_ranges_of(process_);
    mappings_changed_ = false;
    guard(true);
  }
  if (is_timed_out(current_, result) && repetition_.note_sleep()) {
    where_ = "polls: it looks in vain and sleeps in between";
    stop = Stop::kPolls;
    return true;
  }
  resume();
  return false;
}

bool Traced::at_fault(Stop& stop) {
  held_ = Held::kAtFault;
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, process_, nullptr, &info) != 0) refuse("cannot ask for a signal");
  const auto address = reinterpret_cast<std::uint64_t>(info.si_addr);
  if (info.si_code <= 0 || !in_ranges(address)) {
    deliver_ = SIGSEGV;
    resume();
    return false;
  }
  point_ = {};
  point_.kind = Point::Kind::kMemory;
  point_.code = registers_of(process_).rip;
  point_.address = address;
  point_.word = word_at(process_, address & ~std::uint64_t{7});
  return decide(stop);
}

/// Whether others get their turn here.
bool Traced::decide(Stop& stop) {
  const bool no_news = repetition_.note(signature());
  if (repetition_.spins()) {
    where_ = "spins";
    stop = Stop::kPolls;
  } else if (no_news) {
    perform();
    return false;
  } else {
    stop = Stop::kPoint;
  }
  at_point_ = true;
  return true;
}

void Traced::perform() {
  if (held_ == Held::kAtFault) {
    access_once(process_);
  } else if (held_ == Held::kAtEntry && guarded_ && touches_guarded(current_)) {
    guard(false);
    suspended_ = true;
  }
  resume();
}

/// One instruction with all rights.
void Traced::access_once(pid_t thread) {
  const auto rights = [&](int protection) {
    int later = 0;
    for (const Range& range : ranges_) {
      call_in(thread, call_site_, SYS_mprotect, range.begin, range.end - range.begin,
              static_cast<std::uint64_t>(protection), later);
    }
    if (later != 0) deliver_ = later;
  };
  rights(PROT_READ | PROT_WRITE);
  int deliver = 0;
  step(thread, deliver);
  rights(PROT_NONE);
  if (deliver != 0) deliver_ = deliver;
}

/// A private futex in memory that others share is meant for them, rightly or not.
bool Traced::is_shared(const SystemCall& call) const {
  if (effect_of(call) == Effect::kShared) return true;
  return call.number == SYS_futex && in_ranges(call.arguments[0]);
}

bool Traced::touches_guarded(const SystemCall& call) const {
  return std::any_of(call.arguments.begin(), call.arguments.end(),
                     [&](std::uint64_t argument) { return in_ranges(argument); });
}

bool Traced::is_said_to_us(const SystemCall& call) const {
  if (!takes_descriptor(call.number)) return false;
  const std::uint64_t descriptor = call.arguments[0];
  return descriptor <= kStandardDescriptors ||
         std::find(channels_.begin(), channels_.end(), descriptor) != channels_.end();
}

bool Traced::in_ranges(std::uint64_t address) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const Range& range) { return range.contains(address); });
}

void Traced::guard(bool on) {
  if (guarded_ == on) return;
  const auto protection = static_cast<std::uint64_t>(on ? PROT_NONE : PROT_READ | PROT_WRITE);
  user_regs_struct before{};
  std::size_t done = 0;
  const bool at_entry = held_ == Held::kAtEntry;
  if (at_entry && !ranges_.empty()) {
    // The system call that it is about to make becomes another, and is made after it.
    before = registers_of(process_);
    user_regs_struct instead = before;
    instead.orig_rax = SYS_mprotect;
    instead.rdi = ranges_[0].begin;
    instead.rsi = ranges_[0].end - ranges_[0].begin;
    instead.rdx = protection;
    set_registers(process_, instead);
    to_system_call_stop();
    done = 1;
  }
  for (; done < ranges_.size(); ++done) {
    call_in(process_, call_site_, SYS_mprotect, ranges_[done].begin,
            ranges_[done].end - ranges_[done].begin, protection, deliver_);
  }
  if (at_entry && !ranges_.empty()) {
    before.rip -= 2;
    before.rax = before.orig_rax;
    before.orig_rax = ~0ull;
    set_registers(process_, before);
    to_system_call_stop();
  }
  guarded_ = on;
}

/// From the entry of a system call to its exit, or from before one to its entry.
void Traced::to_system_call_stop() {
  for (;;) {
    if (::ptrace(PTRACE_SYSCALL, process_, nullptr, nullptr) != 0) refuse("cannot go on");
    const int status = wait_for_stop(process_);
    if (!WIFSTOPPED(status)) {
      note_exit(status);
      throw Lost("a process of the agent " + where_);
    }
    if (status >> 16 != 0) continue;
    if (WSTOPSIG(status) == kSystemCallStop) return;
    deliver_ = WSTOPSIG(status);
  }
}

/// The same number for what is the same thing done to the same content.
std::uint64_t Traced::signature() const {
  std::uint64_t sum = point_.code;
  const auto mix = [&](std::uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 29;
  };
  if (point_.kind == Point::Kind::kMemory) {
    mix(point_.address);
    mix(point_.word);
    return sum;
  }
  mix(static_cast<std::uint64_t>(point_.call.number));
  if (takes_descriptor(point_.call.number)) mix(point_.call.arguments[0]);
  if (point_.call.number == SYS_fcntl || point_.call.number == SYS_futex) {
    mix(point_.call.arguments[1]);
  }
  if (point_.call.number == SYS_fcntl) mix(word_at(process_, point_.call.arguments[2]));
  for (const char c : point_.path) mix(static_cast<unsigned char>(c));
  return sum;
}

}  // namespace hobbs::foreign
