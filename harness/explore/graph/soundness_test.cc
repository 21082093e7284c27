// The search loses nothing and invents nothing: on random small programs over the reference locks,
// what its executions come to is what plain depth-first search over all interleavings comes to
// (sc), and covers all that random walks meet (tso, c11). And on the broken locks of the gallery,
// it says that a program breaks just when depth-first search says so.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "harness/explore/bounded_search.h"
#include "harness/explore/graph/exhaust.h"
#include "harness/explore/graph/explorer.h"
#include "harness/explore/graph/worker_behaviour.h"
#include "harness/explore/random_walk.h"
#include "locks/mutants/gallery.h"
#include "locks/spec_of.h"
#include "scenarios/suites/controlled_programs.h"

namespace hobbs::explore::graph {
namespace {

constexpr int kProgramsPerLock = 24;
constexpr int kProgramsPerMutant = 12;
constexpr std::uint64_t kMostInterleavings = 6'000;
constexpr std::uint64_t kMostGraphs = 4'000;
constexpr int kWalks = 100;

/// Every interleaving, in each of which at most one weak compare-exchange fails for no reason.
class PlainSearch final : public Strategy {
 public:
  bool begin() override {
    failed_ = false;
    return search_.begin();
  }
  Move next(const Scene& scene) override { return search_.next(scene); }
  int pick(const Scene& scene, Choice choice, int n) override {
    if (choice == Choice::kWeak && failed_) return 0;
    const int picked = search_.pick(scene, choice, n);
    failed_ |= choice == Choice::kWeak && picked != 0;
    return picked;
  }

 private:
  BoundedSearch search_{1 << 20};
  bool failed_ = false;
};

using Outcomes = std::set<std::string>;

bool has_shared_steps(const Program& program) {
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      if (step.mode == Mode::kShared) return true;
    }
  }
  return false;
}

/// One or two sections a worker, with and without work, by lock and try.
Program random_program(const LockSpec& lock, Random& random) {
  Program program;
  const bool three = random.one_in(4) && lock.claims.max_workers >= 3;
  program.workers.resize(three ? 3 : 2);
  for (auto& steps : program.workers) {
    const int sections = three || random.one_in(2) ? 1 : 2;
    for (int i = 0; i < sections; ++i) {
      const bool shared = lock.controlled.has_shared() && random.one_in(2);
      const auto& ops = lock.controlled;
      const bool can_try = (shared ? ops.try_acquire_shared : ops.try_acquire) != nullptr;
      const Mode mode = shared ? Mode::kShared : Mode::kExclusive;
      steps.push_back({can_try && random.one_in(3) ? Verb::kTry : Verb::kAcquire, mode, 0, 0});
      if (!three && random.one_in(2)) steps.push_back({Verb::kWork, Mode::kExclusive, 0, 0});
      steps.push_back({Verb::kRelease, Mode::kExclusive, 0, 0});
    }
  }
  return program;
}

/// What the calls of each worker returned, and in which order the guarded data was worked on.
std::string outcome_of(const std::vector<hobbs::explore::Event>& events, const Program& program) {
  std::vector<std::string> calls(program.workers.size());
  std::string order;
  using Kind = hobbs::explore::Event::Kind;
  for (const hobbs::explore::Event& event : events) {
    if (event.kind == Kind::kReturn) {
      calls[static_cast<std::size_t>(event.worker)] += std::string(to_string(event.outcome)) + " ";
    } else if (event.kind == Kind::kWork && !has_shared_steps(program)) {
      order += std::to_string(event.worker);
    }
  }
  for (const std::string& call : calls) order += "|" + call;
  return order;
}

std::string calls_of(WorkerBehaviour& behaviour, const Graph& graph, int thread) {
  std::vector<Node> nodes;
  const Place end = place_of(behaviour, graph, thread);
  nodes.push_back(end.node);
  for (Index e = graph.last(thread); e != kNone; e = graph[e].prior) {
    if (nodes.back() != graph[e].node) nodes.push_back(graph[e].node);
  }
  std::string calls;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    for (const Mark& mark : behaviour.marks(*node)) {
      if (!mark.begins) calls += std::string(to_string(mark.outcome)) + " ";
    }
  }
  return calls;
}

