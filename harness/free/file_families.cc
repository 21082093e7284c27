// What befalls a lock's file and its users from outside.
#include "harness/free/families.h"

namespace hobbs::gang {
namespace {

/// Who reports misuse has a way to say that a call failed.
bool can_fail(const Claims& claims) { return claims.reports_errors || claims.checks_misuse; }

/// What befalls the file while nobody has it open; to be survived by those to whom the file is but
/// a place to lock, or refused.
void add_strikes_at_rest(Families& f, const std::vector<std::string>& texts) {
  const auto struck = [](Family& family, Nemesis nemesis, const std::string& rule) {
    std::erase_if(family.topologies, [](Topology t) { return t != Topology::kFork; });
    family.nemeses = {nemesis};
    family.must_contend = false;
    family.must_strike = true;
    family.unstruck = "while nobody holds it there is no file at its path, or it is kept open";
    family.weight = 3;
    for (const char* plain :
         {"ME-1", "ME-2", "ME-4", "TR-4", "LV-1", "LV-2", "TR-1", "TR-2", "TO-3", "RW-3"}) {
      family.means[plain] = rule;
    }
  };
  const Claims& claims = f.lock().claims;
  if (claims.content_ignored || claims.path_replaceable) {
    struck(f.add("files/replaced", "FS-4,ME-1,LV-1",
                 "between rounds the closed file is removed, or a copy put in its place", texts),
           Nemesis::kReplaced, "FS-4");
  }
  if (!claims.reports_errors) return;
  struck(f.add("files/hostile", "FS-8,ME-1,LV-1",
               "every other round finds a FIFO or a folder in the file's place", texts),
         Nemesis::kHostile, "FS-8");
}

}  // namespace

/// What befalls a lock's file and its users from outside, and what no lock may mind.
void add_attacks(Families& f) {
  if (f.lock().home != Home::kPath) return;
  const std::vector<std::string> texts = {
      "lock work(200us) unlock | lock work(200us) unlock | lock work unlock",
      "lock work unlock | try work unlock | lock work(500us) unlock"};
  const auto alone = [](Family& family, Nemesis nemesis) {
    family.nemeses = {nemesis};
    family.must_contend = false;
    family.weight = 3;
  };
  Family& first =
      f.add("place/first", "FS-18,ME-1,LV-1", "all open the lock at once, every round", texts);
  alone(first, Nemesis::kFresh);
  std::erase(first.topologies, Topology::kThreads);  // Where closing may drop a sibling's hold.
  std::erase(first.topologies, Topology::kMixed);
  first.means = {{"ME-1", "FS-18"}, {"ME-2", "FS-18"}, {"LV-1", "FS-18"}};
  if (f.lock().claims.thread_shared && !f.lock().claims.closing_frees) {
    // Where each thread may have the file open, it may be closed at any time.
    Family& aliases = f.add("files/aliases", "FS-2,ME-1",
                            "holders open the lock's file once more, and close it", texts);
    alone(aliases, Nemesis::kAliases);
    aliases.means = {{"ME-1", "FS-2"}, {"ME-2", "FS-2"}};
  }
  alone(f.add("files/touched", "ME-1,ME-2,LV-1,ST-5",
              "its file is opened, linked, touched and its mode changed by others", texts),
        Nemesis::kFiles);
  if (f.lock().claims.content_ignored) {
    Family& garbled = f.add("files/garbled", "FS-9,ME-1,LV-1",
                            "its file is cut and written over by others", texts);
    alone(garbled, Nemesis::kGarbled);
    garbled.must_strike = true;
    garbled.means = {{"ME-1", "FS-9"}, {"ME-2", "FS-9"}, {"LV-1", "FS-9"}, {"LV-2", "FS-9"}};
  }
  if (f.lock().claims.path_replaceable) {
    // Inside for long, so that whoever came in by a new file is still there when the last leaver
    // releases.
    std::vector<std::string> long_too = texts;
    long_too.push_back("lock work(3ms) unlock | lock work(3ms) unlock | lock work(3ms) unlock");
    Family& removed =
        f.add("files/removed", "FS-4,ME-1,LV-1",
              "holders that leave remove the file, or put another one there", long_too);
    alone(removed, Nemesis::kRemovals);
    removed.must_strike = true;
    removed.means = {{"ME-1", "FS-4"}, {"ME-2", "FS-4"}, {"LV-1", "FS-4"}, {"LV-2", "FS-4"}};
  }
  add_strikes_at_rest(f, texts);
  // A lock() that cannot fail has no way to say so: only who reports errors is asked.
  if (!can_fail(f.lock().claims)) return;
  Family& scarce = f.add("files/scarce", "RS-2,FS-10,ME-1,LV-1",
                         "workers run out of descriptors, or of room in files", texts);
  alone(scarce, Nemesis::kScarce);
  std::erase(scarce.topologies, Topology::kThreads);
  std::erase(scarce.topologies, Topology::kMixed);
  scarce.means = {{"ME-1", "FS-10"}, {"ME-2", "FS-10"}, {"ME-4", "RS-2"}};
  if (!f.lock().claims.reports_errors) return;
  Family& refused = f.add("files/refused", "FS-10,ME-1,LV-1",
                          "system calls fail for want of memory or of records for locks", texts);
  alone(refused, Nemesis::kRefusals);
  std::erase_if(refused.topologies, [](Topology t) { return t != Topology::kFork; });
  refused.must_strike = true;
  refused.unstruck = "its calls neither open nor lock a file";
  refused.means = {{"ME-1", "FS-10"}, {"ME-2", "FS-10"}, {"LV-1", "FS-10"},
                   {"LV-2", "FS-10"}, {"ME-4", "FS-10"}, {"TR-4", "FS-10"}};
}

}  // namespace hobbs::gang
