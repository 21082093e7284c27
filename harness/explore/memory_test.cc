// Litmus tests of the explorer's memory: each outcome that a model allows is reached, and none that
// it forbids.
//
// A litmus test is written as a "lock": the outcome in question is that two workers' tries both
// succeed, which the judge reports. Verdicts: sc and tso from Owens, Sarkar and Sewell, "A better
// x86 memory model" (2009); c11 from Batty et al., "Mathematizing C++ concurrency" (2011), with
// load buffering forbidden (Lahav et al., PLDI 2017).
#include <gtest/gtest.h>

#include <array>

#include "harness/explore/bounded_search.h"
#include "harness/explore/hunt.h"
#include "harness/explore/random_walk.h"
#include "locks/spec_of.h"
#include "scenarios/program.h"

namespace hobbs::explore {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kBoth = std::memory_order_acq_rel;
constexpr auto kSeqCst = std::memory_order_seq_cst;

/// What all of them have: three words, and calls of which only try_lock() matters.
template <class P, class Test>
struct Litmus {
  static constexpr Claims claims{.spurious_try_failure = true};
  using Word = typename P::template atomic<std::uint32_t>;
  Word x{}, y{}, z{};

  void lock() {}
  void unlock() {}
  bool try_lock() { return static_cast<Test*>(this)->run(P::self()); }
};

template <class P>
struct StoreBuffering : Litmus<P, StoreBuffering<P>> {
  bool run(std::uint32_t me) {
    auto& mine = me == 1 ? this->x : this->y;
    auto& other = me == 1 ? this->y : this->x;
    mine.store(1, kRelease);
    return other.load(kAcquire) == 0;
  }
};

template <class P>
struct StoreBufferingSeqCst : Litmus<P, StoreBufferingSeqCst<P>> {
  bool run(std::uint32_t me) {
    auto& mine = me == 1 ? this->x : this->y;
    auto& other = me == 1 ? this->y : this->x;
    mine.store(1, kSeqCst);
    return other.load(kSeqCst) == 0;
  }
};

template <class P>
struct StoreBufferingUpdates : Litmus<P, StoreBufferingUpdates<P>> {
  bool run(std::uint32_t me) {
    auto& mine = me == 1 ? this->x : this->y;
    auto& other = me == 1 ? this->y : this->x;
    mine.exchange(1, kBoth);
    return other.load(kAcquire) == 0;
  }
};

template <class P>
struct MessageRelaxed : Litmus<P, MessageRelaxed<P>> {
  bool run(std::uint32_t me) {
    if (me == 2) return this->y.load(kRelaxed) == 1 && this->x.load(kRelaxed) == 0;
    this->x.store(1, kRelaxed);
    this->y.store(1, kRelaxed);
    return true;
  }
};

template <class P>
struct MessagePassing : Litmus<P, MessagePassing<P>> {
  bool run(std::uint32_t me) {
    if (me == 2) return this->y.load(kAcquire) == 1 && this->x.load(kRelaxed) == 0;
    this->x.store(1, kRelaxed);
    this->y.store(1, kRelease);
    return true;
  }
};

template <class P>
struct LoadBuffering : Litmus<P, LoadBuffering<P>> {
  bool run(std::uint32_t me) {
    auto& in = me == 1 ? this->x : this->y;
    auto& out = me == 1 ? this->y : this->x;
    const bool saw = in.load(kRelaxed) == 1;
    out.store(1, kRelaxed);
    // Not for the judge, who tries once more when all is over.
    return this->z.fetch_add(1, kRelaxed) < 2 && saw;
  }
};

template <class P>
struct Coherence : Litmus<P, Coherence<P>> {
  bool run(std::uint32_t me) {
    if (me == 2) {
      const std::uint32_t first = this->x.load(kRelaxed);
      return this->x.load(kRelaxed) < first;
    }
    this->x.store(1, kRelaxed);
    this->x.store(2, kRelaxed);
    return true;
  }
};

template <class P>
struct IndependentReads : Litmus<P, IndependentReads<P>> {
  bool run(std::uint32_t me) {
    if (me == 1) this->x.store(1, kRelease);
    if (me == 2) this->y.store(1, kRelease);
    if (me == 3) return this->x.load(kAcquire) == 1 && this->y.load(kAcquire) == 0;
    if (me == 4) return this->y.load(kAcquire) == 1 && this->x.load(kAcquire) == 0;
    return false;
  }
};

template <class P>
struct IndependentReadsSeqCst : Litmus<P, IndependentReadsSeqCst<P>> {
  bool run(std::uint32_t me) {
    if (me == 1) this->x.store(1, kSeqCst);
    if (me == 2) this->y.store(1, kSeqCst);
    if (me == 3) return this->x.load(kSeqCst) == 1 && this->y.load(kSeqCst) == 0;
    if (me == 4) return this->y.load(kSeqCst) == 1 && this->x.load(kSeqCst) == 0;
    return false;
  }
};

template <class P>
struct IndependentReadsOfReleases : Litmus<P, IndependentReadsOfReleases<P>> {
  // What a seq_cst load has seen, no later one of that order may miss, whoever wrote it.
  bool run(std::uint32_t me) {
    if (me == 1) this->x.store(1, kRelease);
    if (me == 2) this->y.store(1, kRelease);
    if (me == 3) return this->x.load(kSeqCst) == 1 && this->y.load(kSeqCst) == 0;
    if (me == 4) return this->y.load(kSeqCst) == 1 && this->x.load(kSeqCst) == 0;
    return false;
  }
};

template <class P>
struct ReadToWrite : Litmus<P, ReadToWrite<P>> {
  bool run(std::uint32_t me) {
    if (me == 1) this->x.store(1, kRelease);
    if (me == 2) return this->x.load(kSeqCst) == 1 && this->y.load(kSeqCst) == 0;
    if (me == 3) this->y.store(1, kSeqCst);
    return me == 3 && this->x.load(kSeqCst) == 0;
  }
};

template <class P>
struct ReleaseSequence : Litmus<P, ReleaseSequence<P>> {
  // The update carries the release on.
  bool run(std::uint32_t me) {
    if (me == 1) {
      this->x.store(1, kRelaxed);
      this->y.store(1, kRelease);
      return true;
    }
    if (me == 2) {
      std::uint32_t one = 1;
      this->y.compare_exchange_strong(one, 2, kRelaxed, kRelaxed);
      return false;
    }
    return this->y.load(kAcquire) == 2 && this->x.load(kRelaxed) == 0;
  }
};

template <class P>
struct BrokenReleaseSequence : Litmus<P, BrokenReleaseSequence<P>> {
  // Somebody else's store does not.
  bool run(std::uint32_t me) {
    if (me == 1) {
      this->x.store(1, kRelaxed);
      this->y.store(1, kRelease);
      return true;
    }
    if (me == 2) {
      if (this->y.load(kRelaxed) == 1) this->y.store(2, kRelaxed);
      return false;
    }
    return this->y.load(kAcquire) == 2 && this->x.load(kRelaxed) == 0;
  }
};

template <class P>
struct Causality : Litmus<P, Causality<P>> {
  // Write to read causality over a third worker.
  bool run(std::uint32_t me) {
    if (me == 1) {
      this->x.store(1, kRelease);
      return true;
    }
    if (me == 2) {
      if (this->x.load(kAcquire) == 1) this->y.store(1, kRelease);
      return false;
    }
    return this->y.load(kAcquire) == 1 && this->x.load(kRelaxed) == 0;
  }
};

template <class P>
struct UpdatesAreAtomic : Litmus<P, UpdatesAreAtomic<P>> {
  bool run(std::uint32_t) { return this->x.fetch_add(1, kRelaxed) == 0; }
};

struct Row {
  const char* name;
  LockSpec spec;
  const char* program;
  bool sc, tso, c11;  // Whether the outcome is allowed.
};

std::vector<Row> rows() {
  const char* const two = "try | try";
  const char* const three = "try | try | try";
  const char* const four = "try | try | try | try";
  return {
      {"StoreBuffering", spec_of<StoreBuffering>("sb"), two, false, true, true},
      {"StoreBufferingSeqCst", spec_of<StoreBufferingSeqCst>("sb_sc"), two, false, false, false},
      {"StoreBufferingUpdates", spec_of<StoreBufferingUpdates>("sb_rmw"), two, false, false, true},
      {"MessageRelaxed", spec_of<MessageRelaxed>("mp_rlx"), two, false, false, true},
      {"MessagePassing", spec_of<MessagePassing>("mp"), two, false, false, false},
      {"LoadBuffering", spec_of<LoadBuffering>("lb"), two, false, false, false},
      {"Coherence", spec_of<Coherence>("corr"), two, false, false, false},
      {"IndependentReads", spec_of<IndependentReads>("iriw"), four, false, false, true},
      {"IndependentReadsSeqCst", spec_of<IndependentReadsSeqCst>("iriw_sc"), four, false, false,
       false},
      {"IndependentReadsOfReleases", spec_of<IndependentReadsOfReleases>("iriw_sc_reads"), four,
       false, false, false},
      {"ReadToWrite", spec_of<ReadToWrite>("rwc"), three, false, false, false},
      {"ReleaseSequence", spec_of<ReleaseSequence>("rs"), three, false, false, false},
      {"BrokenReleaseSequence", spec_of<BrokenReleaseSequence>("rs_broken"), three, false, false,
       true},
      {"Causality", spec_of<Causality>("wrc"), three, false, false, false},
      {"UpdatesAreAtomic", spec_of<UpdatesAreAtomic>("rmw"), three, false, false, false},
  };
}

class MemoryModels : public testing::TestWithParam<Row> {};

TEST_P(MemoryModels, ReachWhatTheyAllowAndNothingElse) {
  const Row& row = GetParam();
  const Program program = parse_program(row.program).program;
  const std::array<std::pair<MemoryModel, bool>, 3> verdicts{
      {{MemoryModel::kSc, row.sc}, {MemoryModel::kTso, row.tso}, {MemoryModel::kC11, row.c11}}};
  for (const auto& [model, allowed] : verdicts) {
    const auto explorer = Explorer::create(row.spec, model, Topology::kFork);
    ASSERT_EQ(explorer->load(program), "");
    BoundedSearch everything(INT32_MAX / 2);
    const Stretch stretch = hunt(*explorer, program, model, Topology::kFork, everything, UINT64_MAX,
                                 Clock::time_point::max());
    EXPECT_EQ(stretch.refused, "");
    EXPECT_EQ(stretch.caught.has_value(), allowed)
        << "model " << static_cast<int>(model) << ", " << stretch.executions
        << " executions: " << (stretch.caught ? stretch.caught->broken.text : "");
    EXPECT_TRUE(allowed || stretch.exhausted);
  }
}

/// Never given back; who waits writes as it looks (or does not), and no look is like another.
template <class P, bool kWrites>
class Scribble {
 public:
  void lock() {
    for (std::uint32_t i = 0; word_.exchange(1, kRelaxed) != 0; ++i) {
      for (auto& note : notes_) {
        if (kWrites) note.store(i, kRelaxed);
      }
      P::pause();
    }
  }
  void unlock() {}

 private:
  typename P::template atomic<std::uint32_t> word_{};
  std::array<typename P::template atomic<std::uint32_t>, 8> notes_{};
};
template <class P>
class Scribbles : public Scribble<P, true> {};
template <class P>
class Counts : public Scribble<P, false> {};

TEST(MemoryLimits, EndAnExecutionThatStoresForEver) {
  Program program;
  program.workers.assign(2, {{Verb::kAcquire, Mode::kExclusive, 0, 0}});
  const auto ending_of = [&program](const LockSpec& lock) {
    const auto explorer = Explorer::create(lock, MemoryModel::kC11, Topology::kFork);
    EXPECT_EQ(explorer->load(program), "");
    RandomWalk walk(1);
    walk.begin();
    return explorer->run(walk);
  };
  const Ending stored = ending_of(spec_of<Scribbles>("scribbles"));
  EXPECT_EQ(stored.kind, Ending::Kind::kLimit);
  EXPECT_EQ(stored.broken.text, "more stores than one execution keeps");
  EXPECT_EQ(ending_of(spec_of<Counts>("counts")).kind, Ending::Kind::kStuck);
}

INSTANTIATE_TEST_SUITE_P(Litmus, MemoryModels, testing::ValuesIn(rows()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hobbs::explore
