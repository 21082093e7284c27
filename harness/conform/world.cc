#include "harness/conform/world.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <system_error>

#include "harness/janitor.h"

namespace hobbs {
namespace {

constexpr int kLookMs = 5;  // At least so long between two looks.
// Looks in a row without a move of anybody that prove a block ...
constexpr int kLooksToBlock = 6;
// ... and that prove that a call will never return: no timer exists / one may exist.
constexpr int kLooksForEver = 100;
constexpr int kLooksForEverTimed = 800;
// A thread in a wait that time ends is not called blocked before this, as the case language says.
constexpr std::int64_t kTimedBlockNs = 250'000'000;
constexpr int kPollerRounds = 2;
constexpr std::int64_t kSpinParts = 50;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

/// Waits for an answer on one of the sockets; true if there is one.
bool wait_for(std::vector<pollfd> items, std::int64_t timeout_ns) {
  const timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  return ppoll(items.data(), items.size(), &timeout, nullptr) > 0;
}

[[noreturn]] void refuse(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

bool readable(int fd, int timeout_ms) {
  pollfd item{fd, POLLIN, 0};
  return poll(&item, 1, timeout_ms) > 0;
}

std::string in_seconds(std::int64_t ns) {
  return std::to_string(ns / 1'000'000'000) + "." + std::to_string(ns / 100'000'000 % 10) + " s";
}

std::string make_directory(const std::string& parent) {
  std::string path = (parent.empty() ? scratch_directory() : parent) + "/hobbs-conform-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) refuse("cannot make a private directory");
  return path;
}

/// A socket's path holds 107 characters at most: a long one goes by the descriptor `folder`, which
/// all programs of this user can follow.
std::string socket_path_in(const std::string& directory, int folder) {
  const std::string path = directory + "/sock";
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(folder) + "/sock";
}

int listen_at(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (socket < 0 || bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(socket, 64) != 0) {
    refuse("cannot listen for agents");
  }
  return socket;
}

/// How much CPU time makes a thread a spinner.
std::int64_t spin_ns_for(Want want, const Patience& patience) {
  return want == Want::kReply ? patience.spin_ns : patience.spin_ns / kSpinParts;
}

/// Whether, in `want`'s sense, the thread is blocked.
bool proves_block(const Watch& watch, const Watch::Story& story, Want want, std::int64_t elapsed_ns,
                  bool alarm, const Patience& patience) {
  if (story.last.rest == Rest::kMoving && patience.spin_ns > 0) {
    return story.run_ns >= spin_ns_for(want, patience);
  }
  const bool timer = watch.time_matters() || alarm;
  if (want == Want::kReply) {
    if (story.last.rest == Rest::kWaitsForTime && elapsed_ns < patience.call_ns) return false;
    const int needed = timer ? kLooksForEverTimed : kLooksForEver;
    return watch.settled() >= needed && story.asleep_looks >= kLooksToBlock;
  }
  if (story.last.rest == Rest::kWaits) {
    return story.looks >= kLooksToBlock && watch.settled() >= kLooksToBlock;
  }
  const bool poller = story.turns >= kPollerRounds && story.run_ns * 10 < elapsed_ns;
  return story.last.rest == Rest::kWaitsForTime && elapsed_ns >= kTimedBlockNs &&
         watch.settled() >= kLooksToBlock && (story.looks * kLookMs >= 100 || poller);
}

}  // namespace

std::string try_agent(const std::vector<std::string>& command, const std::string& directory) {
  try {
    World world(command, directory);
    world.spawn("A");
  } catch (const std::runtime_error& fault) {
    return fault.what();
  }
  return "";
}

World::World(const std::vector<std::string>& command, const std::string& parent_directory,
             const Canary& canary, const Patience& patience)
    : World(command, parent_directory, &canary, patience) {}

World::World(const std::vector<std::string>& command, const std::string& parent_directory)
    : World(command, parent_directory, nullptr, {}) {}

World::World(const std::vector<std::string>& command, const std::string& parent_directory,
             const Canary* canary, const Patience& patience)
    : canary_(canary), patience_(patience), directory_(make_directory(parent_directory)) {
  private_directory_ = directory_ + "/d";
  log_path_ = directory_ + "/log";
  if (mkdir(private_directory_.c_str(), 0700) != 0) refuse("cannot make a private directory");
  folder_ = open(private_directory_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) refuse("cannot open a private directory");
  socket_path_ = socket_path_in(private_directory_, folder_);
  std::vector<std::string> full = command;
  full.push_back(socket_path_);
  guardian_ = std::make_unique<Guardian>(std::move(full), directory_, log_path_);
  listener_ = listen_at(socket_path_);
}

World::~World() {
  for (auto& [name, process] : processes_) {
    if (process.pidfd >= 0) close(process.pidfd);
  }
  if (listener_ >= 0) close(listener_);
  if (folder_ >= 0) close(folder_);
}

World::Process& World::process(const std::string& name) {
  const auto at = processes_.find(name);
  if (at == processes_.end()) throw AgentFault("there is no process " + name);
  return at->second;
}

/// The last line that agents printed, for the sentence of a fault.
std::string World::last_words() const {
  std::ifstream log(log_path_);
  std::string last;
  for (std::string line; std::getline(log, line);) {
    if (!line.empty()) last = line;
  }
  return last.empty() ? "" : "; it printed: " + last.substr(0, 200);
}

/// Accepts the next connection, which must say that it is `hello_name`.
void World::connect(const std::string& name, const std::string& hello_name) {
  const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) refuse("cannot accept an agent");
  Process process;
  process.channel = std::make_unique<Channel>(socket);
  process.pid = process.channel->peer();
  process.pidfd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
  if (process.pidfd < 0) throw AgentFault("the agent " + name + " ended as it connected");
  guardian_->remember(process.pid);
  Channel& channel = *process.channel;
  const std::int64_t until_ns = now_ns() + patience_.start_ns;
  while (!channel.hello() && channel.error().empty() && !channel.closed() && now_ns() < until_ns) {
    readable(channel.socket(), 100);
    channel.receive();
  }
  if (!channel.error().empty()) throw AgentFault("the agent " + name + ": " + channel.error());
  if (!channel.hello()) {
    throw AgentFault("the agent " + name + " connected, but did not say hello" + last_words());
  }
  if (channel.hello()->name != hello_name || channel.hello()->pid != process.pid) {
    throw AgentFault("the agent " + name + " said hello as '" + channel.hello()->name +
                     "' with process id " + std::to_string(channel.hello()->pid) + ", but it is '" +
                     hello_name + "' with process id " + std::to_string(process.pid));
  }
  process.threads["main"] = process.pid;
  processes_[name] = std::move(process);
}

void World::spawn(const std::string& name) {
  const pid_t pid = guardian_->start_member();
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd items[2] = {{listener_, POLLIN, 0}, {pidfd, POLLIN, 0}};
  poll(items, 2, static_cast<int>(patience_.start_ns / 1'000'000));
  if (pidfd >= 0) close(pidfd);
  if ((items[0].revents & POLLIN) == 0) {
    throw AgentFault((items[1].revents & POLLIN) != 0
                         ? "the agent " + name + " ended without connecting" + last_words()
                         : "the agent " + name + " did not connect in " +
                               in_seconds(patience_.start_ns) + last_words());
  }
  connect(name, "root");
}

void World::fork(const CaseStep& step) {
  if (step.actor.thread != "main") learn_thread(step.actor);
  const std::uint64_t id = ++last_id_;
  const PendingCall call = send_line(step.actor, id, fork_request(step, id));
  // The child connects before or after the parent answers.
  const std::int64_t until_ns = now_ns() + patience_.start_ns;
  bool connected = false;
  while (!connected && now_ns() < until_ns) {
    pollfd items[2] = {{listener_, POLLIN, 0},
                       {process(step.actor.process).channel->socket(), POLLIN, 0}};
    poll(items, 2, 1000);
    if ((items[0].revents & POLLIN) != 0) {
      connect(step.object, step.object);
      connected = true;
    } else if ((items[1].revents & POLLIN) != 0) {
      break;
    }
  }
  const CallStatus status = await(call, Want::kReply);
  if (status.kind != CallStatus::Kind::kReplied) {
    throw AgentFault("the fork of " + to_text(step.actor) + " did not return: " + status.evidence);
  }
  if (!status.reply.error.empty()) {
    throw AgentFault(to_text(step.actor) + " could not fork: " + describe(status.reply));
  }
  if (!connected) {
    if (!readable(listener_, static_cast<int>(patience_.start_ns / 1'000'000))) {
      throw AgentFault("the forked process " + step.object + " did not connect in " +
                       in_seconds(patience_.start_ns) + last_words());
    }
    connect(step.object, step.object);
  }
}

/// Waits until the process is gone. False: it goes on (blocked, say, in waiting for its children).
bool World::wait_for_death(Process& process, Want want) {
  Watch watch;
  const std::int64_t start_ns = now_ns();
  while (!readable(process.pidfd, kLookMs)) {
    if (want == Want::kEither) {
      watch.look({process.pid});
      if (watch.settled() >= kLooksForEver) return false;
    }
    if (now_ns() - start_ns > patience_.call_ns) return false;
  }
  return true;
}

void World::kill(const std::string& name) {
  Process& victim = process(name);
  syscall(SYS_pidfd_send_signal, victim.pidfd, SIGKILL, nullptr, 0);
  if (!wait_for_death(victim, Want::kReply)) {
    throw Undecided("the killed process " + name + " was not gone after " +
                    in_seconds(patience_.call_ns));
  }
  close(victim.pidfd);
  processes_.erase(name);
}

void World::quit(const std::string& name) {
  Process& leaver = process(name);
  leaver.channel->send(quit_request());
  if (wait_for_death(leaver, Want::kEither)) {
    close(leaver.pidfd);
    processes_.erase(name);
  }
}

void World::join_thread(const Actor& actor) {
  Process& owner = process(actor.process);
  const auto known = owner.threads.find(actor.thread);
  if (known == owner.threads.end()) throw AgentFault(to_text(actor) + " never made a call");
  const std::size_t before = threads_of(owner.pid).size();
  owner.channel->send(join_request(actor));
  const std::int64_t until_ns = now_ns() + patience_.call_ns;
  while (now_ns() < until_ns) {
    const std::vector<pid_t> threads = threads_of(owner.pid);
    const bool gone = known->second != 0 ? std::find(threads.begin(), threads.end(),
                                                     known->second) == threads.end()
                                         : threads.size() < before;
    if (gone) {
      owner.threads.erase(known);
      return;
    }
    poll(nullptr, 0, kLookMs);
  }
  throw AgentFault("the thread " + to_text(actor) + " did not end in " +
                   in_seconds(patience_.call_ns));
}

PendingCall World::send_line(const Actor& actor, std::uint64_t id, const std::string& line) {
  PendingCall call;
  call.actor = actor;
  call.id = id;
  Process& target = process(actor.process);
  call.runnable_before_ns = runnable_ns_of(target.pid);
  call.sent_ns = now_ns();
  if (actor.thread == "main") target.main_pending = true;
  target.channel->send(line);
  return call;
}

/// The kernel's id of an agent's thread, by a first harmless request to it: the agent says it, or
/// it is the one thread that is new.
void World::learn_thread(const Actor& actor) {
  Process& owner = process(actor.process);
  if (owner.threads.contains(actor.thread)) return;
  if (owner.main_pending) {
    // Many agents read the channel in their main thread: a ping might wait as long as the call.
    owner.threads[actor.thread] = 0;
    return;
  }
  std::vector<pid_t> before = threads_of(owner.pid);
  const std::uint64_t id = ++last_id_;
  const PendingCall call = send_line(actor, id, ping_request(actor, id));
  owner.threads[actor.thread] = 0;
  const CallStatus status = await(call, Want::kReply);
  if (status.kind != CallStatus::Kind::kReplied) {
    throw AgentFault(to_text(actor) + " did not answer a ping: " + status.evidence);
  }
  if (owner.threads[actor.thread] != 0) return;  // The reply told.
  std::vector<pid_t> fresh = threads_of(owner.pid);
  std::erase_if(fresh, [&](pid_t thread) {
    return std::find(before.begin(), before.end(), thread) != before.end();
  });
  if (fresh.size() == 1) owner.threads[actor.thread] = fresh.front();
}

PendingCall World::send(const CaseStep& step, const std::string& arguments) {
  if (step.actor.thread != "main") learn_thread(step.actor);
  const std::uint64_t id = ++last_id_;
  PendingCall call = send_line(step.actor, id, request_line(step, id, arguments));
  call.line = step.line;
  return call;
}

/// An agent that lies about times would make every judgement of them void.
void World::check_times(const PendingCall& call, const AgentReply& reply) const {
  if (reply.call.start_ns < call.sent_ns || reply.call.end_ns < reply.call.start_ns ||
      reply.call.end_ns > now_ns()) {
    throw AgentFault("the agent " + call.actor.process +
                     " reports times outside of the call (CLOCK_MONOTONIC, in ns)");
  }
}

bool World::take_reply(const PendingCall& call, CallStatus& status) {
  Process& target = process(call.actor.process);
  Channel& channel = *target.channel;
  channel.receive();
  if (std::optional<AgentReply> reply = channel.take(call.id)) {
    check_times(call, *reply);
    pid_t& thread = target.threads[call.actor.thread];
    if (reply->tid != 0 && thread == 0) thread = reply->tid;
    if (call.actor.thread == "main") target.main_pending = false;
    status = {CallStatus::Kind::kReplied, std::move(reply->call), {}};
    return true;
  }
  if (!channel.error().empty()) {
    throw AgentFault("the agent " + call.actor.process + ": " + channel.error());
  }
  if (channel.closed()) {
    throw AgentFault("the agent " + call.actor.process + " ended during the call" + last_words());
  }
  return false;
}

pid_t World::id_of(const std::string& name) { return process(name).pid; }

std::optional<CallReply> World::reply_to(const PendingCall& call) {
  CallStatus status;
  if (!take_reply(call, status)) return std::nullopt;
  return std::move(status.reply);
}

/// What the looks so far say of a call that has not been answered.
CallStatus World::status_of(const PendingCall& call, const Watch& watch, Want want) {
  Process& target = process(call.actor.process);
  const Watch::Story story = watch.story(target.pid, target.threads[call.actor.thread]);
  const std::int64_t elapsed_ns = now_ns() - call.sent_ns;
  CallStatus status;
  if (proves_block(watch, story, want, elapsed_ns, now_ns() < alarm_until_ns_, patience_)) {
    status.kind = CallStatus::Kind::kBlocked;
  }
  status.evidence = to_text(call.actor) + " was " + story.last.where + ", used " +
                    std::to_string(story.run_ns / 1'000'000) + " ms of CPU in " +
                    in_seconds(elapsed_ns);
  if (story.turns > 0) status.evidence += ", woke " + std::to_string(story.turns) + " times";
  status.evidence += watch.settled() > 0 ? "; nobody else moved" : "; others moved";
  return status;
}

/// How long until the next look: of ever other length, since a poller of the same period would be
/// met at the same point of it by all looks, for instance awake.
std::int64_t World::look_ns() {
  constexpr std::uint64_t kStepUs = 618, kMostUs = 1000;
  return (kLookMs * 1000 + static_cast<std::int64_t>(++looks_ * kStepUs % kMostUs)) * 1000;
}

/// True if something has arrived, at once or within `timeout_ns`.
bool World::news(const std::vector<PendingCall>& calls, const std::vector<CallStatus>& so_far,
                 std::int64_t timeout_ns) {
  std::vector<pollfd> items;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (so_far[i].kind == CallStatus::Kind::kReplied) continue;
    items.push_back({process(calls[i].actor.process).channel->socket(), POLLIN, 0});
  }
  return wait_for(std::move(items), timeout_ns);
}

std::vector<CallStatus> World::await_all(const std::vector<PendingCall>& calls, Want want) {
  using Kind = CallStatus::Kind;
  std::vector<CallStatus> all(calls.size());
  const std::int64_t start_ns = now_ns();
  Watch watch(spin_ns_for(want, patience_));
  while (true) {
    bool done = true, news_came = false;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (all[i].kind == Kind::kReplied) continue;
      if (!take_reply(calls[i], all[i])) {
        done = false;
      } else {
        news_came = true;
        // Whoever waits may be about to move: look afresh.
        watch = Watch(spin_ns_for(want, patience_));
      }
    }
    if (done || (news_came && want == Want::kReply)) return all;
    if (news(calls, all, look_ns())) continue;
    watch.look(descendants_of(guardian_->pid()));
    bool all_blocked = true;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (all[i].kind == Kind::kReplied) continue;
      all[i] = status_of(calls[i], watch, want);
      all_blocked = all_blocked && all[i].kind == Kind::kBlocked;
    }
    if (news(calls, all, 0)) continue;  // Somebody answered after the look.
    if (all_blocked || now_ns() - start_ns > patience_.call_ns) return all;
  }
}

