#include "harness/explore/graph/exhaust.h"

#include <unordered_set>

#include "harness/explore/graph/explorer.h"
#include "harness/explore/graph/graph_judge.h"
#include "harness/explore/graph/guide.h"
#include "harness/explore/random_walk.h"

namespace hobbs::explore::graph {
namespace {

constexpr int kMostUndecided = 32;       // Suspicions that could not be made to happen.
constexpr int kMostFailedReplays = 200;  // Of unsuspicious executions.
constexpr std::uint64_t kHuntExecutions = 20'000;
constexpr std::size_t kMostNodesKept = 2'000;  // From search to search: about a megabyte.
constexpr std::uint64_t kHuntSeed = 0x5eed;

Model model_of(MemoryModel model) {
  switch (model) {
    case MemoryModel::kSc: return Model::kSc;
    case MemoryModel::kTso: return Model::kTso;
    case MemoryModel::kC11: break;
  }
  return Model::kC11;
}

/// One search.
class Exhaustion {
 public:
  Exhaustion(const LockSpec& lock, const Program& program, MemoryModel model, Topology topology,
             hobbs::explore::Explorer& explorer, WorkerBehaviour& behaviour)
      : program_(program),
        model_(model),
        topology_(topology),
        explorer_(explorer),
        behaviour_(behaviour),
        judge_(lock, behaviour_, model_of(model)) {}

  Exhausted run(std::chrono::steady_clock::time_point until) {
    Bounds bounds;
    bounds.until = until;
    Explorer search(behaviour_, model_of(model_), bounds);
    const Tally tally =
        search.run([this](const Graph& graph, Ending ending) { return visit(graph, ending); });
    found_.executions = tally.executions;
    found_.blocked = tally.blocked;
    if (found_.caught) {
      found_.caught->executions = tally.executions + tally.blocked;
      return std::move(found_);
    }
    behaviour_.keeps_apart();
    found_.why_not = reason(tally.limit);
    found_.timed_out = tally.limit == Limit::kTime && undecided_ == 0;
    found_.sleeps = behaviour_.sleeps();
    if (undecided_ > 0 && behaviour_.refusal().empty()) hunt_for_it(until);
    found_.complete = !found_.caught && found_.why_not.empty();
    return std::move(found_);
  }

 private:
  enum class Replayed { kBroken, kAsTold, kOtherwise };

  bool visit(const Graph& graph, Ending ending) {
    if (!behaviour_.refusal().empty()) return false;
    if (std::optional<Suspicion> suspicion = judge_.judge(graph, ending)) {
      const Replayed replayed = replay(graph, *suspicion);
      if (replayed == Replayed::kBroken) return false;
      // A graph in which nothing can move may be what the specification allows.
      const bool cleared = suspicion->order.empty() && replayed == Replayed::kAsTold &&
                           (ending == Ending::kDeadlock || ending == Ending::kBlocked);
      if (!cleared) {
        undecided_about_ = suspicion->about;
        if (++undecided_ >= kMostUndecided) return false;
      }
      return true;
    }
    return ending != Ending::kComplete || look_at_end(graph);
  }

  /// The rules of what is left at the end hold for each end that can be reached.
  bool look_at_end(const Graph& graph) {
    std::uint64_t hash = 0x9e3779b97f4a7c15ull;
    for (int l = 0; l < graph.locations(); ++l) {
      hash = (hash ^ graph.value(l, graph.location(l).newest) ^ static_cast<std::uint64_t>(l)) *
             0xff51afd7ed558ccdull;
      hash ^= hash >> 29;
    }
    if (hash == last_end_ || ends_.contains(hash)) return true;
    switch (replay(graph, {})) {
      case Replayed::kBroken: return false;
      case Replayed::kAsTold:
        ends_.insert(last_end_ = hash);
        missed_.erase(hash);
        return true;
      case Replayed::kOtherwise: break;
    }
    missed_.insert(hash);
    return ++failed_replays_ < kMostFailedReplays;
  }

