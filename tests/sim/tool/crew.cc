#include "tests/sim/tool/crew.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/sim/tool/outcome_line.h"

namespace troth::sim {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kLookMs = 200;
constexpr unsigned kMostJobs = 256;

// Memory that the processes of a crew have in common.
struct Shared {
  struct Place {
    std::atomic<std::uint64_t> seed{0};
    std::atomic<SteadyClock::rep> since{0};  // 0: it does not run now
  };
  std::atomic<std::uint64_t> next{0};
  std::array<Place, kMostJobs> places;
};

struct Worker {
  pid_t process = 0;
  int lines = -1;   // outcomes come from here
  int errors = -1;  // what it said on its standard error
  std::string partial;
  bool was_stopped = false;  // because its seed took too long
};

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string content(int file) {
  std::string text(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), ' ');
  const auto size = ::pread(file, text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  while (text.ends_with('\n'))
    text.pop_back();
  return text;
}

class Crew {
 public:
  Crew(std::uint64_t from, std::uint64_t count, const CrewOptions& options, const SeedRun& run)
      : from_(from), end_(from + count), options_(options), run_(run) {
    CHECK(options.jobs > 0 && options.jobs <= kMostJobs, "{} jobs", options.jobs);
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "{}", std::strerror(errno));
    shared_ = new (memory) Shared;
    shared_->next = from;
    workers_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(options.jobs, count)));
    for (std::size_t i = 0; i < workers_.size(); ++i)
      start(i);
  }

  ~Crew() {
    for (auto& worker : workers_)
      if (worker.process > 0) {
        ::kill(worker.process, SIGKILL);
        static_cast<void>(end(worker));
      }
    ::munmap(shared_, sizeof(Shared));
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void work(const std::function<bool(Outcome)>& take, const std::function<bool()>& idle) {
    auto due = from_;
    while (due < end_) {
      look();
      for (auto found = done_.find(due); found != done_.end(); found = done_.find(++due)) {
        auto outcome = std::move(found->second);
        done_.erase(found);
        if (!take(std::move(outcome))) return;
      }
      if (idle && !idle()) return;
    }
  }

 private:
  void start(std::size_t place) {
    auto& worker = workers_[place];
    worker = {};
    int pipe[2];
    CHECK(::pipe(pipe) == 0, "{}", std::strerror(errno));
    worker.errors = ::memfd_create("errors", 0);
    CHECK(worker.errors >= 0, "{}", std::strerror(errno));
    shared_->places[place].seed = 0;
    shared_->places[place].since = 0;
    std::fflush(nullptr);
    worker.process = ::fork();
    CHECK(worker.process >= 0, "{}", std::strerror(errno));
    if (worker.process == 0) {
      ::dup2(worker.errors, STDERR_FILENO);
      // Whoever interrupts the run interrupts the parent, which then ends these.
      std::signal(SIGINT, SIG_IGN);
      std::signal(SIGTERM, SIG_DFL);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (const auto& other : workers_)
        if (other.lines >= 0) ::close(other.lines);
      run_here(shared_->places[place], pipe[1]);
    }
    ::close(pipe[1]);
    worker.lines = pipe[0];
  }

  [[noreturn]] void run_here(Shared::Place& place, int out) {
    while (true) {
      const auto seed = shared_->next.fetch_add(1);
      if (seed >= end_) ::_exit(0);
      place.seed = seed;
      place.since = SteadyClock::now().time_since_epoch().count();
      try {
        const auto outcome = run_(seed);
        place.since = 0;  // it may have to wait until somebody takes it
        write_all(out, line_of(outcome) + "\n");
      } catch (const std::exception& error) {
        write_all(STDERR_FILENO, std::string("an exception that nobody caught: ") + error.what());
        ::_exit(EXIT_FAILURE);
      }
    }
  }

  // Waits a moment for what the processes have to tell.
  void look() {
    std::vector<pollfd> files;
    files.reserve(workers_.size());
    for (const auto& worker : workers_)
      files.push_back({worker.process > 0 ? worker.lines : -1, POLLIN, 0});
    ::poll(files.data(), files.size(), kLookMs);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (files[i].revents != 0) read(i);
      stop_if_too_long(i);
    }
  }

  void read(std::size_t place) {
    auto& worker = workers_[place];
    std::array<char, 65536> buffer;
    const auto size = ::read(worker.lines, buffer.data(), buffer.size());
    if (size < 0) return;
    if (size == 0) return over(place);
    worker.partial.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (auto end = worker.partial.find('\n'); end != std::string::npos;
         end = worker.partial.find('\n', begin)) {
      auto outcome = outcome_of(std::string_view(worker.partial).substr(begin, end - begin));
      const auto seed = outcome.seed;
      done_.emplace(seed, std::move(outcome));
      begin = end + 1;
    }
    worker.partial.erase(0, begin);
  }

  void stop_if_too_long(std::size_t place) {
    auto& worker = workers_[place];
    const auto& at = shared_->places[place];
    const auto since = at.since.load();
    if (worker.process <= 0 || worker.was_stopped || since == 0) return;
    if (SteadyClock::now().time_since_epoch() - SteadyClock::duration(since) < options_.longest) return;
    worker.was_stopped = true;
    ::kill(worker.process, SIGKILL);
  }

  // It has no seed left, or died of one.
  void over(std::size_t place) {
    auto& worker = workers_[place];
    const bool was_stopped = worker.was_stopped;
    const auto said = content(worker.errors);
    const int status = end(worker);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    Outcome outcome;
    outcome.seed = shared_->places[place].seed;
    CHECK(outcome.seed != 0, "a process of the crew died before its first seed: {}", said);
    outcome.broken.push_back(what_happened(status, was_stopped, said));
    done_.emplace(outcome.seed, std::move(outcome));
    start(place);
  }

  [[nodiscard]] std::string what_happened(int status, bool was_stopped, const std::string& said) const {
    if (was_stopped) return fmt::format("no end: it ran for {} s and was stopped", options_.longest.count());
    constexpr std::string_view kCheck = "CHECK failed at ";
    // A CHECK's place is its name.
    if (const auto at = said.find(kCheck); at != std::string::npos) {
      auto text = said.substr(at + kCheck.size());
      if (const auto colon = text.find(':'); colon != std::string::npos) text.replace(colon, 1, " line ");
      return "CHECK in " + text;
    }
    const auto died = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                          : fmt::format("exit code {}", WEXITSTATUS(status));
    return fmt::format("died: {}{}{}", died, said.empty() ? "" : ": ", said);
  }

  static int end(Worker& worker) {
    int status = 0;
    while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
    }
    ::close(worker.lines);
    ::close(worker.errors);
    worker = {};
    return status;
  }

  std::uint64_t from_;
  std::uint64_t end_;
  CrewOptions options_;
  const SeedRun& run_;
  Shared* shared_ = nullptr;
  std::vector<Worker> workers_;
  std::map<std::uint64_t, Outcome> done_;  // and not yet taken, because an earlier one is not
};

}  // namespace

void run_seeds(std::uint64_t from, std::uint64_t count, const CrewOptions& options, const SeedRun& run,
               const std::function<bool(Outcome)>& take, const std::function<bool()>& idle) {
  CHECK(from > 0, "seeds begin at 1");
  Crew(from, count, options, run).work(take, idle);
}

Outcome run_apart(std::uint64_t seed, std::chrono::seconds longest, const SeedRun& run) {
  Outcome outcome;
  run_seeds(seed, 1, {.jobs = 1, .longest = longest}, run, [&](Outcome taken) {
    outcome = std::move(taken);
    return false;
  });
  return outcome;
}

}  // namespace troth::sim
