// The processes of one case, behind agents: starting, forking and killing them, and calls on their
// threads. What a call did is told as evidence: a reply, a proven block, or neither.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/conform/canary.h"
#include "harness/conform/channel.h"
#include "harness/conform/evidence.h"
#include "harness/conform/guardian.h"
#include "scenarios/cases/case.h"

namespace hobbs {

/// The agent broke the protocol, ended, or never connected: one sentence.
class AgentFault : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// Nothing can be said, by no fault of the agent (a machine too slow): one sentence.
class Undecided : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// A call that was sent.
struct PendingCall {
  Actor actor;
  std::uint64_t id = 0;
  int line = 0;                         // Of the step that made it.
  std::int64_t sent_ns = 0;             // CLOCK_MONOTONIC.
  std::int64_t runnable_before_ns = 0;  // How long the process had waited for a CPU by then.
};

/// How a call stands after await().
struct CallStatus {
  enum class Kind : std::uint8_t { kReplied, kBlocked, kNeither } kind = Kind::kNeither;
  CallReply reply;       // kReplied.
  std::string evidence;  // kBlocked and kNeither: what the thread was seen to do.
};

/// What the caller waits for; it decides how much evidence is enough.
enum class Want : std::uint8_t {
  kReply,  // It must return: kBlocked only when nothing can happen any more.
  kBlock,  // It must block: kBlocked as soon as that is proven.
  kEither,
};

/// How long to wait before giving up; never how to judge. Tests shorten it.
struct Patience {
  std::int64_t start_ns = 60'000'000'000;  // For an agent to connect and greet.
  std::int64_t call_ns = 10'000'000'000;   // For a call that neither returns nor blocks.
  // A call that only computes counts as blocked once its thread has used so much CPU time while
  // it was watched; a small part of that is enough where it may block. 0: never.
  std::int64_t spin_ns = 0;
};

/// Starts one agent in a private directory below `directory` and ends it: empty, or why it does not
/// serve, in one sentence.
std::string try_agent(const std::vector<std::string>& command, const std::string& directory);

/// Not thread-safe. Throws std::system_error when the system refuses, AgentFault and Undecided.
class World {
 public:
  /// `command` starts an agent once the path of the socket is appended. `canary` must outlive it.
  World(const std::vector<std::string>& command, const std::string& parent_directory,
        const Canary& canary, const Patience& patience = {});
  /// One without a canary, for calls of which nothing is judged by how long they take.
  World(const std::vector<std::string>& command, const std::string& parent_directory);
  ~World();

  const std::string& directory() const { return private_directory_; }
  /// Where agents connect to, as they are told it.
  const std::string& socket_path() const { return socket_path_; }

  void spawn(const std::string& name);
  void fork(const CaseStep& step);
  void kill(const std::string& process);
  void quit(const std::string& process);
  void join_thread(const Actor& actor);

  PendingCall send(const CaseStep& step, const std::string& arguments);
  bool has(const std::string& process) const { return processes_.contains(process); }
  /// The process's id, as the kernel tells it.
  pid_t id_of(const std::string& process);
  /// The reply to the call if it has arrived, without waiting.
  std::optional<CallReply> reply_to(const PendingCall& call);
  CallStatus await(const PendingCall& call, Want want);
  /// As await() for several at once: returns when each has been answered or is proven to be
  /// blocked, in `want`'s sense, while all the others that were not answered are. If replies are
  /// wanted, the first one ends it: it may have changed what the others are to do.
  std::vector<CallStatus> await_all(const std::vector<PendingCall>& calls, Want want);

  /// The reply of the process's main thread to any request, a JSON object without id and thread;
  /// nothing if it does not come within that time. Unlike await(), this looks at nobody meanwhile.
  std::optional<CallReply> ask(const std::string& process, const std::string& object,
                               std::int64_t patience_ns);

  /// How much longer than it needed the call may have taken because the machine was busy, up to
  /// now: time without a CPU, and what the machine made a canary wait meanwhile.
  std::int64_t disturbed_ns(const PendingCall& call) const;

  /// Lets at least that much time pass, and then waits until no thread moves any more but those
  /// that wait for time: what the calls before have set off has happened. Throws Undecided if that
  /// does not come about.
  void rest(double seconds);

  /// A timer of the case itself is running: a wait may end by it after up to this long.
  void expect_alarm(double seconds);

 private:
  struct Process {
    std::unique_ptr<Channel> channel;
    pid_t pid = 0;
    int pidfd = -1;
    bool main_pending = false;             // The main thread is in a call.
    std::map<std::string, pid_t> threads;  // Name in the case to kernel id; 0 if not known.
  };

  World(const std::vector<std::string>& command, const std::string& parent_directory,
        const Canary* canary, const Patience& patience);
  Process& process(const std::string& name);
  void connect(const std::string& name, const std::string& hello_name);
  PendingCall send_line(const Actor& actor, std::uint64_t id, const std::string& line);
  void learn_thread(const Actor& actor);
  void check_times(const PendingCall& call, const AgentReply& reply) const;
  bool wait_for_death(Process& process, Want want);
  bool take_reply(const PendingCall& call, CallStatus& status);
  CallStatus status_of(const PendingCall& call, const Watch& watch, Want want);
  std::int64_t look_ns();
  bool news(const std::vector<PendingCall>& calls, const std::vector<CallStatus>& so_far,
            std::int64_t timeout_ns);
  std::string last_words() const;

  const Canary* canary_;  // May be none.
  const Patience patience_;
  std::string directory_;          // Holds the two below; the guardian removes it.
  std::string private_directory_;  // $D of the case, with the agents' socket in it.
  std::string socket_path_;
  int folder_ = -1;       // Open on it.
  std::string log_path_;  // What agents print.
  int listener_ = -1;
  std::unique_ptr<Guardian> guardian_;
  std::map<std::string, Process> processes_;
  std::uint64_t last_id_ = 0;
  std::int64_t alarm_until_ns_ = 0;
  std::uint64_t looks_ = 0;
};

}  // namespace hobbs
