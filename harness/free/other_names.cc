#include "harness/free/other_names.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

#include "harness/lock_file.h"
#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

namespace fs = std::filesystem;
using End = Played::End;

struct Scene {
  std::atomic<std::uint32_t> holds, tried, leave, left, retried;
  std::atomic<Outcome> beside, after;  // What the newcomer's tries were told.
  StageLock holders, newcomers;
};

/// A name of the lock's file for who is in its folder.
struct Name {
  std::string whole, other;
};

class Play {
 public:
  Play(const LockSpec& lock, Name name, const fs::path& folder, Scene& scene)
      : lock_(lock), name_(std::move(name)), folder_(folder), scene_(scene) {}

  Played from_thread() {
    Cast cast;
    const bool entered =
        cast.enter([this] { hold([this] { return std::thread([this] { come(); }); }); });
    return entered ? judge(cast) : Played{End::kUnsure, "cannot fork"};
  }

  Played from_process() {
    Cast cast;
    const auto alone = [] { return std::thread(); };
    if (!cast.enter([&] { hold(alone); }) || !cast.enter([this] { come(); })) {
      return {End::kUnsure, "cannot fork"};
    }
    return judge(cast);
  }

 private:
  template <class Start>
  void hold(Start&& start) {
    RealPlatform::attach(1);
    void* const lock = object_of(lock_, scene_.holders.bytes, name_.whole);
    if (!holds(lock_.real.acquire(lock))) return;
    const std::thread newcomer = start();
    tell(scene_.holds);
    wait_until_told(scene_.leave);
    lock_.real.release(lock);
    tell(scene_.left);
    for (;;) ::pause();  // Locks on a path last as long as the process; so does the thread.
  }

  void come() {
    RealPlatform::attach(2);
    wait_until_told(scene_.holds);
    if (::chdir(folder_.c_str()) != 0) return;
    void* const lock = object_of(lock_, scene_.newcomers.bytes, name_.other);
    scene_.beside.store(lock_.real.try_acquire(lock));
    tell(scene_.tried);
    wait_until_told(scene_.left);
    Outcome after = lock_.real.try_acquire(lock);
    for (int i = 1; i < kTries && !holds(after); ++i) after = lock_.real.try_acquire(lock);
    scene_.after.store(after);
    tell(scene_.retried);
    for (;;) ::pause();
  }

  Played judge(const Cast& cast) {
    if (!comes(cast, scene_.holds)) return {End::kUnsure, "nobody got the free lock"};
    std::error_code error;
    if (!fs::is_regular_file(name_.whole, error)) {
      return {End::kRefused, "while it is held there is no file at its path"};
    }
    if (!comes(cast, scene_.tried)) return come_to_nothing(cast);
    if (holds(scene_.beside.load())) {
      return {End::kBroken, fmt::format("\"{}\" was held, and by the name \"{}\" another got it",
                                        name_.whole, name_.other)};
    }
    tell(scene_.leave);
    if (!comes(cast, scene_.retried)) return come_to_nothing(cast);
    if (holds(scene_.after.load())) return {End::kKept, ""};
    // Which names are taken is the lock's affair.
    return {End::kRefused, fmt::format("a try of the free lock by the name \"{}\" was told \"{}\"",
                                       name_.other, to_string(scene_.after.load()))};
  }

  /// A thread that has no processor cannot be told from one that waits.
  static bool comes(const Cast& cast, const std::atomic<std::uint32_t>& word) {
    const auto came_or_gone = [&] {
      return word.load() != 0 || std::ranges::any_of(cast.players(), has_ended);
    };
    return await(cast, kPatience, came_or_gone) == Awaited::kCame && word.load() != 0;
  }

  static constexpr std::chrono::milliseconds kPatience{2000};
  static constexpr int kTries = 100;  // Of a free lock, as a try may be claimed to be weak.

  static Played come_to_nothing(const Cast& cast) {
    if (std::ranges::any_of(cast.players(), has_ended)) {
      return {End::kRefused, "a process that tried it by another name ended"};
    }
    return {End::kUnsure, "a try did not come back"};
  }

  const LockSpec& lock_;
  const Name name_;
  const fs::path& folder_;
  Scene& scene_;
};

/// A folder and a link to it, for as long as this lives.
struct Folder {
  explicit Folder(const fs::path& path) : folder(path), link(path.string() + "-link") {
    fs::create_directories(folder, error);
    if (!error) fs::create_directory_symlink(folder, link, error);
  }
  ~Folder() {
    for (const auto& file : fs::directory_iterator(folder, error)) {
      remove_what_it_names(file.path());
    }
    fs::remove(link, error);
    fs::remove_all(folder, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const fs::path folder, link;
  std::error_code error;
};

/// Whether threads of a process exclude each other, each with an object of its own.
bool threads_apart(const Claims& claims) {
  const bool by_process = claims.reentrant && claims.releaser == Releaser::kProcess;
  return claims.thread_shared && !claims.closing_frees && !by_process;
}

}  // namespace

bool can_be_named_otherwise(const LockSpec& lock) {
  return lock.home == Home::kPath && fits_stage(lock) && lock.real.try_acquire != nullptr &&
         !lock.claims.semaphore;
}

Played try_other_names(const LockSpec& lock, const std::string& path, int /*attempt*/) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  const Folder made(fs::absolute(path));
  if (made.error) {
    return {End::kRefused, fmt::format("no folder can be made: {}", made.error.message())};
  }
  const std::string whole = made.folder.string() + "/";
  const std::string up = "../" + made.folder.filename().string() + "/";
  int number = 0;
  for (const bool threads : {false, true}) {
    if (threads && !threads_apart(lock.claims)) continue;
    for (const std::string& before : {whole, std::string(), up, made.link.string() + "/"}) {
      SharedStage<Scene> scene;
      if (!scene) return {End::kRefused, "no memory"};
      const std::string file = fmt::format("lock{}", number++);
      Play play(lock, {whole + file, before + file}, made.folder, *scene);
      const Played played = threads ? play.from_thread() : play.from_process();
      if (played.end == End::kBroken && before == whole) {
        if (threads) return {End::kKept, ""};  // Between processes it did.
        return {End::kRefused, "two do not exclude each other by one name either"};
      }
      if (played.end != End::kKept) return played;
    }
  }
  return {End::kKept, ""};
}

}  // namespace hobbs::gang
