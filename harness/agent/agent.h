// An agent: serves our locks to a harness in any language, one JSON object a line.
//
//   request  {"id":1,"th":"main","op":"call","obj":"L","m":"acquire","a":[false],"k":{}}
//   reply    {"id":1,"pid":…,"t0":ns,"t1":ns,"r":true}  or  {…,"e":"ValueError","msg":"…"}
//
// Operations: new (kind), call, get, set, delattr, enter, exit, del, fork, mpfork, alarm, rec,
// join, ping, quit. Each "th" is a thread that lives until its join, so a call that blocks does not
// block the channel; "main" is the process's main thread, where signals are handled. t0 and t1 are
// CLOCK_MONOTONIC around the call. A forked child opens a connection of its own and says hello.
#pragma once

#include <string>

#include "locks/lock.h"

namespace hobbs {

/// Serves until the channel closes or says quit. `where` is the path of a Unix socket, or "fd:N"
/// for an inherited one (which cannot serve forks). Returns the exit code: 0, or 64 when `where`
/// cannot be used. To be called in a process's main thread. Besides the seeds' locks it serves
/// those of the catalogue (spec_subject.h).
int run_agent(const std::string& where, const Catalog& catalog = {});

}  // namespace hobbs
