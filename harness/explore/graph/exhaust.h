// All executions of one program over a lock under one memory model.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "harness/explore/explorer.h"
#include "harness/explore/hunt.h"

namespace hobbs::explore::graph {

/// What a search came to.
struct Exhausted {
  std::uint64_t executions = 0;  // Complete ones: what each read reads, and no more, tells apart.
  std::uint64_t blocked = 0;     // Met on the way, that fairer ones stand for.
  std::uint64_t replayed = 0;    // Made to happen in the ordinary explorer.
  bool complete = false;         // All of them were met, and nothing was left undecided.
  std::string why_not;           // One sentence, where not complete.
  bool timed_out = false;        // That only `until` came too early.
  bool sleeps = false;           // Some worker waited on a futex.
  std::optional<Catch> caught;
};

class WorkerBehaviour;

/// How the workers of one program behave, as far as searches of it have found out: what the next
/// search of the same program and topology, under another model, need not find out anew. The lock
/// and the program must outlive it; it belongs to one thread.
class KnownWorkers {
 public:
  KnownWorkers();
  ~KnownWorkers();
  KnownWorkers(KnownWorkers&&) noexcept;
  KnownWorkers& operator=(KnownWorkers&&) noexcept;

 private:
  friend Exhausted exhaust(const LockSpec&, const Program&, MemoryModel, Topology,
                           hobbs::explore::Explorer&, std::chrono::steady_clock::time_point,
                           KnownWorkers*);
  std::unique_ptr<WorkerBehaviour> behaviour_;  // Null: nothing yet.
};

/// Searches until the end, the first broken rule, or `until`. `explorer` must have loaded `program`
/// under the same model and topology: a suspicion counts only once it has happened there. `known`:
/// of earlier searches, and kept for later ones; it changes nothing but the time.
Exhausted exhaust(const LockSpec& lock, const Program& program, MemoryModel model,
                  Topology topology, hobbs::explore::Explorer& explorer,
                  std::chrono::steady_clock::time_point until, KnownWorkers* known = nullptr);

}  // namespace hobbs::explore::graph
