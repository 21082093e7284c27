// Where reports and replay files go. Files appear whole or not at all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/result.h"

namespace hobbs {

/// Writes to standard output. Returns empty, or one sentence. A reader that has gone away (a
/// closed pipe) is not an error.
std::string write_stdout(std::string_view text);

/// Writes a file atomically: it has no name before it is complete. Something that is there and is no
/// regular file (a pipe, a device) is written to as it is. Returns empty, or one sentence; then
/// nothing is left behind, nor by whoever is killed here.
std::string write_file(const std::string& path, std::string_view text);

/// Whether write_file() could start on this path; empty, or one sentence. Leaves nothing behind.
std::string check_writable(const std::string& path);

struct FileText {
  std::string text;
  std::string error;  // Empty, or one sentence.
};
FileText read_file(const std::string& path);

/// Where replay files go: `chosen` if not empty, else $TEST_UNDECLARED_OUTPUTS_DIR, else hobbs-out.
std::string artifacts_directory(const std::string& chosen);

/// Writes the replay file of each finding below `directory` and fills in Finding::replay with the
/// line that replays it. `program` is how to call this program again. A file that cannot be
/// written is told among the evidence.
void write_replays(std::vector<Result>& results, const std::string& directory,
                   const std::string& program);

/// How to call this program again from a shell: `bazel run $TEST_TARGET --` in a test, else the
/// path it was started by.
std::string program_words(const char* argv0);

/// The line that replays `file` with that program. In a Bazel test the file is inside the
/// archive of undeclared outputs, and the line takes it out first.
std::string replay_line(const std::string& program, const std::string& file);

/// The word as a shell reads it back: quoted only if it needs to be.
std::string shell_quoted(std::string_view word);

}  // namespace hobbs
