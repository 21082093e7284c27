#include "harness/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <system_error>

namespace hobbs {
namespace {

namespace fs = std::filesystem;

std::string error_words(int number) { return std::generic_category().message(number); }

/// Returns 0 or the errno.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

bool is_special(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

std::string cannot_write(const std::string& path, int number) {
  return fmt::format("cannot write {}: {}", path, error_words(number));
}

std::string write_special(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return cannot_write(path, errno);
  int failed = write_all(fd, text);
  if (close(fd) != 0 && failed == 0) failed = errno;
  return failed == 0 ? std::string() : cannot_write(path, failed);
}

/// A file that has no name before it is complete, so that nothing of it is left by whoever is
/// killed while writing it. Where the file system has no such files: one beside the wanted one.
class Draft {
 public:
  explicit Draft(const std::string& path) : path_(path) {
    const fs::path folder = fs::path(path).parent_path();
    fd_ = open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd_ >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return;
    beside_ = path + ".XXXXXX";
    fd_ = mkostemp(beside_.data(), O_CLOEXEC);
    if (fd_ < 0) beside_.clear();
  }
  ~Draft() {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    if (!beside_.empty()) unlink(beside_.c_str());
    errno = error;
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  /// Below 0: none could be made, and errno says why.
  int fd() const { return fd_; }

  /// Gives it the name, in place of what has it; 0 or the errno.
  int publish() {
    const bool nameless = beside_.empty();
    if (nameless && link_to(path_)) return 0;
    if (nameless && errno != EEXIST) return errno;
    if (nameless) {
      beside_ = path_ + ".new" + std::to_string(getpid());
      if (!link_to(beside_)) return errno;
    } else {
      // mkstemp makes files private; a report is as readable as any new file.
      const mode_t mask = umask(0);
      umask(mask);
      if (fchmod(fd_, 0666 & ~mask) != 0) return errno;
    }
    if (rename(beside_.c_str(), path_.c_str()) != 0) return errno;
    beside_.clear();
    return 0;
  }

 private:
  bool link_to(const std::string& name) const {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_);
    return linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  }

  const std::string path_;
  std::string beside_;  // Its name until it has the wanted one; empty: none.
  int fd_ = -1;
};

/// A name that tells what is in the file and is the same for the same finding.
std::string replay_name(const Result& result) {
  std::string name = fmt::format("{}.{}.{}", result.lock, result.driver, result.rule);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
  }
  const std::size_t digest = std::hash<std::string>{}(result.finding->replay_json);
  return fmt::format("{}.{:08x}.json", name, digest & 0xffffffffu);
}

/// The line for a finding that has no case of its own: the campaign that found it, narrowed.
std::string rerun_line(const Result& result, const std::string& program) {
  return fmt::format("{} verify --locks {} --drivers {}", program, shell_quoted(result.lock),
                     result.driver);
}

}  // namespace

std::string write_stdout(std::string_view text) {
  const int failed = write_all(STDOUT_FILENO, text);
  if (failed == 0 || failed == EPIPE) return {};
  return fmt::format("cannot write to standard output: {}", error_words(failed));
}

std::string write_file(const std::string& path, std::string_view text) {
  if (is_special(path)) return write_special(path, text);
  Draft draft(path);
  if (draft.fd() < 0) return cannot_write(path, errno);
  int failed = write_all(draft.fd(), text);
  if (failed == 0) failed = draft.publish();
  return failed == 0 ? std::string() : cannot_write(path, failed);
}

std::string check_writable(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return cannot_write(path, EISDIR);
  if (is_special(path)) {
    return access(path.c_str(), W_OK) == 0 ? std::string() : cannot_write(path, errno);
  }
  const Draft draft(path);
  return draft.fd() >= 0 ? std::string() : cannot_write(path, errno);
}

FileText read_file(const std::string& path) {
  FileText file;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[65536];
  ssize_t n = fd < 0 ? -1 : 0;
  while (fd >= 0 && ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))) {
    if (n > 0) file.text.append(buffer, static_cast<std::size_t>(n));
  }
  if (n < 0) file.error = fmt::format("cannot read {}: {}", path, error_words(errno));
  if (fd >= 0) close(fd);
  return file;
}

std::string artifacts_directory(const std::string& chosen) {
  if (!chosen.empty()) return chosen;
  const char* undeclared = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  return undeclared != nullptr && *undeclared != '\0' ? undeclared : "hobbs-out";
}

void write_replays(std::vector<Result>& results, const std::string& directory,
                   const std::string& program) {
  for (Result& result : results) {
    if (!result.finding) continue;
    Finding& finding = *result.finding;
    if (finding.replay_json.empty()) {
      finding.replay = rerun_line(result, program);
      continue;
    }
    std::error_code error;
    fs::create_directories(directory, error);
    const std::string path = directory + "/" + replay_name(result);
    std::string problem = error ? fmt::format("cannot make {}: {}", directory, error.message())
                                : write_file(path, finding.replay_json + "\n");
    if (problem.empty()) {
      finding.replay = replay_line(program, path);
    } else {
      finding.evidence.push_back("no replay file: " + problem);
      finding.replay = rerun_line(result, program);
    }
  }
}

std::string program_words(const char* argv0) {
  const char* target = std::getenv("TEST_TARGET");
  if (target != nullptr && *target != '\0') return fmt::format("bazel run {} --", target);
  const std::string name(argv0);
  // Under `bazel run` the program was started in another directory than the user's.
  if (std::getenv("BUILD_WORKING_DIRECTORY") != nullptr) {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    if (!error) return shell_quoted(self.string());
  }
  return shell_quoted(name);
}

std::string replay_line(const std::string& program, const std::string& file) {
  const char* undeclared = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  const std::string directory = undeclared == nullptr ? "" : undeclared;
  const std::size_t logs = directory.find("/testlogs/");
  if (logs == std::string::npos || !file.starts_with(directory + "/")) {
    std::error_code error;
    const fs::path whole = fs::absolute(file, error);
    return fmt::format("{} replay {}", program, shell_quoted(error ? file : whole.string()));
  }
  const std::string name = file.substr(directory.size() + 1);
  return fmt::format("unzip -o bazel-testlogs/{}/outputs.zip {} && {} replay {}",
                     directory.substr(logs + std::strlen("/testlogs/")), name, program, name);
}

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kSafe = "-_./:=@%+,";
  bool safe = !word.empty();
  for (const char c : word) {
    safe = safe && (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                    kSafe.find(c) != std::string_view::npos);
  }
  if (safe) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace hobbs
