#include "harness/agent/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>

namespace hobbs::agent {
namespace {

constexpr char kSpecial[] = "@float";  // {"@float": "NaN"} stands for a number JSON cannot write.

/// The line with bare NaN, Infinity and -Infinity as objects that parse.
std::string without_specials(const std::string& line) {
  static constexpr std::string_view kWords[] = {"NaN", "-Infinity", "Infinity"};
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < line.size();) {
    if (!in_string) {
      bool replaced = false;
      for (const std::string_view word : kWords) {
        if (line.compare(i, word.size(), word) != 0) continue;
        out += "{\"@float\":\"" + std::string(word) + "\"}";
        i += word.size();
        replaced = true;
        break;
      }
      if (replaced) continue;
    }
    if (line[i] == '\\' && in_string && i + 1 < line.size()) out += line[i++];
    if (line[i] == '"' && (out.empty() || !in_string || line[i - 1] != '\\')) {
      in_string = !in_string;
    }
    out += line[i++];
  }
  return out;
}

void restore_specials(Json& value) {
  if (value.is_object() && value.size() == 1 && value.contains(kSpecial)) {
    const std::string word = value[kSpecial].get<std::string>();
    const double infinity = std::numeric_limits<double>::infinity();
    value = word == "NaN"    ? std::numeric_limits<double>::quiet_NaN()
            : word[0] == '-' ? -infinity
                             : infinity;
    return;
  }
  if (value.is_structured()) {
    for (Json& part : value) restore_specials(part);
  }
}

}  // namespace

Json parse_line(const std::string& line) {
  Json parsed = Json::parse(without_specials(line));
  restore_specials(parsed);
  return parsed;
}

Channel::Channel(const std::string& where) : socket_(-1) {
  if (where.rfind("fd:", 0) == 0) {
    const char* end = where.data() + where.size();
    const auto [at, error] = std::from_chars(where.data() + 3, end, socket_);
    const bool open = error == std::errc() && at == end && ::fcntl(socket_, F_GETFD) >= 0;
    if (!open) throw LockError(EBADF, "'" + where + "'");
    return;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (where.size() >= sizeof address.sun_path) throw LockError(ENAMETOOLONG, "'" + where + "'");
  std::memcpy(address.sun_path, where.data(), where.size());
  socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) throw LockError(errno, "a socket");
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw LockError(errno, "'" + where + "'");
  }
}

std::optional<std::string> Channel::read_line() {
  for (;;) {
    const std::size_t end = read_.find('\n');
    if (end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    char block[4096];
    const ssize_t got = ::read(socket_, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    read_.append(block, static_cast<std::size_t>(got));
  }
}

bool Channel::send(const Json& message) {
  const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::lock_guard<std::mutex> one_at_a_time(sending_);
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t n = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace hobbs::agent
