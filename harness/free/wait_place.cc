#include "harness/free/wait_place.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <cstring>
#include <fstream>
#include <sstream>

namespace hobbs::gang {
namespace {

constexpr int kFramesShown = 4;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string state_of(const std::string& task) {
  const std::string stat = first_line(task + "/stat");
  const auto end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? "" : stat.substr(end + 2, 1);
}

/// The futex word, if the thread waits for one.
std::string futex_words(const Arena& arena, std::size_t slot, const std::string& call,
                        std::size_t lock_bytes) {
  std::istringstream words(call);
  long number = -1;
  std::uint64_t address = 0, operation = 0, expected = 0;
  words >> number >> std::hex >> address >> operation >> expected;
  if (!words || number != SYS_futex) return "";
  std::uint64_t objects[kMaxLocksPerProgram];
  for (std::size_t i = 0; i < kMaxLocksPerProgram; ++i) {
    objects[i] = arena.slots[slot].object[i].load();
  }
  PlaceInLock place;
  if (!find_in_locks(address, objects, kMaxLocksPerProgram, lock_bytes, place)) {
    return ", on a futex that is not in the lock";
  }
  std::uint32_t value = 0;
  std::memcpy(&value,
              static_cast<const char*>(const_cast<Arena&>(arena).lock_at(place.lock)) + place.byte,
              sizeof value);
  return fmt::format(", on the word at byte {} of lock {}, now {:#x}, until it is not {:#x}",
                     place.byte, place.lock, value, static_cast<std::uint32_t>(expected));
}

/// Only the superuser may see it.
std::string kernel_frames(const std::string& task) {
  std::ifstream file(task + "/stack");
  std::string frames;
  int shown = 0;
  for (std::string line; shown < kFramesShown && std::getline(file, line); ++shown) {
    const auto from = line.find("] ");
    if (from == std::string::npos) continue;
    frames += (frames.empty() ? "" : " < ") + line.substr(from + 2, line.find('+') - from - 2);
  }
  return frames;
}

}  // namespace

bool is_asleep_as(pid_t process, std::string_view name) {
  const std::string task = fmt::format("/proc/{}", process);
  const std::string state = state_of(task);
  if (state.empty() || state == "Z" || state == "X") return true;
  return state == "S" && first_line(task + "/comm") == name;
}

bool find_in_locks(std::uint64_t address, const std::uint64_t* objects, std::size_t count,
                   std::size_t lock_bytes, PlaceInLock& place) {
  for (std::size_t i = 0; i < count; ++i) {
    if (objects[i] == 0 || address < objects[i] || address >= objects[i] + lock_bytes) continue;
    place = {i, static_cast<std::size_t>(address - objects[i])};
    return true;
  }
  return false;
}

std::string wait_place(const Arena& arena, std::size_t slot, std::size_t lock_bytes) {
  const std::string task = fmt::format("/proc/{}/task/{}", arena.slots[slot].process.load(),
                                       arena.slots[slot].thread.load());
  const std::string state = state_of(task);
  if (state.empty()) return "";
  std::string words = "state " + state;
  const std::string channel = first_line(task + "/wchan");
  if (!channel.empty() && channel != "0") words += " in " + channel;
  words += futex_words(arena, slot, first_line(task + "/syscall"), lock_bytes);
  const std::string frames = kernel_frames(task);
  if (!frames.empty()) words += "; in the kernel: " + frames;
  return words;
}

}  // namespace hobbs::gang