std::string outcome_of(WorkerBehaviour& behaviour, const Graph& graph, const Program& program) {
  std::map<int, int> writers;  // By how many writes of the data come before.
  for (Index e = 0; e < graph.size() && !has_shared_steps(program); ++e) {
    if (graph[e].kind != Kind::kPlainWrite) continue;
    int before = 0;
    for (Index w = 0; w < graph.size(); ++w) {
      before += w != e && graph[w].kind == Kind::kPlainWrite &&
                graph[e].before.contains(graph[w].thread, graph[w].position);
    }
    writers[before] = graph[e].thread;
  }
  std::string outcome;
  for (const auto& [place, writer] : writers) outcome += std::to_string(writer);
  for (int t = 0; t < graph.threads(); ++t) outcome += "|" + calls_of(behaviour, graph, t);
  return outcome;
}

struct Comparison {
  int programs = 0;
  int compared = 0;  // With a finished depth-first search.
  int refused = 0;   // The lock cannot be searched.
  int too_many = 0;  // Executions.
};

/// All that the graphs come to; false if there are too many.
bool outcomes_by_graphs(WorkerBehaviour& behaviour, const Program& program, Model model,
                        Outcomes& outcomes) {
  Bounds bounds;
  bounds.graphs = kMostGraphs;
  bool sound = true;
  const auto visit = [&](const Graph& graph, Ending ending) {
    sound &= ending == Ending::kComplete || ending == Ending::kBlocked;
    if (ending == Ending::kComplete) outcomes.insert(outcome_of(behaviour, graph, program));
    return behaviour.refusal().empty();
  };
  const Tally tally = Explorer(behaviour, model, bounds).run(visit);
  const bool apart = behaviour.keeps_apart();
  EXPECT_TRUE(sound || !apart) << to_text(program);
  return tally.limit == Limit::kNone;
}

/// What a strategy's executions come to; true if it has nothing left.
bool outcomes_by(Strategy& strategy, hobbs::explore::Explorer& explorer, const Program& program,
                 std::uint64_t executions, Outcomes& outcomes) {
  std::vector<hobbs::explore::Event> events;
  explorer.listen(&events);
  for (std::uint64_t i = 0; i < executions; ++i) {
    if (!strategy.begin()) return true;
    events.clear();
    const auto& ending = explorer.run(strategy);
    if (ending.kind == hobbs::explore::Ending::Kind::kBroken) {
      ADD_FAILURE() << ending.broken.text << " in " << to_text(program) << ": "
                    << to_text(explorer.schedule());
      return false;
    }
    if (ending.kind == hobbs::explore::Ending::Kind::kDone) {
      outcomes.insert(outcome_of(events, program));
    }
  }
  return false;
}

std::string missing(const Outcomes& all, const Outcomes& some) {
  for (const std::string& outcome : some) {
    if (!all.contains(outcome)) return outcome;
  }
  return "";
}

void compare(const LockSpec& lock, const Program& program, std::uint64_t seed, Comparison& sum) {
  ++sum.programs;
  SCOPED_TRACE(lock.name);
  const std::string about = lock.name + ", " + to_text(program);
  WorkerBehaviour behaviour(lock, program, usual_topology(lock));
  constexpr MemoryModel kModels[] = {MemoryModel::kSc, MemoryModel::kTso, MemoryModel::kC11};
  constexpr Model kGraphModels[] = {Model::kSc, Model::kTso, Model::kC11};
  for (int m = 0; m < 3; ++m) {
    Outcomes graphs, plain;
    const bool all = outcomes_by_graphs(behaviour, program, kGraphModels[m], graphs);
    if (!behaviour.refusal().empty()) {
      ++sum.refused;
      return;
    }
    if (!all) {
      ++sum.too_many;
      return;
    }
    const auto explorer = hobbs::explore::Explorer::create(lock, kModels[m], usual_topology(lock));
    ASSERT_EQ(explorer->load(program), "");
    bool finished = false;
    if (kModels[m] == MemoryModel::kSc) {
      PlainSearch search;
      finished = outcomes_by(search, *explorer, program, kMostInterleavings, plain);
    } else {
      RandomWalk walk(seed);
      outcomes_by(walk, *explorer, program, kWalks, plain);
    }
    EXPECT_EQ(missing(graphs, plain), "") << "is lost under model " << m << ": " << about;
    if (!finished) continue;
    EXPECT_EQ(missing(plain, graphs), "") << "cannot be under model " << m << ": " << about;
    ++sum.compared;
  }
}

