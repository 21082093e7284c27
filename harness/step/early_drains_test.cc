// A search that drains stores to calm words at once against one that tries everything before each
// drain: the same final states on drawn programs, the same verdicts and crash tables on locks.
#include "harness/step/early_drains.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "harness/step/programs.h"
#include "harness/step/search.h"
#include "harness/step/step_driver.h"
#include "harness/step/subjects_for_test.h"
#include "locks/adapters/adapters.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

constexpr unsigned kWords = 4, kOpsMax = 6, kWorkers = 3;

/// What a worker does in lock(): drawn, and the same for all processes.
struct Op {
  enum Kind : std::uint8_t {
    kEnd,
    kLoad,
    kStore,
    kExchange,
    kFence,
    kIfSeen,
    kWait,
    kWake,
  } kind = kEnd;
  std::uint8_t word = 0;
  std::uint8_t value = 0;
};
Op script[kWorkers][kOpsMax + 1];

/// Runs the script; what its loads saw is in the final state. It excludes nobody.
struct Scripted {
  std::atomic<std::uint32_t> words[kWords];
  std::atomic<std::uint32_t> seen[kWorkers];
  void lock() {
    const std::uint32_t me = RealPlatform::self() - 1;
    std::uint32_t all = 0, last = 0;
    for (const Op* op = script[me]; op->kind != Op::kEnd; ++op) {
      switch (op->kind) {
        case Op::kLoad: last = words[op->word].load(std::memory_order_acquire); break;
        case Op::kStore: words[op->word].store(op->value, std::memory_order_release); continue;
        case Op::kExchange: last = words[op->word].exchange(op->value); break;
        case Op::kFence: std::atomic_thread_fence(std::memory_order_seq_cst); continue;
        case Op::kWait: futex(words[op->word], FUTEX_WAIT, 0); continue;
        case Op::kWake: futex(words[op->word], FUTEX_WAKE, kWorkers); continue;
        default:
          if (last == 0) ++op;  // The next one only after something was seen.
          continue;
      }
      all = all * 8 + last + 1;
    }
    seen[me].store(all, std::memory_order_relaxed);
  }
  void unlock() {}
};

LockSpec scripted() {
  Claims claims;
  claims.semaphore = true;  // Else it would break rules, and its paths would end there.
  claims.permits = kWorkers;
  return spec_of<Scripted>("scripted", claims);
}

void draw_script(std::mt19937_64& random) {
  for (auto& ops : script) {
    const unsigned count = 2 + static_cast<unsigned>(random() % (kOpsMax - 1));
    for (unsigned i = 0; i <= kOpsMax; ++i) {
      static constexpr Op::Kind kKinds[] = {Op::kLoad,  Op::kLoad,   Op::kStore, Op::kStore,
                                            Op::kStore, Op::kIfSeen, Op::kWait,  Op::kWake,
                                            Op::kFence, Op::kExchange};
      ops[i] = {kKinds[random() % std::size(kKinds)], static_cast<std::uint8_t>(random() % kWords),
                static_cast<std::uint8_t>(1 + random() % 3)};
      if (i >= count) ops[i].kind = Op::kEnd;
    }
    // A condition is not the last: it would look beyond the end.
    if (ops[count - 1].kind == Op::kIfSeen) ops[count - 1].kind = Op::kFence;
  }
}

/// All states in which everybody has finished and nothing is buffered, as bytes.
std::set<std::string> final_states(const Graph& graph) {
  std::set<std::string> found;
  std::string local;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const State state = graph.space().expand(graph.state(i));
    bool drained = World::is_final(state.head);
    for (std::size_t w = 0; w < state.head.count; ++w) {
      drained = drained && state.head.workers[w].buffered == 0;
    }
    if (!drained) continue;
    std::string bytes(reinterpret_cast<const char*>(&state.head), head_bytes(state.head.count));
    bytes.append(reinterpret_cast<const char*>(state.shared.bytes), state.shared.used);
    for (std::size_t w = 0; w < state.head.count; ++w) {
      pack(state.locals[w], local);
      bytes += local;
    }
    found.insert(bytes);
  }
  return found;
}

bool gets_stuck(const Graph& graph) {
  const std::vector<std::uint8_t> can = graph.can_finish();
  return std::find(can.begin(), can.end(), 0) != can.end();
}

struct Sums {
  std::uint64_t states = 0, fewer_states = 0, with_calm_words = 0, stuck = 0;
};

