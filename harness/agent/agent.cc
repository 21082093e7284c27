#include "harness/agent/agent.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <deque>
#include <thread>

#include "harness/agent/channel.h"
#include "harness/agent/factories.h"
#include "harness/agent/records.h"
#include "harness/agent/spec_subject.h"
#include "locks/real_platform.h"
#include "locks/reference/interrupt.h"

namespace hobbs {
namespace agent {
namespace {

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

std::atomic<bool> alarm_raises{false};  // What the handler does: Python's raising one, or nothing.
std::atomic<bool> alarm_pending{false};

void on_alarm(int) {
  if (alarm_raises.load()) alarm_pending.store(true);
}

/// The requests of one thread, in order; nothing means: end.
class Queue {
 public:
  void push(std::optional<Json> request) {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      requests_.push_back(std::move(request));
    }
    filled_.notify_one();
  }
  std::optional<Json> pop() {
    std::unique_lock<std::mutex> guard(mutex_);
    filled_.wait(guard, [this] { return !requests_.empty(); });
    std::optional<Json> request = std::move(requests_.front());
    requests_.pop_front();
    return request;
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::optional<Json>> requests_;
};

/// What the threads of one process share, and a forked child inherits a copy of.
struct Objects {
  Catalog catalog;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const Subject>> by_name;
  std::map<std::pair<std::string, std::string>, std::vector<Exit>> entered;  // (thread, object).

  std::shared_ptr<const Subject> find(const std::string& name) {
    const std::lock_guard<std::mutex> guard(mutex);
    const auto found = by_name.find(name);
    if (found == by_name.end()) throw RemoteError{"KeyError", "'" + name + "'"};
    return found->second;
  }
};

/// One process's agent. Never destroyed: its threads may be blocked in a lock when the process
/// ends, and a forked child abandons its parent's.
class Agent {
 public:
  Agent(std::string where, std::string name, Objects& objects)
      : where_(std::move(where)), name_(std::move(name)), channel_(where_), objects_(objects) {}

  /// Serves in the calling thread, the process's main thread, until quit.
  void serve() {
    channel_.send({{"hello", 1},
                   {"name", name_},
                   {"pid", ::getpid()},
                   {"ppid", ::getppid()},
                   {"agent", "hobbs"}});
    interrupt_check = [] { return alarm_pending.exchange(false); };
    start([this] { read_requests(); });
    while (const std::optional<Json> request = main_.pop()) run(*request);
  }

 private:
  /// Signals are the main thread's business.
  template <class Body>
  static void start(Body body) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread(std::move(body)).detach();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void read_requests() {
    while (const std::optional<std::string> line = channel_.read_line()) {
      Json request;
      try {
        request = parse_line(*line);
        const std::string op = request.at("op");
        if (op == "quit") return main_.push(std::nullopt);
        if (op == "join") {
          const std::string name = request.at("name");
          if (const auto found = threads_.find(name); found != threads_.end()) {
            found->second->push(std::nullopt);
            threads_.erase(found);
          }
          continue;
        }
      } catch (const Json::exception& error) {
        channel_.send({{"id", nullptr}, {"e", "ValueError"}, {"msg", error.what()}});
        continue;
      }
      const std::string thread = request.value("th", "main");
      queue_of(thread).push(std::move(request));
    }
    ::_exit(0);  // Nobody is left to serve, whatever the other threads wait for.
  }

  Queue& queue_of(const std::string& thread) {
    if (thread == "main") return main_;
    std::shared_ptr<Queue>& queue = threads_[thread];
    if (queue == nullptr) {
      queue = std::make_shared<Queue>();
      start([this, queue] {
        while (const std::optional<Json> request = queue->pop()) run(*request);
      });
    }
    return *queue;
  }

  void run(const Json& request) {
    Json reply = {{"id", request.value("id", Json())}, {"pid", ::getpid()}, {"tid", ::gettid()}};
    std::shared_ptr<const Subject> subject;
    const std::int64_t start_ns = now_ns();
    const auto failed = [&](const std::string& name, const std::string& text) {
      reply["e"] = name;
      reply["msg"] = text.substr(0, 200);
    };
    try {
      Json result = perform(request, subject);
      reply["t1"] = now_ns();
      reply["r"] = std::move(result);
    } catch (const RemoteError& error) {
      failed(error.name, error.message);
    } catch (const LockError& error) {
      const RemoteError remote = (subject ? *subject : Subject()).translate(error);
      failed(remote.name, remote.message);
    } catch (const Json::exception& error) {
      failed("ValueError", error.what());
    } catch (const std::exception& error) {
      failed("RuntimeError", error.what());
    }
    subject.reset();  // What was dropped is gone when the reply says so.
    reply["t0"] = start_ns;
    if (!reply.contains("t1")) reply["t1"] = now_ns();
    channel_.send(reply);
  }

