// One connection to an agent: requests and replies, a JSON object a line.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "scenarios/cases/case.h"
#include "scenarios/cases/expectation.h"

namespace hobbs {

/// The start of what an agent sent, for a message: anything but plain characters as question marks.
std::string start_of(std::string_view text);

/// What an agent says when it connects.
struct Hello {
  std::string name;
  pid_t pid = 0;  // As it says itself; the kernel's word is Channel::peer().
};

struct AgentReply {
  std::uint64_t id = 0;
  pid_t tid = 0;  // Of the thread that answered; 0: the agent does not say.
  CallReply call;
};

/// Not thread-safe. Breaches of the protocol are told once, by error(), as one sentence; nothing
/// is read after that.
class Channel {
 public:
  explicit Channel(int socket);  // Takes it over.
  ~Channel();
  Channel(Channel&& other) noexcept;
  Channel& operator=(Channel&&) = delete;

  int socket() const { return socket_; }
  pid_t peer() const { return peer_; }  // The kernel's word, from when it connected.
  const std::string& error() const { return error_; }
  bool closed() const { return closed_; }

  void send(std::string_view line);

  /// Reads what has arrived, without waiting.
  void receive();

  /// The greeting, once it has arrived.
  const std::optional<Hello>& hello() const { return hello_; }

  /// The reply to request `id`, once it has arrived; given once.
  std::optional<AgentReply> take(std::uint64_t id);

 private:
  void read_line(const std::string& line);

  int socket_;
  pid_t peer_ = 0;
  std::string buffer_;
  std::string error_;
  bool closed_ = false;
  std::optional<Hello> hello_;
  std::map<std::uint64_t, AgentReply> replies_;
};

/// The request for a step that an agent answers (kNew to kLet), for the actor's thread. `arguments`
/// have their variables replaced already.
std::string request_line(const CaseStep& step, std::uint64_t id, const std::string& arguments);

std::string fork_request(const CaseStep& step, std::uint64_t id);
std::string ping_request(const Actor& actor, std::uint64_t id);
std::string join_request(const Actor& actor);
std::string quit_request();

}  // namespace hobbs
