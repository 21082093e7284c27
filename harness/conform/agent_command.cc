#include "harness/conform/agent_command.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "locks/agents/embedded.h"
#include "scenarios/cases/arguments.h"

namespace hobbs {
namespace {

std::string this_program() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
}

/// The agent as one text, in which it can import its own module without a file.
std::string python_program() {
  return "import sys,types\nmodule=types.ModuleType('python_bench')\nexec(" +
         json_quote(python_bench_source()) +
         ",module.__dict__)\nsys.modules['python_bench']=module\n" +
         std::string(python_agent_source());
}

}  // namespace

bool python_runs(const std::string& python, const char* line) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  }
  std::string words[] = {python, "-c", line};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, python.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (error != 0) return false;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return status == 0;
}

std::string find_python() {
  if (const char* chosen = std::getenv("HOBBS_PYTHON")) return chosen;
  std::vector<std::string> candidates;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    candidates.push_back(folder + "/python3");
  }
  candidates.emplace_back("/usr/bin/python3");
  std::string first;
  for (const std::string& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) != 0) continue;
    if (python_runs(candidate, "import fasteners")) return candidate;
    if (first.empty() && python_runs(candidate, "pass")) first = candidate;
  }
  return first;
}

AgentCommand find_agent(std::string_view agent, const std::string& cpp_agent) {
  AgentCommand command;
  if (agent == "cpp") {
    command.name = "cpp";
    command.words = cpp_agent.empty() ? std::vector<std::string>{this_program(), "agent"}
                                      : std::vector<std::string>{cpp_agent};
  } else if (agent == "python") {
    command.name = "python";
    const std::string python = find_python();
    if (python.empty()) command.error = "there is no python3 on this machine";
    command.words = {python, "-W", "ignore", "-c", python_program()};
  } else if (agent.starts_with("exec:") && agent.size() > 5) {
    command.name = "exec";
    // Through the shell, so that assignments and quotes work as they are typed.
    command.words = {"/bin/sh", "-c", std::string(agent.substr(5)) + " \"$@\"", "hobbs-agent"};
  } else {
    command.error = "the agent '" + std::string(agent) + "' is not cpp, python or exec:COMMAND";
  }
  return command;
}

}  // namespace hobbs
