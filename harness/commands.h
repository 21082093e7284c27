// The subcommands. Each returns the documented exit code or throws UsageError or NothingToRun.
#pragma once

#include <string>

#include "harness/drivers.h"
#include "harness/options.h"
#include "locks/lock.h"

namespace hobbs {

/// verify, stress, explore, step, crash: what they share is a campaign.
int run_command(const Options& options, const Catalog& catalog, const Drivers& drivers,
                const std::string& program);

/// Conformance cases on an agent's locks, or random calls, as a campaign.
int conform_command(const Options& options, const Catalog& catalog, const std::string& program);

/// UsageError unless a store can be kept in this file, which it makes; none is asked for if empty.
void check_store(const std::string& file);

/// Measures locks under contention; 1 if one lets two in at once, 3 if one could not be measured.
int bench_command(const Options& options, const Catalog& catalog);

/// Two programs run in pairs, or two results: 1 if something got slower, 3 if that is open.
int compare_command(const Options& options, const Catalog& catalog);

/// Google Benchmark's JSON in the format that the options ask for.
std::string render_bench(const Options& options, const std::string& json);

/// verify --lock exec:COMMAND: random calls on the locks that the command serves; step --lock: its
/// processes, traced.
int verify_agent_command(const Options& options, const Catalog& catalog,
                         const std::string& program);

/// Serves the seeds' locks and the catalogue's over a socket until the other side is done.
int agent_command(const Options& options, const Catalog& catalog);

int replay_command(const Options& options, const Catalog& catalog, const Drivers& drivers,
                   const std::string& program);
int report_command(const Options& options);
int list_command(const Options& options, const Catalog& catalog, const Drivers& drivers);
int doctor_command(const Options& options);

/// main_with() over other drivers than this version's own: what the tests drive.
int main_with(int argc, char** argv, const Catalog& catalog, const Drivers& drivers);

/// Each pattern of the list must match one of these names: who misspells one would test less than
/// he thinks. Throws NothingToRun, naming the `kind` of thing and near matches.
void check_each(std::string_view kind, const std::string& globs,
                const std::vector<std::string>& names);

/// The locks whose names match, other libraries' (LockSpec::peer) only `with_peers`; throws
/// NothingToRun, naming near matches, unless each pattern matches one.
Catalog choose_locks(const Catalog& catalog, const std::string& globs, bool with_peers);

}  // namespace hobbs
