#include "harness/step/early_drains.h"

#include "harness/step/transition.h"
#include "harness/step/world.h"

namespace hobbs::step {
namespace {

using Kind = Transition::Kind;

/// Which rule the last transition of a path breaks; empty if none does.
std::string rule_of(World& world, State state, const std::vector<Transition>& path) {
  std::string rule;
  for (const Transition& transition : path) rule = world.step(state, transition).rule;
  return rule;
}

class Delayer {
 public:
  Delayer(World& world, const State& start, const CalmWords& calm)
      : world_(world), state_(start), calm_(calm) {}

  std::vector<Transition> delay(const std::vector<Transition>& path) {
    for (const Transition& transition : path) {
      const std::size_t w = transition.worker;
      if (transition.kind == Kind::kDrain && is_calm(w)) {
        ++owed_[w];
        continue;
      }
      if (transition.kind == Kind::kKill) owed_[w] = 0;  // Its end makes all visible.
      if (cannot_wait(transition)) pay(transition.worker);
      take(transition);
    }
    return made_;
  }

 private:
  bool is_calm(std::size_t w) const {
    const BufferedStore& store = state_.locals[w].buffer[owed_[w]];
    return calm_.all(store.offset, store.size);
  }
  bool cannot_wait(const Transition& transition) {
    const Local& local = state_.locals[transition.worker];
    if (owed_[transition.worker] == 0) return false;
    if (transition.kind == Kind::kDrain || local.buffered == kStoreBufferEntries) return true;
    return state_.head.workers[transition.worker].phase == Phase::kInCall &&
           world_.runner().pending(local, state_.shared).drains_first;
  }
  void pay(std::uint8_t w) {
    for (; owed_[w] > 0; --owed_[w]) take({Kind::kDrain, w});
  }
  void take(const Transition& transition) {
    world_.step(state_, transition);
    made_.push_back(transition);
  }

  World& world_;
  State state_;
  const CalmWords& calm_;
  std::array<std::uint8_t, kMaxStepWorkers> owed_{};
  std::vector<Transition> made_;
};

}  // namespace

CalmWords::CalmWords(const SharedWords& words) {
  bit_.fill(kNone);
  for (std::size_t word = 0; word < bit_.size() && count_ < 64; ++word) {
    if (words.test(word)) bit_[word] = static_cast<std::uint8_t>(count_++);
  }
}

std::uint64_t CalmWords::bits(std::uint32_t offset, std::uint32_t bytes) const {
  std::uint64_t found = 0;
  for (std::uint32_t word = offset / 4; bytes > 0 && word <= (offset + bytes - 1) / 4; ++word) {
    if (bit_[word] != kNone) found |= 1ull << bit_[word];
  }
  return found;
}

bool CalmWords::all(std::uint32_t offset, std::uint32_t bytes) const {
  for (std::uint32_t word = offset / 4; word <= (offset + bytes - 1) / 4; ++word) {
    if (bit_[word] == kNone) return false;
  }
  return true;
}

SharedWords CalmWords::words(std::uint64_t bits) const {
  SharedWords found;
  for (std::size_t word = 0; word < bit_.size(); ++word) {
    if (bit_[word] != kNone && (bits >> bit_[word] & 1) != 0) found.set(word);
  }
  return found;
}

bool drains_alone(const CalmWords& calm, const Local& local) {
  return local.buffered > 0 && calm.all(local.buffer[0].offset, local.buffer[0].size);
}

void note_next(const CalmWords& calm, const Access& next, Nearness& near) {
  const std::uint64_t bits = calm.bits(next.offset, next.bytes);
  near.touches |= bits;
  if (next.kind == Access::Kind::kStore) near.stores |= bits;
}

std::vector<Transition> with_late_drains(World& world, const State& start, const CalmWords& calm,
                                         const std::vector<Transition>& path) {
  if (calm.empty()) return path;
  std::vector<Transition> late = Delayer(world, start, calm).delay(path);
  // That nobody is near (WorkerHead::kAlone) is known only after the drains.
  return rule_of(world, start, late) == rule_of(world, start, path) ? late : path;
}

}  // namespace hobbs::step