/// What the kernel reads when worker 1 dies is stored to plainly by worker 2: the second node of
/// worker 1's robust list, which the kernel marks unless worker 2 has cut it off by then.
struct CutsOffAList {
  struct Node {
    std::atomic<std::uint32_t> word;
    std::uint8_t between[28];  // The C library has told the kernel of this distance.
    std::atomic<std::uint64_t> next;
  } nodes[2];
  std::atomic<std::uint32_t> seen;

  static robust_list_head* head() {
    static robust_list_head* const own = [] {
      robust_list_head* found = nullptr;
      std::size_t bytes = 0;
      ::syscall(SYS_get_robust_list, 0, &found, &bytes);
      return found;
    }();
    return own;
  }
  CutsOffAList() {
    nodes[0].word = nodes[1].word = thread_id_of(0);
    nodes[0].next = reinterpret_cast<std::uint64_t>(&nodes[1].next);
    nodes[1].next = reinterpret_cast<std::uint64_t>(head());
  }
  void lock() {
    if (RealPlatform::self() == 1) {
      head()->list.next = reinterpret_cast<robust_list*>(&nodes[0].next);
    } else {
      nodes[0].next.store(reinterpret_cast<std::uint64_t>(head()), std::memory_order_release);
      seen.store(1 + nodes[1].word.load(std::memory_order_acquire), std::memory_order_release);
    }
  }
  void unlock() { head()->list.next = &head()->list; }
};

/// Begins with all words as calm, and leaves out those that are seen not to be.
void expect_same_ends(World& world, Sums& sums) {
  const SearchLimits limits{.past_violations = true};
  Graph full(world);
  ASSERT_EQ(full.explore(world.initial(), limits), Graph::End::kComplete);
  SharedWords words;
  for (std::uint32_t at = 0; at < world.initial().shared.used; at += 4) words.set(at / 4);
  for (;;) {
    const CalmWords calm(words);
    Graph fewer(world, &calm);
    const Graph::End end = fewer.explore(world.initial(), limits);
    if (end == Graph::End::kSurprise) {
      const SharedWords before = words;
      words &= ~fewer.space().surprises().not_calm;
      ASSERT_NE(words, before) << "a surprise must teach something";
      continue;
    }
    ASSERT_EQ(end, Graph::End::kComplete) << fewer.summary();
    EXPECT_EQ(final_states(full), final_states(fewer));
    EXPECT_LE(fewer.size(), full.size());
    EXPECT_EQ(gets_stuck(full), gets_stuck(fewer));
    sums.stuck += gets_stuck(full) ? 1 : 0;
    sums.states += full.size();
    sums.fewer_states += fewer.size();
    sums.with_calm_words += fewer.size() < full.size() ? 1 : 0;
    return;
  }
}

TEST(EarlyDrains, WaitForWhatTheKernelReadsOfTheDead) {
  Claims claims;
  claims.semaphore = true;
  claims.permits = 2;
  World world(spec_of<CutsOffAList>("cuts off a list", claims),
              parse_program("lock unlock | lock unlock").program,
              {.memory = Memory::kTotalStoreOrder, .kills = 1});
  Sums sums;
  expect_same_ends(world, sums);
}

TEST(EarlyDrains, LeaveEveryFinalStateOfDrawnPrograms) {
  std::mt19937_64 random(11);
  Sums sums;
  for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("script " + std::to_string(i));
    const char* const program =
        i % 4 == 0 ? "lock unlock | lock unlock | lock unlock" : "lock unlock | lock unlock";
    // A world calls lock() once for real as it is made, and looks at the script later.
    for (auto& ops : script) ops[0].kind = Op::kEnd;
    World world(scripted(), parse_program(program).program, {.memory = Memory::kTotalStoreOrder});
    draw_script(random);
    expect_same_ends(world, sums);
  }
  EXPECT_GT(sums.with_calm_words, 100u);
  EXPECT_GT(sums.stuck, 20u);
  EXPECT_LT(sums.fewer_states, sums.states);
  RecordProperty("states", std::to_string(sums.states));
  RecordProperty("fewer states", std::to_string(sums.fewer_states));
}

void expect_same_ends_of(std::initializer_list<Op> first, std::initializer_list<Op> second) {
  for (auto& ops : script) ops[0].kind = Op::kEnd;
  World world(scripted(), parse_program("lock unlock | lock unlock").program,
              {.memory = Memory::kTotalStoreOrder});
  for (auto& ops : script) std::fill(std::begin(ops), std::end(ops), Op{});
  std::copy(first.begin(), first.end(), script[0]);
  std::copy(second.begin(), second.end(), script[1]);
  Sums sums;
  expect_same_ends(world, sums);
}