CallStatus World::await(const PendingCall& call, Want want) {
  return std::move(await_all({call}, want).front());
}

std::optional<CallReply> World::ask(const std::string& name, const std::string& object,
                                    std::int64_t patience_ns) {
  const Actor actor{name, "main"};
  const std::uint64_t id = ++last_id_;
  const PendingCall call = send_line(
      actor, id, "{\"id\":" + std::to_string(id) + ",\"th\":\"main\"," + object.substr(1) + "\n");
  const std::int64_t until_ns = call.sent_ns + patience_ns;
  CallStatus status;
  while (!take_reply(call, status)) {
    const std::int64_t left_ns = until_ns - now_ns();
    if (left_ns <= 0) return std::nullopt;
    wait_for({{process(name).channel->socket(), POLLIN, 0}}, left_ns);
  }
  return std::move(status.reply);
}

std::int64_t World::disturbed_ns(const PendingCall& call) const {
  const auto at = processes_.find(call.actor.process);
  const std::int64_t runnable_ns =
      at == processes_.end() ? 0 : runnable_ns_of(at->second.pid) - call.runnable_before_ns;
  // The canary is late also when a whole virtual machine stands still, which no count of the
  // kernel's shows. A call waits few times: asleep for its time, then for a CPU or two.
  constexpr std::int64_t kWaits = 3;
  return runnable_ns + (canary_ == nullptr ? 0 : kWaits * canary_->worst_late_ns(call.sent_ns));
}

void World::rest(double seconds) {
  const std::int64_t start_ns = now_ns();
  const std::int64_t until_ns = start_ns + static_cast<std::int64_t>(seconds * 1e9);
  Watch watch(spin_ns_for(Want::kEither, patience_));
  while (now_ns() < until_ns || watch.settled() < kLooksToBlock) {
    wait_for({}, look_ns());
    watch.look(descendants_of(guardian_->pid()));
    if (now_ns() > until_ns + patience_.call_ns) {
      throw Undecided("the processes did not come to rest within " + in_seconds(patience_.call_ns));
    }
  }
}

void World::expect_alarm(double seconds) {
  alarm_until_ns_ = now_ns() + static_cast<std::int64_t>((seconds + 1) * 1e9);
}

}  // namespace hobbs
