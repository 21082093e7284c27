// Measures which nemesis alone shows which of the gallery's broken locks: [GLOB [MILLISECONDS]].
#include <fmt/format.h>
#include <sys/prctl.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "harness/free/matrix.h"
#include "harness/free/spawn.h"
#include "harness/glob.h"
#include "locks/mutants/gallery.h"

int main(int argc, char** argv) {
  hobbs::Catalog catalog;
  for (hobbs::mutants::Mutant& mutant : hobbs::mutants::gallery()) {
    catalog.push_back(std::move(mutant.lock));
  }
  if (const auto served = hobbs::gang::serve_spawned(argc, argv, catalog)) return *served;
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // What workers leave behind when they die comes here.
  const std::string globs = argc > 1 ? argv[1] : "*";
  const std::chrono::milliseconds budget(argc > 2 ? std::atoi(argv[2]) : 1000);
  std::string directory = std::filesystem::temp_directory_path() / "hobbs-matrix-XXXXXX";
  if (budget.count() <= 0 || mkdtemp(directory.data()) == nullptr) {
    fmt::print(stderr, "usage: matrix [GLOB [MILLISECONDS]], with a writable temporary folder\n");
    return 2;
  }
  std::vector<hobbs::Sighting> all;
  for (const hobbs::LockSpec& lock : catalog) {
    if (!hobbs::glob_match(globs, lock.name)) continue;
    for (hobbs::Sighting& sighting : hobbs::try_each_nemesis(lock, budget, directory)) {
      fmt::print(stderr, "{} {}: {} {} {} ms\n", sighting.lock, sighting.nemesis, sighting.rule,
                 sighting.scenario, sighting.took_ms);
      all.push_back(std::move(sighting));
    }
  }
  std::filesystem::remove_all(directory);
  fmt::print("{}", hobbs::matrix_words(all));
}
