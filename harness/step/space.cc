#include "harness/step/space.h"

#include <cstring>
#include <set>

namespace hobbs::step {
namespace {

constexpr std::size_t kBlockBytes = 1 << 20;

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 0x9e3779b97f4a7c15ull ^ bytes.size();
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 16; left -= 16, at += 16) {
    std::uint64_t words[2];
    std::memcpy(words, at, 16);
    hash = fold(hash ^ words[0], 0xa0761d6478bd642full ^ words[1]);
  }
  std::uint64_t words[2] = {};
  std::memcpy(words, at, left);
  return fold(hash ^ words[0] ^ 0xe7037ed1a0b428dbull, 0x8ebc6af09c88c6e3ull ^ words[1]);
}

Pool::Pool() : slots_(1u << 12) {}

std::uint32_t& Pool::slot_of(std::string_view bytes, std::uint64_t hash) {
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at] != 0) {
    const Entry& entry = entries_[slots_[at] - 1];
    if (entry.hash == static_cast<std::uint32_t>(hash >> 32) && (*this)[slots_[at] - 1] == bytes) {
      break;
    }
    at = (at + 1) & (slots_.size() - 1);
  }
  return slots_[at];
}

void Pool::grow() {
  slots_.assign(2 * slots_.size(), 0);
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const std::string_view bytes = (*this)[i];
    slot_of(bytes, hash_of(bytes)) = i + 1;
  }
}

std::pair<std::uint32_t, bool> Pool::insert(std::string_view bytes) {
  if (2 * (entries_.size() + 1) > slots_.size()) grow();
  const std::uint64_t hash = hash_of(bytes);
  std::uint32_t& slot = slot_of(bytes, hash);
  if (slot != 0) return {slot - 1, false};
  if (blocks_.empty() || blocks_.back().size() + bytes.size() > kBlockBytes) {
    blocks_.emplace_back();
    blocks_.back().reserve(std::max(kBlockBytes, bytes.size()));
  }
  std::string& block = blocks_.back();
  entries_.push_back(
      {static_cast<std::uint32_t>(blocks_.size() - 1), static_cast<std::uint32_t>(block.size()),
       static_cast<std::uint32_t>(bytes.size()), static_cast<std::uint32_t>(hash >> 32)});
  block.append(bytes);
  slot = static_cast<std::uint32_t>(entries_.size());
  return {slot - 1, true};
}

/// The parts of a Compact, as World wants to reach them.
class Space::CompactBody final : public Body {
 public:
  CompactBody(Space& space, Compact& state) : space_(space), state_(state) {}
  Pending pending(std::size_t w) override {
    return space_.pending(state_.locals[w], state_.shared);
  }
  const Move& move(std::size_t w, const Input& input, bool& changed) override {
    const MoveEntry& entry = space_.move(state_.locals[w], state_.shared, input);
    if (space_.calm_ != nullptr && input.kind == Input::Kind::kKill) {
      space_.look_for_uneasy_death(state_, w, space_.moves_[entry.move - 1]);
    }
    changed = entry.shared != state_.shared;
    state_.locals[w] = entry.local;
    state_.shared = entry.shared;
    state_.head.workers[w].buffered = space_.buffered_[entry.local];
    return space_.moves_[entry.move - 1];
  }
  void wake(std::size_t w, std::int64_t result) override {
    state_.locals[w] = space_.woken(state_.locals[w], result);
  }

 private:
  Space& space_;
  Compact& state_;
};

Space::Space(World& world, const CalmWords* calm)
    : world_(world), calm_(calm), table_(1u << 12) {}

std::uint32_t Space::number_of(const Local& local) {
  pack(local, bytes_);
  const auto [number, is_new] = locals_.insert(bytes_);
  if (is_new) {
    buffered_.push_back(local.buffered);
    rips_.push_back(local.cpu.rip);
    pending_.emplace_back();
    known_.push_back(0);
    if (calm_ != nullptr) near_.push_back(near(local));
  }
  return number;
}

Nearness Space::near(const Local& local) {
  Nearness near;
  near.drains_alone = drains_alone(*calm_, local);
  if (local.cpu.rip == 0) return near;
  bool asks_time = false;
  note_next(*calm_, world_.runner().next_access(local, content_, false, asks_time), near);
  if (asks_time) {
    note_next(*calm_, world_.runner().next_access(local, content_, true, asks_time), near);
  }
  return near;
}

Compact Space::compact(const State& state) {
  Compact made;
  made.head = state.head;
  content_ = state.shared;
  made.shared =
      shared_.insert({reinterpret_cast<const char*>(state.shared.bytes), state.shared.used}).first;
  for (std::size_t w = 0; w < state.head.count; ++w) made.locals[w] = number_of(state.locals[w]);
  return made;
}

State Space::expand(const Compact& state) const {
  State made;
  made.head = state.head;
  const std::string_view content = shared_[state.shared];
  made.shared.used = static_cast<std::uint32_t>(content.size());
  std::memcpy(made.shared.bytes, content.data(), content.size());
  for (std::size_t w = 0; w < state.head.count; ++w) {
    unpack(locals_[state.locals[w]], made.locals[w]);
  }
  return made;
}