TEST(Soundness, OutcomesAreThoseOfThePlainSearch) {
  Comparison sum;
  Random random(20'261'126);
  for (const LockSpec& lock : reference_catalog()) {
    if (!lock.controlled.available() || lock.home == Home::kPath) continue;
    for (int i = 0; i < kProgramsPerLock; ++i) {
      compare(lock, random_program(lock, random), random.next(), sum);
    }
  }
  std::printf("%d programs: %d compared with all interleavings, %d refused, %d too large\n",
              sum.programs, sum.compared, sum.refused, sum.too_many);
  EXPECT_GE(sum.programs - sum.refused - sum.too_many, 300);
  EXPECT_GE(sum.compared, 100);
}

/// What a search that comes back to its workers with so much memory for images meets.
std::string met(const LockSpec& lock, const Program& program, std::size_t most_image_bytes) {
  WorkerBehaviour behaviour(lock, program, usual_topology(lock), false, most_image_bytes);
  Bounds bounds;
  bounds.graphs = 300;
  Outcomes outcomes;
  const auto visit = [&](const Graph& graph, Ending) {
    outcomes.insert(outcome_of(behaviour, graph, program));
    return behaviour.refusal().empty();
  };
  const Tally tally = Explorer(behaviour, Model::kC11, bounds).run(visit);
  std::string all = std::to_string(tally.executions) + " " + std::to_string(tally.blocked) + " " +
                    std::to_string(behaviour.size()) + behaviour.refusal();
  for (const std::string& outcome : outcomes) all += " " + outcome;
  return all;
}

/// Without that, coming back would be by answers everywhere.
TEST(Soundness, ImagesAreTaken) {
  const LockSpec lock = reference_catalog().front();
  const Program program = parse_program("lock unlock | lock unlock").program;
  LoneWorker worker(lock, program, Topology::kFork);
  LoneWorker::Image image;
  std::vector<std::byte> bytes;
  worker.start(0);
  EXPECT_TRUE(worker.take_image(image, bytes));
}

TEST(Soundness, ComingBackByImagesIsComingBackByAnswers) {
  constexpr std::size_t kFew = 4'000;
  Random random(1851);
  for (const LockSpec& lock : reference_catalog()) {
    if (!lock.controlled.available() || lock.home == Home::kPath) continue;
    for (int i = 0; i < kProgramsPerLock; ++i) {
      const Program program = random_program(lock, random);
      const std::string by_answers = met(lock, program, 0);
      EXPECT_EQ(met(lock, program, SIZE_MAX), by_answers) << lock.name << to_text(program);
      EXPECT_EQ(met(lock, program, kFew), by_answers) << lock.name << to_text(program);
    }
  }
}

/// Counts its looks in a block of its own.
template <class P>
struct Allocating {
  typename P::template atomic<std::uint32_t> word{0};
  void lock() {
    const auto looks = std::make_unique<std::uint32_t>(0);
    std::uint32_t* volatile escaped = looks.get();
    while (word.exchange(1, std::memory_order_acquire) != 0) {
      ++*escaped;
      P::pause();
    }
  }
  void unlock() { word.store(0, std::memory_order_release); }
};

TEST(Soundness, WhoUsesTheHeapIsRefused) {
  const LockSpec lock = spec_of<Allocating>("allocating");
  const Program program = parse_program("lock unlock | lock unlock").program;
  for (int i = 0; i < 3; ++i) {  // A block that is freed twice need not be noticed at once.
    WorkerBehaviour behaviour(lock, program, Topology::kFork);
    Explorer(behaviour, Model::kC11, {}).run([&](const Graph&, Ending) {
      return behaviour.refusal().empty();
    });
    EXPECT_EQ(behaviour.refusal(), "it allocates memory");
  }
}

