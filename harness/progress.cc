#include "harness/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace hobbs {
namespace {

constexpr std::chrono::milliseconds kLiveInterval{100};
constexpr std::chrono::seconds kPlainInterval{10};

bool set_in_environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool is_capable_terminal(int fd) {
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

std::size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

bool wants_colour(std::string_view flag, int fd) {
  if (flag == "always") return true;
  if (flag == "never") return false;
  if (set_in_environment("NO_COLOR")) return false;
  const char* force = std::getenv("CLICOLOR_FORCE");
  if (force != nullptr && *force != '\0' && std::string_view(force) != "0") return true;
  return is_capable_terminal(fd);
}

Progress::Progress()
    : live_(is_capable_terminal(STDERR_FILENO)),
      next_(Clock::now() + (live_ ? Clock::duration(kLiveInterval) : kPlainInterval)) {}

Progress::~Progress() { clear(); }

void Progress::update(const std::string& line) {
  const auto now = Clock::now();
  if (now < next_) return;
  if (!live_) {
    next_ = now + kPlainInterval;
    std::fprintf(stderr, "hobbs: %s\n", line.c_str());
    return;
  }
  next_ = now + kLiveInterval;
  std::fprintf(stderr, "\r\x1b[K%s", line.substr(0, terminal_width() - 1).c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::say(std::string_view line) {
  clear();
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace hobbs