std::vector<std::uint64_t> Space::stops() const {
  std::set<std::uint64_t> found(rips_.begin(), rips_.end());
  found.erase(0);
  return {found.begin(), found.end()};
}

const Pending& Space::pending(std::uint32_t local, std::uint32_t shared) {
  if (known_[local] == 0) {
    unpack(locals_[local], local_);
    const std::string_view content = shared_[shared];
    content_.used = static_cast<std::uint32_t>(content.size());
    std::memcpy(content_.bytes, content.data(), content.size());
    pending_[local] = world_.runner().pending(local_, content_);
    known_[local] = 1;
  }
  return pending_[local];
}

Space::MoveEntry& Space::entry_of(const MoveKey& key) {
  const std::uint64_t hash =
      fold(key.input ^ 0x9e3779b97f4a7c15ull,
           (static_cast<std::uint64_t>(key.local) << 32 | key.shared) ^ 0xc2b2ae3d27d4eb4full);
  std::size_t at = hash & (table_.size() - 1);
  while (table_[at].move != 0 && !(table_[at].key == key)) at = (at + 1) & (table_.size() - 1);
  return table_[at];
}

const Space::MoveEntry& Space::move(std::uint32_t local, std::uint32_t shared, const Input& input) {
  const MoveKey key{local, shared, input.key()};
  MoveEntry* entry = &entry_of(key);
  if (entry->move != 0) return *entry;
  if (2 * (moves_.size() + 1) > table_.size()) {
    std::vector<MoveEntry> old(2 * table_.size());
    old.swap(table_);
    for (const MoveEntry& each : old) {
      if (each.move != 0) entry_of(each.key) = each;
    }
    entry = &entry_of(key);
  }
  unpack(locals_[local], local_);
  const std::string_view content = shared_[shared];
  content_.used = static_cast<std::uint32_t>(content.size());
  std::memcpy(content_.bytes, content.data(), content.size());
  moves_.push_back(world_.runner().move(local_, content_, input));
  if (world_.runner().changing() != nullptr) look_for_surprises(content);
  if (calm_ != nullptr && (moves_.back().bits & WorkerHead::kPaused) != 0) {
    surprises_.pauses = is_surprised_ = true;
  }
  entry->key = key;
  entry->move = static_cast<std::uint32_t>(moves_.size());
  entry->shared =
      shared_.insert({reinterpret_cast<const char*>(content_.bytes), content_.used}).first;
  entry->local = number_of(local_);
  return *entry;
}

void Space::look_for_surprises(std::string_view before) {
  const SharedWords& changing = *world_.runner().changing();
  for (std::size_t at = 0; at < before.size(); at += 4) {
    const bool changed = std::memcmp(before.data() + at, content_.bytes + at,
                                     std::min<std::size_t>(4, before.size() - at)) != 0;
    if (changed && !changing.test(at / 4)) {
      surprises_.changing.set(at / 4);
      is_surprised_ = true;
    }
  }
}

void Space::note_not_calm(std::uint64_t bits) {
  if (bits == 0) return;
  surprises_.not_calm |= calm_->words(bits);
  is_surprised_ = true;
}

bool Space::is_uneasy(const Compact& state) {
  if (calm_ == nullptr) return false;
  for (std::size_t w = 0; w < state.head.count; ++w) {
    const std::uint64_t stores = near_[state.locals[w]].stores;
    if (stores == 0) continue;
    for (std::size_t i = 0; i < state.head.count; ++i) {
      if (i != w) note_not_calm(stores & near_[state.locals[i]].touches);
    }
  }
  return is_surprised_;
}

/// What the kernel does for a dying worker reaches shared words too.
void Space::look_for_uneasy_death(const Compact& state, std::size_t w, const Move& move) {
  std::uint64_t reached = 0;
  for (const std::uint32_t offset : move.touched) reached |= calm_->bits(offset, 4);
  for (std::size_t i = 0; reached != 0 && i < state.head.count; ++i) {
    if (i != w) note_not_calm(reached & near_[state.locals[i]].stores);
  }
}

std::uint8_t Space::drain_calm(Compact& state, std::uint8_t w) {
  std::uint8_t count = 0;
  for (; calm_ != nullptr && near_[state.locals[w]].drains_alone; ++count) {
    Event event;
    step(state, {Transition::Kind::kDrain, w}, event);
  }
  return count;
}

std::uint32_t Space::woken(std::uint32_t local, std::int64_t result) {
  const std::uint64_t key = static_cast<std::uint64_t>(local) << 32 |
                            static_cast<std::uint32_t>(static_cast<std::int32_t>(result));
  const auto found = woken_.find(key);
  if (found != woken_.end()) return found->second;
  unpack(locals_[local], local_);
  Runner::wake(local_, result);
  return woken_[key] = number_of(local_);
}

void Space::enabled(Compact& state, std::vector<Transition>& transitions) {
  CompactBody body(*this, state);
  world_.enabled(state.head, body, transitions);
}

Incident Space::step(Compact& state, const Transition& transition, Event& event) {
  CompactBody body(*this, state);
  return world_.step(state.head, body, transition, event);
}

}  // namespace hobbs::step