TEST(EarlyDrains, SeeAStoreThatFollowsASleep) {
  // The move that stores begins where worker 1 was woken, before other instructions.
  expect_same_ends_of({{Op::kWait, 0}, {Op::kStore, 1, 1}, {Op::kLoad, 2}},
                      {{Op::kWake, 0}, {Op::kExchange, 2, 1}, {Op::kLoad, 1}});
}

TEST(EarlyDrains, SeeThatOthersStoreThere) {
  // Worker 2's store may be the last though its load came before worker 1's first.
  expect_same_ends_of({{Op::kStore, 0, 1}, {Op::kStore, 1, 1}},
                      {{Op::kStore, 1, 2}, {Op::kLoad, 0}});
  expect_same_ends_of({{Op::kStore, 0, 1}, {Op::kExchange, 1, 1}},
                      {{Op::kStore, 1, 2}, {Op::kLoad, 0}});
}

/// The table without the numbers of states.
std::string table_of(const SearchReport& report) {
  std::string text;
  for (const CrashPoint& point : report.crash_points) {
    text += point.role + " " + point.instruction + " " + point.outcome() + "\n";
  }
  return text;
}

/// Follows the path in a world of all stops: it is one, and only its end breaks a rule.
void expect_path(World& world, const SearchReport& report) {
  State state = world.initial();
  std::vector<Transition> enabled;
  for (std::size_t i = 0; i < report.path.size(); ++i) {
    world.enabled(state, enabled);
    ASSERT_NE(std::find(enabled.begin(), enabled.end(), report.path[i]), enabled.end());
    const Incident incident = world.step(state, report.path[i]);
    ASSERT_TRUE(incident.none() || i + 1 == report.path.size());
  }
}

void expect_same_verdict(const LockSpec& lock, const Program& program, const WorldOptions& options,
                         Sums& sums) {
  World world(lock, program, options);
  const SearchReport early = search(world, {});
  const SearchReport late = search(world, {.all_drains = true});
  const std::string what = lock.name + " " + to_text(program);
  EXPECT_EQ(early.end, late.end) << what << ": " << early.summary << "; " << late.summary;
  EXPECT_EQ(early.rule, late.rule) << what;
  EXPECT_EQ(early.stuck_as_promised > 0, late.stuck_as_promised > 0) << what;
  EXPECT_EQ(table_of(early), table_of(late)) << what;
  EXPECT_LE(early.path.size(), late.path.size()) << what << " " << to_text(early.path);
  expect_path(world, early);
  sums.states += late.states;
  sums.fewer_states += early.states;
  sums.with_calm_words += early.states < late.states ? 1 : 0;
}

TEST(EarlyDrains, LeaveEveryVerdictAndCrashTableOfTheAdapters) {
  StepDriver driver;
  Sums sums;
  for (const LockSpec& lock : adapter_catalog()) {
    if (!driver.unfit(lock).empty() || lock.home == Home::kPath) continue;
    for (const NamedProgram& program : step_programs(lock, 0, 0, 0)) {
      const bool small = program.program.workers.size() == 2 || program.kills > 0;
      if (!small || program.name == "3x2-death") continue;
      expect_same_verdict(lock, program.program,
                          {.memory = Memory::kTotalStoreOrder,
                           .kills = program.kills,
                           .signals = program.signals},
                          sums);
    }
  }
  EXPECT_GT(sums.with_calm_words, 20u);
  EXPECT_LT(3 * sums.fewer_states, 2 * sums.states);
}

TEST(EarlyDrains, LeaveEveryVerdictOnTheBroken) {
  Sums sums;
  const WorldOptions tso{.memory = Memory::kTotalStoreOrder};
  const Program two = parse_program("lock unlock | lock unlock").program;
  const Program three = parse_program("lock unlock | lock unlock | lock unlock").program;
  expect_same_verdict(spec_of<NoStoreLoadFence>("no fence"), two, tso, sums);
  expect_same_verdict(spec_of<TestThenSet>("test then set"), two, tso, sums);
  expect_same_verdict(spec_of<PrivateFutex>("private futex"), two, tso, sums);
  expect_same_verdict(spec_of<ForgetsWaiters>("forgets waiters"), three, tso, sums);
}

}  // namespace
}  // namespace hobbs::step
