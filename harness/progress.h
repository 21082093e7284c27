// Progress on standard error: one live line on a terminal, a plain line every 10 s elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace hobbs {

/// Whether to use colours on this descriptor. The flag wins ("always", "never"), then NO_COLOR,
/// then CLICOLOR_FORCE, then whether it is a terminal whose TERM is not "dumb".
bool wants_colour(std::string_view flag, int fd);

class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// The newest state of affairs; shown now or later, as the terminal allows.
  void update(const std::string& line);
  /// A line that is shown at once and stays.
  void say(std::string_view line);
  /// Removes the live line; what follows on the terminal starts in an empty line.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool live_;           // A terminal that can move its cursor.
  bool shown_ = false;  // A live line stands there now.
  Clock::time_point next_;
};

}  // namespace hobbs