/// Re-entrant: its owner is known by where its stack is.
template <class P>
struct OwnedByStack {
  typename P::template atomic<std::uintptr_t> owner{0};
  void lock() {
    volatile char here = 0;
    std::uintptr_t nobody = 0;
    while (!owner.compare_exchange_strong(nobody, reinterpret_cast<std::uintptr_t>(&here))) {
      nobody = 0;
      P::pause();
    }
  }
  void unlock() { owner.store(0); }
};

TEST(Soundness, WhoIsKnownByItsStackIsRefused) {
  const LockSpec lock = spec_of<OwnedByStack>("owned_by_stack");
  const Program program = plain_program(2, 1);
  WorkerBehaviour behaviour(lock, program, Topology::kFork);
  Explorer(behaviour, Model::kC11, {}).run([&](const Graph&, Ending) {
    return behaviour.refusal().empty();
  });
  EXPECT_EQ(behaviour.refusal(), "it knows its workers by addresses on their stacks");
}

/// The first worker counts in plain data how often the lock was passed on to it, and keeps it if it
/// was at all.
template <class P>
struct Batching {
  typename P::template atomic<std::uint32_t> word{0};
  typename P::template atomic<std::uint32_t> last{0};  // Who held it.
  std::uint32_t batch[4] = {};                         // By worker.
  void lock() {
    while (word.exchange(1, std::memory_order_acquire) != 0) P::pause();
    const std::uint32_t before = last.load(std::memory_order_relaxed);
    batch[P::self()] = P::self() == 1 && before == 2 ? batch[2] + 1 : 1;
  }
  void unlock() {
    last.store(P::self(), std::memory_order_relaxed);
    if (batch[P::self()] == 1) word.store(0, std::memory_order_release);
  }
};

/// Alone, it reads 0 of the other's and then has 1, as if it had come first: but there its paths
/// must not meet.
TEST(Soundness, WhatOthersWrotePlainlyMayTellLater) {
  const LockSpec lock = spec_of<Batching>("batching");
  const Program program = plain_program(2, 2);
  WorkerBehaviour behaviour(lock, program, usual_topology(lock));
  Explorer(behaviour, Model::kC11, {}).run([](const Graph&, Ending) { return true; });
  EXPECT_FALSE(behaviour.keeps_apart());
  EXPECT_NE(behaviour.refusal().find("plain data"), std::string::npos) << behaviour.refusal();
}

/// All that a search of three models meets, by workers that are taken for alike or not. `apart`:
/// whether they turned out not to be.
std::string met_alike(const LockSpec& lock, const Program& program, bool alike, bool& apart) {
  std::string all;
  for (const Model model : {Model::kSc, Model::kTso, Model::kC11}) {
    WorkerBehaviour behaviour(lock, program, usual_topology(lock), alike);
    Bounds bounds;
    bounds.graphs = 300;
    std::multiset<std::string> outcomes;
    const auto visit = [&](const Graph& graph, Ending) {
      outcomes.insert(outcome_of(behaviour, graph, program));
      return behaviour.refusal().empty();
    };
    const Tally tally = Explorer(behaviour, model, bounds).run(visit);
    apart = behaviour.tells_apart();
    if (apart) return "";
    all += std::to_string(tally.executions) + " " + std::to_string(tally.blocked) + " " +
           std::to_string(tally.dropped) + behaviour.refusal();
    for (const std::string& outcome : outcomes) all += " " + outcome;
  }
  return all;
}

TEST(Soundness, WorkersThatAreAlikeDoTheSame) {
  Random random(1818);
  int alike = 0;
  for (const LockSpec& lock : reference_catalog()) {
    if (!lock.controlled.available() || lock.home == Home::kPath) continue;
    for (int i = 0; i < kProgramsPerLock; ++i) {
      Program program = random_program(lock, random);
      program.workers.back() = program.workers.front();
      bool apart = false;
      const std::string by_one = met_alike(lock, program, true, apart);
      if (apart) break;
      ++alike;
      EXPECT_EQ(by_one, met_alike(lock, program, false, apart)) << lock.name << to_text(program);
    }
  }
  std::printf("%d programs of workers that are alike\n", alike);
  EXPECT_GE(alike, 100);
}

