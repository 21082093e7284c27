// The wire: JSON lines over a stream socket.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "harness/agent/subject.h"

namespace hobbs::agent {

/// One line's object. NaN, Infinity and -Infinity are numbers, as Python writes them. Throws
/// Json::exception for anything else that is not JSON.
Json parse_line(const std::string& line);

/// One connection. Any thread may send; one thread reads.
class Channel {
 public:
  /// Connects to `where`, a Unix socket's path or "fd:N"; the errno's sentence in a LockError.
  explicit Channel(const std::string& where);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// The next line; nothing when the other side is gone.
  std::optional<std::string> read_line();
  /// Whether the other side could still be told.
  bool send(const Json& message);

 private:
  int socket_;
  std::string read_;
  std::mutex sending_;
};

}  // namespace hobbs::agent
