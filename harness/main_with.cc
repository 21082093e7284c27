#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/commands.h"
#include "harness/drivers.h"
#include "harness/exit_code.h"
#include "harness/free/spawn.h"
#include "harness/hobbs.h"
#include "harness/options.h"
#include "harness/output.h"

namespace hobbs {
namespace {

int complain(const std::string& sentence, int exit_code) {
  std::fprintf(stderr, "hobbs: %s\n", sentence.c_str());
  return exit_code;
}

int dispatch(const Options& options, const Catalog& catalog, const Drivers& drivers,
             const std::string& program) {
  if (options.command == "list") return list_command(options, catalog, drivers);
  if (options.command == "doctor") return doctor_command(options);
  if (options.command == "report") return report_command(options);
  if (options.command == "replay") return replay_command(options, catalog, drivers, program);
  if (options.command == "agent") return agent_command(options, catalog);
  if (!options.lock.empty()) return verify_agent_command(options, catalog, program);
  if (options.command == "conform") return conform_command(options, catalog, program);
  if (options.command == "bench") return bench_command(options, catalog);
  if (options.command == "compare") return compare_command(options, catalog);
  return run_command(options, catalog, drivers, program);
}

}  // namespace

int main_with(int argc, char** argv, const Catalog& catalog, const Drivers& drivers) {
  if (const auto status = gang::serve_spawned(argc, argv, catalog)) return *status;
  const ParsedOptions parsed = parse_options(argc, argv);
  if (parsed.exit_code) {
    std::fputs(parsed.message.c_str(), *parsed.exit_code == kExitPass ? stdout : stderr);
    return *parsed.exit_code;
  }
  // A reader of our output that goes away is seen as EPIPE where we write.
  signal(SIGPIPE, SIG_IGN);
  const std::string program = program_words(argv[0]);
  // `bazel run` starts programs elsewhere; paths on the command line mean the user's directory.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY"); directory != nullptr) {
    if (chdir(directory) != 0)
      return complain("cannot go to " + std::string(directory), kExitInternal);
  }
  try {
    return dispatch(parsed.options, catalog, drivers, program);
  } catch (const UsageError& error) {
    return complain(error.what(), kExitUsage);
  } catch (const NothingToRun& error) {
    return complain(error.what(), kExitNothingRan);
  } catch (const Interrupted& error) {
    return complain(error.what(), kExitInconclusive);
  } catch (const std::exception& error) {
    return complain(error.what(), kExitInternal);
  }
}

int main_with(int argc, char** argv, Catalog catalog) {
  return main_with(argc, argv, catalog, all_drivers());
}

int test_main(int argc, char** argv, Catalog catalog, const std::vector<const char*>& words) {
  // A fresh worker's process is the test program once more, and no test.
  if (const auto status = gang::serve_spawned(argc, argv, catalog)) return *status;
  std::vector<char*> all(argv, argv + argc);
  const std::string_view first = argc > 1 ? argv[1] : "";
  const bool about_itself = first == "-h" || first == "--help" || first == "--version";
  if (argc <= 1 || (first.starts_with('-') && !about_itself)) {
    // The words are only read: parsing takes const char*.
    for (std::size_t i = 0; i < words.size(); ++i) {
      all.insert(all.begin() + 1 + static_cast<std::ptrdiff_t>(i), const_cast<char*>(words[i]));
    }
  }
  return main_with(static_cast<int>(all.size()), all.data(), std::move(catalog));
}

}  // namespace hobbs
