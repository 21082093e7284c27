#include "harness/bench/turns.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hobbs::bench {
namespace {

constexpr char kWord = '\n';

ssize_t send_word(int fd) {
  ssize_t n;
  do n = send(fd, &kWord, 1, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n;
}

ssize_t hear_word(int fd) {
  char word;
  ssize_t n;
  do n = recv(fd, &word, 1, 0);
  while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

std::string await_turn(int fd) {
  if (send_word(fd) == 1) {
    const ssize_t n = hear_word(fd);
    if (n == 1) return "";
    if (n == 0) return "nobody is left who grants turns";
  }
  return fmt::format("nobody grants turns there: {}", std::strerror(errno));
}

bool hear_asker(int fd) { return hear_word(fd) == 1; }

void grant_turn(int fd) { send_word(fd); }

std::optional<int> Turns::next() {
  if (sides_[0] == kBusy || sides_[1] == kBusy) return std::nullopt;
  const int due = (granted_ % 4 == 1 || granted_ % 4 == 2) ? 1 : 0;
  for (const int side : {due, 1 - due}) {
    if (sides_[side] != kAsks) continue;
    sides_[side] = kBusy;
    ++granted_;
    return side;
  }
  return std::nullopt;
}

}  // namespace hobbs::bench
