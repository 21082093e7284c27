// The loop of a campaign: starts slices while there are lanes, takes in what they say, ends those
// that outstay their share, reaps whatever they leave behind. One thread, so that forking is safe.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <set>
#include <system_error>

#include "harness/campaign.h"
#include "harness/progress.h"
#include "harness/slice.h"

namespace hobbs {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kGraceMin{3000};  // How long a slice may overstay its share.
constexpr int kPollMs = 100;
constexpr int kEndingSignals[] = {SIGINT, SIGTERM, SIGHUP};

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kEndingSignals) sigaddset(&set, number);
  return set;
}

/// Routes the signals a campaign understands to a descriptor, for as long as it lives.
class Signals {
 public:
  Signals() {
    sigset_t set = ending_signals();
    for (const int number : {SIGUSR1, SIGCHLD}) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, &before_);
    fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  }
  ~Signals() {
    close(fd_);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_; }
  const sigset_t& before() const { return before_; }
  /// The next signal that has arrived, or 0.
  int next() const {
    signalfd_siginfo info;
    return read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  int fd_ = -1;
};

struct Running {
  PlannedSlice planned;
  std::unique_ptr<Slice> slice;
  Clock::time_point until;
  bool overdue = false;   // Killed because it outstayed its share.
  bool is_retry = false;  // Runs again after a crash, to confirm it.
};

class CampaignRun {
 public:
  explicit CampaignRun(const CampaignPlan& plan) : plan_(plan), started_(Clock::now()) {}

  CampaignOutcome run() {
    std::vector<PlannedSlice> slices = plan_slices(plan_, outcome_.results);
    total_ = slices.size();
    // What a slice leaves behind comes to us, so that nothing outlives the campaign.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    remember_children();
    const auto alone = std::stable_partition(
        slices.begin(), slices.end(),
        [](const PlannedSlice& slice) { return !slice.entry->takes_all_cores; });
    const std::vector<PlannedSlice> parallel(slices.begin(), alone);
    const std::vector<PlannedSlice> serial(alone, slices.end());
    const double serial_weight = weight_of(serial, 0);
    const double parallel_weight = weight_of(parallel, 0) / plan_.jobs;
    const auto end = started_ + plan_.budget;
    const double first = parallel_weight / std::max(1e-9, parallel_weight + serial_weight);
    run_phase(parallel, plan_.jobs,
              started_ + milliseconds(static_cast<std::int64_t>(
                             static_cast<double>(plan_.budget.count()) * first)));
    run_phase(serial, 1, end);
    end_left_behind();
    progress_.clear();
    sort_results();
    return std::move(outcome_);
  }

 private:
  static double weight_of(const std::vector<PlannedSlice>& slices, std::size_t from) {
    double sum = 0;
    for (std::size_t i = from; i < slices.size(); ++i) sum += slices[i].entry->weight;
    return sum;
  }

  void run_phase(const std::vector<PlannedSlice>& slices, unsigned lanes, Clock::time_point end) {
    std::size_t next = 0;
    while (next < slices.size() || !running_.empty()) {
      while (next < slices.size() && running_.size() < lanes) {
        const double to_start = weight_of(slices, next);
        start_or_skip(slices[next++], to_start, lanes, end);
      }
      wait_for_news();
    }
  }

  void start_or_skip(const PlannedSlice& planned, double weight_to_start, unsigned lanes,
                     Clock::time_point end) {
    if (!interrupted_by_.empty()) {
      add(planned, Verdict::kSkipped, "interrupted before it ran");
    } else if (plan_.request.stop_at_first_finding && broken_.contains(planned.lock->name)) {
      add(planned, Verdict::kSkipped,
          "not run: the lock had a finding already (--keep-going runs on)");
    } else {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      start(planned, Clock::now() + share_of(left, planned.entry->weight, weight_to_start, lanes));
    }
  }

  void start(const PlannedSlice& planned, Clock::time_point until, bool is_retry = false) {
    Request request = plan_.request;
    request.seed = planned.seed;
    request.scenarios = planned.scenarios;
    request.until = until;
    request.work_directory = fmt::format("{}/{}", plan_.request.work_directory, ++started_slices_);
    std::filesystem::create_directory(request.work_directory);
    Driver* driver = planned.entry->driver.get();
    const LockSpec* lock = planned.lock;
    const SliceWork work = [=](const SliceChannel& channel) {
      Request asked = request;
      asked.progress = channel.progress;
      asked.found = channel.found;
      return driver->run(*lock, asked);
    };
    running_.push_back(
        {planned, std::make_unique<Slice>(work, plan_.child_signals.value_or(signals_.before())),
         until, false, is_retry});
  }