/// A lock that looks at what makes a worker another: its number, its process, or plain data that it
/// writes.
enum class Difference { kNumber, kProcess, kPlainData };
template <class P, Difference kDifference>
struct Differing {
  typename P::template atomic<std::uint32_t> word{0};
  std::uint32_t plain = 0;
  void lock() {
    while (word.exchange(1, std::memory_order_acquire) != 0) P::pause();
    if (kDifference == Difference::kNumber && P::self() == 0) P::pause();
    if (kDifference == Difference::kProcess && P::pid() == 0) P::pause();
    if (kDifference == Difference::kPlainData) ++plain;
  }
  void unlock() { word.store(0, std::memory_order_release); }
};
template <class P>
using Numbered = Differing<P, Difference::kNumber>;
template <class P>
using OfProcess = Differing<P, Difference::kProcess>;
template <class P>
using Counting = Differing<P, Difference::kPlainData>;

TEST(Soundness, WhoTellsItselfApartIsNotTakenForAnother) {
  const Program same = plain_program(2, 1);
  const Program others = parse_program("lock unlock | lock unlock lock unlock").program;
  for (const LockSpec& lock :
       {spec_of<Numbered>("numbered"), spec_of<OfProcess>("process"), spec_of<Counting>("plain")}) {
    const auto tells_apart = [&lock](const Program& program) {
      WorkerBehaviour behaviour(lock, program, Topology::kFork, true);
      Explorer(behaviour, Model::kC11, {}).run([&](const Graph&, Ending) {
        return behaviour.refusal().empty();
      });
      return behaviour.tells_apart();
    };
    EXPECT_TRUE(tells_apart(same)) << lock.name;
    EXPECT_FALSE(tells_apart(others)) << lock.name;
    const auto explorer = hobbs::explore::Explorer::create(lock, MemoryModel::kSc, Topology::kFork);
    ASSERT_EQ(explorer->load(same), "");
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    const Exhausted found =
        exhaust(lock, same, MemoryModel::kSc, Topology::kFork, *explorer, until);
    const bool plain = lock.name == "plain";
    EXPECT_EQ(found.why_not, plain ? "its workers share plain data" : "") << lock.name;
    EXPECT_EQ(found.complete, !plain) << lock.name;
    EXPECT_FALSE(found.caught) << lock.name;
  }
}

TEST(Soundness, BrokenIsWhatThePlainSearchCallsBroken) {
  Random random(4'711);
  int compared = 0;
  for (const mutants::Mutant& mutant : mutants::gallery()) {
    LockSpec lock = mutant.lock;
    lock.claims.fairness = Fairness::kNone;  // Graphs do not tell apart who came first.
    for (int i = 0; i < kProgramsPerMutant; ++i) {
      const Program program = random_program(lock, random);
      const auto explorer =
          hobbs::explore::Explorer::create(lock, MemoryModel::kSc, usual_topology(lock));
      ASSERT_EQ(explorer->load(program), "");
      const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      PlainSearch search;
      const Stretch plain = hunt(*explorer, program, MemoryModel::kSc, usual_topology(lock), search,
                                 kMostInterleavings, until);
      if (!plain.caught && !plain.exhausted) continue;
      const Exhausted graphs =
          exhaust(lock, program, MemoryModel::kSc, usual_topology(lock), *explorer, until);
      if (!graphs.caught && !graphs.complete) continue;
      ++compared;
      EXPECT_EQ(graphs.caught.has_value(), plain.caught.has_value())
          << lock.name << ", " << to_text(program) << ": "
          << (plain.caught ? plain.caught->broken.text : graphs.caught->broken.text);
    }
  }
  std::printf("%d programs over broken locks compared\n", compared);
  EXPECT_GE(compared, 200);
}

}  // namespace
}  // namespace hobbs::explore::graph
