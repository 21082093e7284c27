#include "scenarios/suites/small_programs.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace hobbs {
namespace {

using Steps = std::vector<Step>;

Steps section(const char* text) {
  ParseResult parsed = parse_program(text);
  if (!parsed.error.empty()) std::abort();  // The texts are ours.
  return std::move(parsed.program.workers.front());
}

Program program_of(std::initializer_list<Steps> workers) {
  Program program;
  program.workers = workers;
  return program;
}

}  // namespace

std::vector<Steps> sections_of(const LockSpec& lock) {
  const LockOps& ops = lock.controlled.available() ? lock.controlled : lock.real;
  std::vector<Steps> kinds;
  const auto add = [&kinds](bool offered, const char* text) {
    if (offered) kinds.push_back(section(text));
  };
  add(ops.acquire != nullptr, "lock work unlock");
  add(ops.try_acquire != nullptr, "try work unlock");
  add(ops.acquire_until != nullptr, "timed(2ms) work unlock");
  add(ops.acquire_shared != nullptr, "lock_shared work unlock");
  add(ops.try_acquire_shared != nullptr, "try_shared work unlock");
  add(ops.acquire_shared_until != nullptr, "timed_shared(2ms) work unlock");
  add(ops.upgrade != nullptr, "lock_shared upgrade work unlock");
  add(ops.try_upgrade != nullptr, "lock_shared try_upgrade work unlock");
  add(ops.downgrade != nullptr, "lock downgrade work unlock");
  add(lock.claims.reentrant, "lock lock work unlock work unlock");
  add(lock.claims.reentrant && ops.try_acquire != nullptr, "lock try unlock work unlock");
  add(lock.claims.reentrant && ops.has_shared(), "lock_shared lock_shared work unlock unlock");
  add(lock.claims.reentrant && ops.has_shared(), "lock lock_shared unlock work unlock");
  return kinds;
}

std::vector<Program> small_programs(const LockSpec& lock) {
  std::vector<Program> programs;
  if (lock.home == Home::kPath || lock.claims.max_workers < 2) return programs;
  if (lock.claims.semaphore && lock.claims.permits > 1) return programs;
  const std::vector<Steps> kinds = sections_of(lock);
  for (std::size_t a = 0; a < kinds.size(); ++a) {
    for (std::size_t b = a; b < kinds.size(); ++b) {
      programs.push_back(program_of({kinds[a], kinds[b]}));
    }
  }
  const bool three = lock.claims.max_workers > 2;
  for (std::size_t a = 0; three && a < kinds.size(); ++a) {
    for (std::size_t b = a; b < kinds.size(); ++b) {
      for (std::size_t c = b; c < kinds.size(); ++c) {
        programs.push_back(program_of({kinds[a], kinds[b], kinds[c]}));
      }
    }
  }
  std::vector<Steps> scripts = kinds;
  for (const Steps& first : kinds) {
    for (const Steps& second : kinds) {
      scripts.push_back(first);
      scripts.back().insert(scripts.back().end(), second.begin(), second.end());
    }
  }
  for (std::size_t a = 0; a < scripts.size(); ++a) {
    for (std::size_t b = std::max(a, kinds.size()); b < scripts.size(); ++b) {
      programs.push_back(program_of({scripts[a], scripts[b]}));
    }
  }
  return programs;
}

std::string small_program_rules(const LockSpec& lock) {
  const LockOps& ops = lock.controlled.available() ? lock.controlled : lock.real;
  std::string rules = "ME-1,ME-2,MM-1,LV-1,LV-2";
  if (lock.claims.permits > 1) rules += ",ME-6";
  if (ops.try_acquire != nullptr) rules += ",ME-3,ME-4,TR-1,TR-2,TR-3";
  if (ops.acquire_until != nullptr) rules += ",TO-1,TO-3,TO-5";
  if (ops.has_shared()) rules += ",RW-1,RW-3";
  if (ops.try_upgrade != nullptr || ops.upgrade != nullptr) rules += ",RW-4,RW-5";
  if (ops.upgrade != nullptr) rules += ",RW-7";
  if (ops.downgrade != nullptr) rules += ",RW-6";
  if (lock.claims.reentrant) rules += ",RE-1,RE-2";
  return rules;
}

}  // namespace hobbs
