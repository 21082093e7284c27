#include "harness/conform/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "scenarios/cases/arguments.h"

namespace hobbs {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLineBytesMax = 1 << 20;
constexpr std::size_t kBytesShown = 80;
constexpr int kDepthMax = 100;

/// So deep that whatever reads it level by level would need too much of the stack.
bool nests_deeply(std::string_view json) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      if (++depth > kDepthMax) return true;
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

std::string head(const char* op, std::uint64_t id, const std::string& thread) {
  return "{\"id\":" + std::to_string(id) + ",\"th\":" + json_quote(thread) + ",\"op\":\"" + op +
         "\"";
}

std::string field(const char* name, std::string_view text) {
  return ",\"" + std::string(name) + "\":" + json_quote(text);
}

const char* op_of(CaseStep::Kind kind) {
  using Kind = CaseStep::Kind;
  switch (kind) {
    case Kind::kNew: return "new";
    case Kind::kCall: return "call";
    case Kind::kSet: return "set";
    case Kind::kDelete: return "delattr";
    case Kind::kDrop: return "del";
    case Kind::kEnter: return "enter";
    case Kind::kExit: return "exit";
    case Kind::kAlarm: return "alarm";
    case Kind::kRecord: return "rec";
    default: return "get";  // kGet and kLet.
  }
}

}  // namespace

std::string start_of(std::string_view text) {
  std::string start(text.substr(0, kBytesShown));
  for (char& c : start) {
    if (c < ' ' || c > '~') c = '?';
  }
  return start;
}

Channel::Channel(int socket) : socket_(socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) peer_ = peer.pid;
}

Channel::Channel(Channel&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      peer_(other.peer_),
      buffer_(std::move(other.buffer_)),
      error_(std::move(other.error_)),
      closed_(other.closed_),
      hello_(std::move(other.hello_)),
      replies_(std::move(other.replies_)) {}

Channel::~Channel() {
  if (socket_ >= 0) close(socket_);
}

void Channel::send(std::string_view line) {
  while (!line.empty() && !closed_) {
    const ssize_t sent = ::send(socket_, line.data(), line.size(), MSG_NOSIGNAL);
    if (sent > 0) line.remove_prefix(static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EINTR) closed_ = true;
  }
}

void Channel::receive() {
  char chunk[65536];
  while (!closed_ && error_.empty()) {
    const ssize_t got = recv(socket_, chunk, sizeof chunk, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got <= 0) {
      closed_ = true;
      return;
    }
    buffer_.append(chunk, static_cast<std::size_t>(got));
    std::size_t end;
    while (error_.empty() && (end = buffer_.find('\n')) != std::string::npos) {
      read_line(buffer_.substr(0, end));
      buffer_.erase(0, end + 1);
    }
    if (buffer_.size() > kLineBytesMax) error_ = "it sent a line of more than 1 MiB";
  }
}

void Channel::read_line(const std::string& line) {
  try {
    if (nests_deeply(line)) throw std::invalid_argument("it sent a line that nests too deeply");
    const Json json = Json::parse(line);
    if (json.contains("hello")) {
      if (hello_) throw std::invalid_argument("it said hello twice");
      hello_ = Hello{json.value("name", ""), json.value("pid", 0)};
      return;
    }
    if (!hello_) throw std::invalid_argument("it did not begin with a hello");
    AgentReply reply;
    reply.id = json.at("id").get<std::uint64_t>();
    reply.tid = json.value("tid", 0);
    reply.call.start_ns = json.at("t0").get<std::int64_t>();
    reply.call.end_ns = json.at("t1").get<std::int64_t>();
    if (json.contains("e")) {
      reply.call.error = json.at("e").get<std::string>();
      reply.call.message = json.value("msg", "");
    } else {
      reply.call.result_json = json.at("r").dump();
    }
    if (!replies_.emplace(reply.id, std::move(reply)).second) {
      throw std::invalid_argument("it answered a request twice");
    }
  } catch (const Json::exception&) {
    error_ = "it sent a line that is no reply: " + start_of(line);
  } catch (const std::invalid_argument& error) {
    error_ = std::string(error.what()) + ": " + start_of(line);
  }
}

std::optional<AgentReply> Channel::take(std::uint64_t id) {
  const auto reply = replies_.find(id);
  if (reply == replies_.end()) return std::nullopt;
  AgentReply result = std::move(reply->second);
  replies_.erase(reply);
  return result;
}

std::string request_line(const CaseStep& step, std::uint64_t id, const std::string& arguments) {
  using Kind = CaseStep::Kind;
  std::string line = head(op_of(step.kind), id, step.actor.thread);
  if (!step.object.empty()) line += field("obj", step.object);
  if (step.kind == Kind::kNew) {
    line += field("kind", step.member);
  } else if (step.kind != Kind::kDrop && step.kind != Kind::kExit && step.kind != Kind::kAlarm) {
    line += field("m", step.member);
  }
  if (step.kind == Kind::kAlarm) {
    line += ",\"a\":[" + std::to_string(step.seconds) + (step.raises ? ",true]" : ",false]");
  } else if (step.kind == Kind::kNew || step.kind == Kind::kCall || step.kind == Kind::kSet ||
             step.kind == Kind::kEnter) {
    const Arguments parsed = parse_arguments(arguments);
    line += ",\"a\":" + parsed.positional_json() + ",\"k\":" + parsed.keyword_json();
  }
  return line + "}\n";
}

std::string fork_request(const CaseStep& step, std::uint64_t id) {
  const char* op = step.kind == CaseStep::Kind::kFork ? "mpfork" : "fork";
  return head(op, id, step.actor.thread) + field("name", step.object) + "}\n";
}

std::string ping_request(const Actor& actor, std::uint64_t id) {
  return head("ping", id, actor.thread) + "}\n";
}

std::string join_request(const Actor& actor) {
  return "{\"op\":\"join\"" + field("name", actor.thread) + "}\n";
}

std::string quit_request() { return "{\"op\":\"quit\"}\n"; }

}  // namespace hobbs