  Replayed replay(const Graph& graph, const Suspicion& suspicion) {
    LinearOrder order(behaviour_, graph, model_of(model_));
    for (const auto& [before, after] : suspicion.order) order.require(before, after);
    Guide guide(order.items());
    if (guide.empty()) return Replayed::kOtherwise;
    guide.begin();
    const hobbs::explore::Ending& ending = explorer_.run(guide);
    ++found_.replayed;
    if (ending.kind == hobbs::explore::Ending::Kind::kBroken) {
      Catch caught;
      caught.program = program_;
      caught.model = model_;
      caught.topology = topology_;
      caught.broken = ending.broken;
      caught.schedule = explorer_.schedule();
      caught.preemptions = explorer_.preemptions();
      found_.caught = std::move(caught);
      return Replayed::kBroken;
    }
    const bool ended = ending.kind == hobbs::explore::Ending::Kind::kDone ||
                       ending.kind == hobbs::explore::Ending::Kind::kStuck;
    return ended && !guide.lost() ? Replayed::kAsTold : Replayed::kOtherwise;
  }

  /// What was suspected may happen in another way.
  void hunt_for_it(std::chrono::steady_clock::time_point until) {
    RandomWalk walk(kHuntSeed);
    Stretch stretch = hunt(explorer_, program_, model_, topology_, walk, kHuntExecutions, until);
    found_.caught = std::move(stretch.caught);
    found_.why_not = "it was not found out whether " + undecided_about_;
  }

  std::string reason(Limit limit) const {
    if (!behaviour_.refusal().empty()) return behaviour_.refusal();
    switch (limit) {
      case Limit::kEvents: return "some executions have too many events";
      case Limit::kNodes: return "the workers behave in too many ways";
      case Limit::kTime: return "the time was up";
      case Limit::kGraphs: return "there are too many executions";
      case Limit::kStopped:
      case Limit::kNone: break;
    }
    if (!missed_.empty() || limit == Limit::kStopped) {
      return "some ends could not be reached by a schedule";
    }
    return "";
  }

  const Program& program_;
  const MemoryModel model_;
  const Topology topology_;
  hobbs::explore::Explorer& explorer_;
  WorkerBehaviour& behaviour_;
  GraphJudge judge_;
  Exhausted found_;
  int undecided_ = 0;
  std::string undecided_about_;
  int failed_replays_ = 0;
  std::unordered_set<std::uint64_t> ends_;    // That have been replayed ...
  std::unordered_set<std::uint64_t> missed_;  // ... and that could not be.
  std::uint64_t last_end_ = 0;
};

}  // namespace

KnownWorkers::KnownWorkers() = default;
KnownWorkers::~KnownWorkers() = default;
KnownWorkers::KnownWorkers(KnownWorkers&&) noexcept = default;
KnownWorkers& KnownWorkers::operator=(KnownWorkers&&) noexcept = default;

Exhausted exhaust(const LockSpec& lock, const Program& program, MemoryModel model,
                  Topology topology, hobbs::explore::Explorer& explorer,
                  std::chrono::steady_clock::time_point until, KnownWorkers* known) {
  Exhausted found;
  found.why_not = LoneWorker::unfit(lock, program);
  if (found.why_not.empty() && program.repeat > 4) found.why_not = "it repeats too often";
  if (!found.why_not.empty()) return found;
  KnownWorkers unknown;
  std::unique_ptr<WorkerBehaviour>& workers = (known != nullptr ? known : &unknown)->behaviour_;
  bool met_before = workers != nullptr;
  if (!met_before) workers = std::make_unique<WorkerBehaviour>(lock, program, topology, true);
  found = Exhaustion(lock, program, model, topology, explorer, *workers).run(until);
  if (workers->tells_apart() && !found.caught) {
    workers = std::make_unique<WorkerBehaviour>(lock, program, topology);
    met_before = false;
    found = Exhaustion(lock, program, model, topology, explorer, *workers).run(until);
  }
  const bool refused = !workers->refusal().empty();
  if (refused || workers->size() > kMostNodesKept) workers = nullptr;
  // They may have been refused for ways that they take under the other models alone.
  if (!refused || !met_before || found.caught) return found;
  return exhaust(lock, program, model, topology, explorer, until, known);
}

}  // namespace hobbs::explore::graph