  void wait_for_news() {
    std::vector<pollfd> waiting = {{signals_.fd(), POLLIN, 0}};
    for (const Running& running : running_) waiting.push_back({running.slice->fd(), POLLIN, 0});
    poll(waiting.data(), waiting.size(), kPollMs);
    for (Running& running : running_) running.slice->read_messages();
    for (int number = signals_.next(); number != 0; number = signals_.next()) on_signal(number);
    reap();
    end_overdue();
    progress_.update(status_line());
  }

  void on_signal(int number) {
    if (number == SIGUSR1) {
      tell_state();
    } else if (number != SIGCHLD) {
      interrupted_by_ = signal_words(number);
      outcome_.note = fmt::format("Interrupted by {}: what had not ended counts as inconclusive.",
                                  interrupted_by_);
      for (const Running& running : running_) running.slice->kill();
    }
  }

  void end_overdue() {
    for (Running& running : running_) {
      const auto share = running.until - running.slice->started();
      const auto grace = std::max<Clock::duration>(kGraceMin, share / 2);
      if (running.overdue || Clock::now() < running.until + grace) continue;
      running.overdue = true;
      running.slice->kill();
    }
  }

  void reap() {
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
      const auto it = std::find_if(running_.begin(), running_.end(), [pid](const Running& running) {
        return running.slice->pid() == pid;
      });
      if (it == running_.end()) continue;  // Somebody that a slice left behind.
      Running ended = std::move(*it);
      running_.erase(it);
      take(ended, ended.slice->finish(status));
    }
    kill_left_behind();
  }

  /// Direct children that are neither slices nor there from the start were orphaned by a slice.
  /// Returns those that it killed.
  std::vector<pid_t> kill_left_behind() {
    std::vector<pid_t> killed;
    for (const pid_t pid : children()) {
      const bool is_slice = std::any_of(running_.begin(), running_.end(),
                                        [pid](const Running& r) { return r.slice->pid() == pid; });
      if (is_slice || not_ours_.contains(pid)) continue;
      ::kill(pid, SIGKILL);
      killed.push_back(pid);
    }
    return killed;
  }

  /// After the last slice: an orphan that was just killed may have had children of its own, which
  /// are ours as soon as it is gone, and are still to be killed then.
  void end_left_behind() {
    for (auto killed = kill_left_behind(); !killed.empty(); killed = kill_left_behind()) {
      for (const pid_t pid : killed) waitpid(pid, nullptr, 0);
    }
  }

  static std::vector<pid_t> children() {
    std::ifstream file(fmt::format("/proc/self/task/{}/children", gettid()));
    std::vector<pid_t> pids;
    for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
    return pids;
  }

  void remember_children() {
    for (const pid_t pid : children()) not_ours_.insert(pid);
  }

  void take(const Running& ended, SliceEnd end) {
    if (is_crash(end.signal) && !ended.is_retry && interrupted_by_.empty()) {
      // Once may be chance or our own fault: the lock is accused if it happens again.
      start(ended.planned, Clock::now() + (ended.until - ended.slice->started()), true);
      return;
    }
    ++ended_slices_;
    for (Result& result : end.results) {
      if (result.verdict == Verdict::kFail) broken_.insert(result.lock);
      outcome_.results.push_back(std::move(result));
    }
    if (!end.clean) {
      take_broken(ended, end);
    } else if (ended.is_retry) {
      add(ended.planned, Verdict::kInconclusive,
          "its process crashed, and did not when it ran again with the same seed");
    }
  }

  /// A slice that did not end as it should.
  void take_broken(const Running& ended, const SliceEnd& end) {
    const std::string doing = ended.slice->progress().empty()
                                  ? ""
                                  : fmt::format("; last at: {}", ended.slice->progress());
    if (!interrupted_by_.empty()) {
      add(ended.planned, Verdict::kInconclusive, fmt::format("interrupted by {}", interrupted_by_));
    } else if (ended.overdue) {
      add(ended.planned, Verdict::kInconclusive,
          fmt::format("it did not end within its share of the time and was ended{}", doing));
    } else if (!end.error.empty()) {
      add(ended.planned, Verdict::kInconclusive, fmt::format("the driver stopped: {}", end.error));
    } else if (is_crash(end.signal)) {
      add_crash(ended, end, doing);
    } else {
      add(ended.planned, Verdict::kInconclusive,
          fmt::format("its process ended with {}{}{}", ending_words(end), doing,
                      quoted(end.last_words)));
    }
  }

  static std::string quoted(const std::string& words) {
    return words.empty() ? "" : fmt::format("; it wrote: {}", words);
  }

  void add_crash(const Running& ended, const SliceEnd& end, const std::string& doing) {
    Result& result = add(ended.planned, Verdict::kFail, "");
    result.rule = "LV-2";
    result.topology = "one process";
    Finding finding;
    finding.summary =
        fmt::format("the process that ran the lock died of {}, twice with the same seed{}",
                    signal_words(end.signal), doing);
    finding.failed = 2;
    finding.of = 2;
    if (!end.last_words.empty()) finding.evidence.push_back("it wrote: " + end.last_words);
    result.finding = std::move(finding);
    broken_.insert(result.lock);
  }

  Result& add(const PlannedSlice& planned, Verdict verdict, std::string reason) {
    Result result;
    result.lock = planned.lock->name;
    result.driver = planned.entry->driver->name();
    result.scenario = "*";
    result.rule = "*";
    result.verdict = verdict;
    result.reason = std::move(reason);
    outcome_.results.push_back(std::move(result));
    return outcome_.results.back();
  }

  void sort_results() {
    const auto rank = [this](const Result& result) {
      std::size_t lock = 0;
      while (lock < plan_.locks->size() && (*plan_.locks)[lock].name != result.lock) ++lock;
      std::size_t driver = 0;
      while (driver < plan_.drivers->size() &&
             (*plan_.drivers)[driver].driver->name() != result.driver) {
        ++driver;
      }
      return std::pair(lock, driver);
    };
    std::stable_sort(outcome_.results.begin(), outcome_.results.end(),
                     [&](const Result& a, const Result& b) { return rank(a) < rank(b); });
    outcome_.results = merge_seeds(std::move(outcome_.results));
  }

  static std::string seconds(Clock::duration duration) {
    return fmt::format("{} s", std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  }

  std::string status_line() const {
    std::string line =
        fmt::format("{} of {}, {} of {} done, {} broken", seconds(Clock::now() - started_),
                    seconds(plan_.budget), ended_slices_, total_, broken_.size());
    for (const Running& running : running_) {
      line += fmt::format(" | {} {}", running.planned.entry->driver->name(),
                          running.planned.lock->name);
      if (!running.slice->progress().empty()) line += ": " + running.slice->progress();
    }
    return line;
  }

  void tell_state() {
    progress_.say("hobbs: " + status_line());
    for (const Running& running : running_) {
      progress_.say(fmt::format(
          "hobbs:   {} on {}, pid {}, for {}, {} left: {}", running.planned.entry->driver->name(),
          running.planned.lock->name, running.slice->pid(),
          seconds(Clock::now() - running.slice->started()), seconds(running.until - Clock::now()),
          running.slice->progress().empty() ? "nothing told yet" : running.slice->progress()));
    }
  }

  const CampaignPlan& plan_;
  const Clock::time_point started_;
  Signals signals_;
  Progress progress_;
  CampaignOutcome outcome_;
  std::list<Running> running_;
  std::set<std::string> broken_;
  std::set<pid_t> not_ours_;
  std::string interrupted_by_;
  std::size_t total_ = 0;
  std::size_t ended_slices_ = 0;
  std::size_t started_slices_ = 0;
};

}  // namespace

SignalHold::SignalHold() {
  const sigset_t set = ending_signals();
  sigprocmask(SIG_BLOCK, &set, &before_);
}

std::string SignalHold::interruption() {
  const sigset_t set = ending_signals();
  const timespec at_once{};
  const int number = interruption_.empty() ? sigtimedwait(&set, nullptr, &at_once) : -1;
  if (number > 0) interruption_ = "interrupted by " + signal_words(number);
  return interruption_;
}

SignalHold::~SignalHold() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

CampaignOutcome run_campaign(const CampaignPlan& plan) { return CampaignRun(plan).run(); }

}  // namespace hobbs
