// The plain machine: operations take effect at once, in one thread, with nobody else about.
//
// For what happens before and after executions: constructing a lock, running its preset pairs,
// probing it when all is over. Time moves when somebody waits for it.
#pragma once

#include <algorithm>

#include "harness/explore/fibre.h"
#include "harness/explore/machine.h"

namespace hobbs::explore {

class DirectMachine final : public Machine {
 public:
  /// `fibre`: the fibre of `fibres` that calls run on, so that a call that would wait for somebody
  /// can be left where it is. `threads`: the workers are threads of one process.
  DirectMachine(Fibres& fibres, int fibre, FileSystem& files, bool threads)
      : fibres_(fibres), fibre_(fibre), files_(files), threads_(threads) {}

  /// Calls `job` as worker `id`; false if it would wait for ever.
  template <class Job>
  bool run(std::uint32_t id, std::int64_t now_ns, Job&& job) {
    id_ = id;
    now_ns_ = now_ns;
    patience_ = kPatience;
    finished_ = paused_ = napped_ = sleeps_ = operated_ = false;
    looks_ = looks_in_vain_ = 0;
    struct Frame {
      DirectMachine* self;
      Job* job;
    } frame{this, &job};
    fibres_.start(
        fibre_,
        [](void* argument) {
          Frame& f = *static_cast<Frame*>(argument);
          (*f.job)();
          f.self->looks_no_more();
          f.self->finished_ = true;
          f.self->fibres_.switch_to(Fibres::kMain);
        },
        &frame);
    const MachineScope scope(*this);
    fibres_.switch_to(fibre_);
    unsettled_ = patience_ <= 0 && !comes_back();
    return finished_;
  }

  /// The last run did not come to its end, but it is not proven that it never would.
  bool unsettled() const { return unsettled_; }

  Turn announce(Access, const void*, unsigned) override { return {}; }
  std::uint64_t load(const void* cell, unsigned size, std::memory_order, Site) override;
  void store(void* cell, unsigned size, std::uint64_t value, std::memory_order, Site) override;
  std::uint64_t read_modify_write(void* cell, Update update, std::uint64_t operand,
                                  std::memory_order, Site) override;
  bool compare_exchange(void* cell, CompareExchange how, std::uint64_t& expected,
                        std::uint64_t desired, Site) override;
  void fence(std::memory_order, Site) override {}
  WaitResult futex_wait(void* word, std::uint32_t expected, std::int64_t deadline_ns, bool,
                        Site) override;
  int futex_wake(void*, int, bool, Site) override { return 0; }
  Turn begin_pause(Site) override {
    paused_ = true;
    lose_patience();
    return {};
  }
  void end_pause() override {}
  void file_point(Site) override {}
  std::uint32_t self() override { return id_; }
  std::uint32_t pid() override { return kFirstPid + id_; }
  std::uint32_t thread() override { return threads_ ? id_ : 0; }
  bool alive(std::uint32_t id, Site) override { return (dead_ >> id & 1) == 0; }
  std::int64_t now_ns() override;
  long file_call(const FileCall& call) override;
  bool process_runs(std::uint32_t process) override {
    return process <= kFirstPid || process > kFirstPid + 64 || alive(process - kFirstPid, {});
  }
  void plain(unsigned, unsigned, bool, Site) override {}
  void refuse_call(const char*) override {
    if (!only_looks_) return;
    sleeps_ = true;
    give_up();
  }

  /// In the last run: how many looks in a row, with pauses between, were in vain before the worker
  /// did something else (0: it never tired of them); and whether it slept until some time.
  int looks_in_vain() const { return looks_in_vain_; }
  bool napped() const { return napped_; }
  /// Whether it looked at an atomic or wrote one.
  bool operated() const { return operated_; }

  /// Whether runs only look what somebody does: they end after so many operations whatever those
  /// change, and at a call that is not modelled, which may wait in the kernel.
  void only_look(bool looks) { only_looks_ = looks; }
  /// Bit i: worker id i is dead.
  void set_dead(std::uint64_t ids) { dead_ = ids; }

 private:
  static constexpr std::uint32_t kFirstPid = 1000;
  static constexpr std::uint32_t kFirstOutsider = 3000;  // Processes that are no worker's.
  static constexpr int kPatience = 20'000;               // Operations in a row that change nothing.
  static constexpr int kLongestRound = 1'000;            // Operations of a spin that it repeats.
  void give_up() { fibres_.switch_to(Fibres::kMain); }
  bool comes_back();
  void lose_patience() {
    if (--patience_ <= 0) give_up();
  }
  void write(void* cell, unsigned size, std::uint64_t value);
  /// It does something else than to look.
  void looks_no_more() {
    if (paused_) looks_in_vain_ = std::max(looks_in_vain_, looks_);
    paused_ = false;
    looks_ = 0;
  }

  Fibres& fibres_;
  const int fibre_;
  FileSystem& files_;
  const bool threads_;
  std::uint32_t id_ = 1;
  std::int64_t now_ns_ = 0;
  std::uint64_t dead_ = 0;
  int patience_ = 0;
  int looks_ = 0, looks_in_vain_ = 0;
  int asks_ = 0;         // For the time, in a row.
  bool paused_ = false;  // Since it began to look.
  bool napped_ = false;
  bool operated_ = false;
  bool sleeps_ = false;  // For ever.
  bool finished_ = false;
  bool unsettled_ = false;
  bool only_looks_ = false;
};

}  // namespace hobbs::explore