  Json perform(const Json& request, std::shared_ptr<const Subject>& subject) {
    const std::string op = request.at("op");
    const Json a = request.value("a", Json::array()), k = request.value("k", Json::object());
    const std::string member = request.value("m", "");
    if (op == "ping") return nullptr;
    if (op == "fork" || op == "mpfork") return fork_child(request.value("name", ""));
    if (op == "rec") return recorded(member);
    if (op == "alarm") return set_alarm(a.at(0), a.at(1));
    const std::string object = request.value("obj", "");
    if (op == "new") {
      const std::string kind = request.at("kind");
      std::shared_ptr<const Subject> made = kind.rfind("hobbs.", 0) == 0
                                                ? make_spec_subject(objects_.catalog, kind, a, k)
                                                : make_subject(kind, a, k);
      const std::lock_guard<std::mutex> guard(objects_.mutex);
      objects_.by_name[object] = std::move(made);
      return nullptr;
    }
    subject = objects_.find(object);
    if (op == "call") return subject->call(member, a, k);
    if (op == "get") return subject->get(member);
    if (op == "set") return subject->set(member, a.at(0)), nullptr;
    if (op == "delattr") return subject->erase(member), nullptr;
    const std::pair<std::string, std::string> block(request.value("th", "main"), object);
    if (op == "enter") {
      auto [result, exit] = subject->enter(member, a, k);
      const std::lock_guard<std::mutex> guard(objects_.mutex);
      objects_.entered[block].push_back(std::move(exit));
      return result;
    }
    if (op == "exit") {
      pop_exit(block)();
      return nullptr;
    }
    if (op == "del") {
      const std::lock_guard<std::mutex> guard(objects_.mutex);
      objects_.by_name.erase(object);
      return nullptr;
    }
    throw RemoteError{"KeyError", "'" + op + "'"};
  }

  Exit pop_exit(const std::pair<std::string, std::string>& block) {
    const std::lock_guard<std::mutex> guard(objects_.mutex);
    std::vector<Exit>& exits = objects_.entered[block];
    if (exits.empty()) throw RemoteError{"IndexError", "pop from empty list"};
    Exit exit = std::move(exits.back());
    exits.pop_back();
    return exit;
  }

  static Json set_alarm(double after_seconds, bool raises) {
    alarm_raises.store(raises);
    struct sigaction action {};
    action.sa_handler = on_alarm;  // Without SA_RESTART: a wait in the kernel ends with EINTR.
    ::sigaction(SIGALRM, &action, nullptr);
    itimerval timer{};
    timer.it_value.tv_sec = static_cast<time_t>(after_seconds);
    timer.it_value.tv_usec = static_cast<suseconds_t>(
        (after_seconds - static_cast<double>(timer.it_value.tv_sec)) * 1e6);
    ::setitimer(ITIMER_REAL, &timer, nullptr);
    return nullptr;
  }

  /// Bare and hooked forks are one: the locks check who they are at every access, so there is
  /// nothing that a hook would have to mend.
  Json fork_child(const std::string& name) {
    if (where_.rfind("fd:", 0) == 0) {
      throw RemoteError{"OSError", "a forked child needs a socket path to connect to"};
    }
    ::signal(SIGCHLD, SIG_IGN);  // Ended children leave no zombies.
    // No other thread may be in the table when the child's copy is made.
    const std::lock_guard<std::mutex> guard(objects_.mutex);
    const pid_t child = ::fork();
    if (child < 0) throw LockError(errno, "fork");
    if (child > 0) return child;
    objects_.mutex.unlock();
    try {
      (new Agent(where_, name, objects_))->serve();
    } catch (const LockError&) {
      ::_exit(64);
    }
    ::_exit(0);
  }

  const std::string where_;
  const std::string name_;
  Channel channel_;
  Objects& objects_;
  Queue main_;
  std::map<std::string, std::shared_ptr<Queue>> threads_;  // The reading thread's alone.
};

}  // namespace
}  // namespace agent

int run_agent(const std::string& where, const Catalog& catalog) {
  RealPlatform::registry();  // Before any fork, so that all processes share it.
  try {
    auto objects = std::make_unique<agent::Objects>();
    objects->catalog = catalog;
    auto* agent = new agent::Agent(where, "root", *objects);
    objects.release();  // As the agent, which has connected now, it is never destroyed.
    agent->serve();
  } catch (const LockError& error) {
    std::fprintf(stderr, "hobbs: cannot connect to %s\n", error.what());
    return 64;
  }
  return 0;
}

}  // namespace hobbs
