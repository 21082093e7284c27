#include "harness/foreign/point.h"

#include <sys/syscall.h>

#include "harness/foreign/remote.h"

namespace hobbs::foreign {

Point point_at_call(pid_t thread, const SystemCall& call, std::uint64_t code) {
  Point point;
  point.call = call;
  point.code = code;
  const int path = path_argument(call.number);
  if (path >= 0) point.path = text_at(thread, call.arguments[static_cast<std::size_t>(path)]);
  return point;
}

Point point_at_access(pid_t thread, std::uint64_t address) {
  Point point;
  point.kind = Point::Kind::kMemory;
  point.code = registers_of(thread).rip;
  point.address = address;
  point.word = word_at(thread, address & ~std::uint64_t{7});
  return point;
}

std::uint64_t signature_of(pid_t thread, const Point& point) {
  std::uint64_t sum = point.code;
  const auto mix = [&](std::uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 29;
  };
  if (point.kind == Point::Kind::kMemory) {
    mix(point.address);
    mix(point.word);
    return sum;
  }
  const auto& [number, arguments] = point.call;
  mix(static_cast<std::uint64_t>(number));
  if (takes_descriptor(number)) mix(arguments[0]);
  if (number == SYS_fcntl || number == SYS_futex) mix(arguments[1]);
  if (number == SYS_fcntl) mix(word_at(thread, arguments[2]));  // Which lock it asks for.
  for (const char c : point.path) mix(static_cast<unsigned char>(c));
  return sum;
}

}  // namespace hobbs::foreign
