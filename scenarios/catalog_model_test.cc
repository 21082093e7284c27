// Every reference lock against the executable specification, call by call: four workers make one
// call at a time, and only such as may not wait, so any order of calls can be tried.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "locks/lock.h"
#include "locks/real_platform.h"
#include "scenarios/model.h"

namespace hobbs {
namespace {

using Choice = std::tuple<unsigned, unsigned, unsigned>;  // Worker, verb, mode.

/// The call that a verb stands for; null if the lock does not offer it. A timed call's deadline
/// has passed.
Outcome (*call_of(const LockOps& ops, Verb verb, Mode mode))(void*) {
  const bool shared = mode == Mode::kShared;
  switch (verb) {
    case Verb::kAcquire: return shared ? ops.acquire_shared : ops.acquire;
    case Verb::kTry: return shared ? ops.try_acquire_shared : ops.try_acquire;
    case Verb::kRelease: return shared ? ops.release_shared : ops.release;
    case Verb::kUpgrade: return ops.upgrade;
    case Verb::kTryUpgrade: return ops.try_upgrade;
    case Verb::kDowngrade: return ops.downgrade;
    default: return nullptr;
  }
}

/// A thread that makes the calls of one worker: some locks know their holders by their threads.
class Hand {
 public:
  explicit Hand(std::uint32_t worker) : thread_([this, worker] { work(worker); }) {}
  ~Hand() {
    run(nullptr);
    thread_.join();
  }

  /// Runs the call there, and returns when it has been made.
  void run(std::function<void()> call) {
    std::unique_lock<std::mutex> guard(mutex_);
    call_ = std::move(call);
    is_waiting_ = false;
    changed_.notify_all();
    changed_.wait(guard, [this] { return is_waiting_; });
  }

 private:
  void work(std::uint32_t worker) {
    RealPlatform::attach(worker);
    std::unique_lock<std::mutex> guard(mutex_);
    for (;;) {
      changed_.wait(guard, [this] { return !is_waiting_; });
      if (call_) call_();
      is_waiting_ = true;
      changed_.notify_all();
      if (!call_) return;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> call_;
  bool is_waiting_ = true;
  std::thread thread_;
};

/// The workers' threads, made when first needed.
Hand& hand_of(std::uint32_t worker) {
  static std::map<std::uint32_t, Hand> hands;
  return hands.try_emplace(worker, worker).first->second;
}

class Player {
 public:
  explicit Player(const LockSpec& spec)
      : spec_(spec), ops_(spec.real), model_(spec), bytes_(ops_.size + ops_.align) {
    void* at = bytes_.data();
    std::size_t room = bytes_.size();
    lock_ = std::align(ops_.align, ops_.size, at, room);
    ops_.construct(lock_, nullptr);
    fresh_.assign(bytes(), bytes() + ops_.size);
  }
  ~Player() { ops_.destroy(lock_); }

  void play(const Choice& choice) {
    const auto [worker, verb, mode] = choice;
    static constexpr Verb kVerbs[] = {Verb::kAcquire,  Verb::kTry,     Verb::kTimed,
                                      Verb::kRelease,  Verb::kUpgrade, Verb::kTryUpgrade,
                                      Verb::kDowngrade};
    const std::uint32_t workers = std::min(spec_.claims.max_workers, 4u);
    make({.worker = 1 + worker % workers,
          .verb = kVerbs[verb % std::size(kVerbs)],
          .mode = mode % 2 == 0 ? Mode::kExclusive : Mode::kShared,
          .expired = true});
  }
  /// All release what they hold; then the lock must be as new where it claims so.
  void finish() {
    for (std::uint32_t worker = 1; worker <= kMaxWorkers; ++worker) {
      while (model_.holds(state_, worker, Mode::kExclusive)) release(worker, Mode::kExclusive);
      while (model_.holds(state_, worker, Mode::kShared)) release(worker, Mode::kShared);
    }
    while (spec_.claims.semaphore && state_.depth > 0) release(1, Mode::kExclusive);
    while (spec_.claims.semaphore && state_.depth < 0) make({.verb = Verb::kAcquire});
    RC_ASSERT(model_.is_free(state_));
    if (!spec_.claims.pristine_when_free) return;
    RC_ASSERT(std::memcmp(lock_, fresh_.data(), ops_.size) == 0);
  }

 private:
  void release(std::uint32_t worker, Mode mode) {
    make({.worker = worker, .verb = Verb::kRelease, .mode = mode});
  }
  void make(const Call& call) {
    const Expectation expected = model_.expect(state_, call);
    if (expected.undefined || expected.may_wait) return;
    auto* timed = call.mode == Mode::kShared ? ops_.acquire_shared_until : ops_.acquire_until;
    auto* plain = call_of(ops_, call.verb, call.mode);
    if (call.verb == Verb::kTimed ? timed == nullptr : plain == nullptr) return;
    Outcome outcome{};
    hand_of(call.worker).run([&] {
      outcome = call.verb == Verb::kTimed ? timed(lock_, 1) : plain(lock_);
    });
    if (!model_.apply(state_, call, outcome)) {
      RC_FAIL("worker " + std::to_string(call.worker) + ", verb " +
              std::to_string(static_cast<int>(call.verb)) + ", " +
              std::string(to_string(call.mode)) + ": " + std::string(to_string(outcome)) +
              "; right: " + to_string(expected.outcomes));
    }
  }

  const unsigned char* bytes() const { return static_cast<const unsigned char*>(lock_); }

  const LockSpec& spec_;
  LockOps ops_;
  Model model_;
  ModelState state_;
  std::vector<unsigned char> bytes_, fresh_;
  void* lock_;
};

class CatalogModel : public ::testing::TestWithParam<LockSpec> {};

TEST_P(CatalogModel, EveryCallDoesWhatTheModelSays) {
  const auto number = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<unsigned>());
  const auto choice = rc::gen::tuple(number, number, number);
  EXPECT_TRUE(rc::check(GetParam().name, [&] {
    const auto choices = *rc::gen::container<std::vector<Choice>>(choice);
    Player player(GetParam());
    for (const Choice& c : choices) player.play(c);
    player.finish();
  }));
}

Catalog in_memory_locks() {
  Catalog chosen;
  for (LockSpec& spec : reference_catalog()) {
    if (spec.home == Home::kMemory) chosen.push_back(spec);
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Catalog, CatalogModel, ::testing::ValuesIn(in_memory_locks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hobbs
