// bench/runtime/txlog_append_main.cc
//
// How fast the log appends and replays, on the disk under the directory that is given: one JSON line for each
// number of records in flight, and one for the replay of what was written.
//
//   bench-txlog DIRECTORY [RECORDS] [PAYLOAD_BYTES]      defaults: 20000 and 200
#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "txlog/runtime/log.h"

namespace troth::txlog {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<OpenedLog> open_log(const std::string& directory, std::uint64_t& payload_bytes) {
  return Log::open({.directory = directory,
                    .identity = {{"bench-000000"}, "bench"},
                    .replay = [&payload_bytes](const RecordView& record) -> Status {
                      payload_bytes += record.payload.size();
                      return {};
                    },
                    .on_failure = {},
                    .on_warning = {},
                    .seed = {}});
}

// Appends `records`, never more than `in_flight` unacknowledged; false if the log failed.
bool append(const std::string& directory, std::size_t in_flight, std::size_t records,
            std::size_t payload_bytes) {
  std::uint64_t replayed = 0;
  auto opened = open_log(directory, replayed);
  if (!opened) {
    std::fputs((opened.error().message + "\n").c_str(), stderr);
    return false;
  }
  auto& log = *opened->log;
  const std::string payload(payload_bytes, 'x');
  std::mutex mutex;
  std::condition_variable acknowledged;
  std::size_t waiting = 0;
  bool failed = false;
  std::vector<double> latencies;
  latencies.reserve(records);
  const auto start = Clock::now();
  for (std::size_t i = 0; i < records; ++i) {
    {
      std::unique_lock lock(mutex);
      acknowledged.wait(lock, [&] { return waiting < in_flight || failed; });
      if (failed) break;
      ++waiting;
    }
    const auto appended = Clock::now();
    const auto taken = log.append({1}, bytes_of(payload), [&, appended](const Result<LogPosition>& result) {
      const std::lock_guard lock(mutex);
      --waiting;
      failed = failed || !result;
      latencies.push_back(seconds_since(appended));
      acknowledged.notify_one();
    });
    if (!taken) break;
  }
  log.close();
  const auto elapsed = seconds_since(start);
  if (failed || latencies.empty()) return false;
  std::ranges::sort(latencies);
  const auto counters = log.counters();
  fmt::print(
      "{{\"bench\":\"txlog_append\",\"in_flight\":{},\"payload_bytes\":{},\"records_per_s\":{:.0f},"
      "\"syncs_per_record\":{:.4f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f},\"written_mb\":{:.1f}}}\n",
      in_flight, payload_bytes, static_cast<double>(latencies.size()) / elapsed,
      static_cast<double>(counters.syncs) / static_cast<double>(counters.records),
      1e3 * latencies[latencies.size() / 2], 1e3 * latencies[latencies.size() * 99 / 100],
      static_cast<double>(counters.written_bytes) / 1e6);
  return true;
}

bool replay(const std::string& directory) {
  std::uint64_t file_bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory))
    file_bytes += file.file_size();
  std::uint64_t payload_bytes = 0;
  const auto start = Clock::now();
  const auto opened = open_log(directory, payload_bytes);
  const auto elapsed = seconds_since(start);
  if (!opened) return false;
  fmt::print(
      "{{\"bench\":\"txlog_replay\",\"records\":{},\"log_mb\":{:.1f},\"payload_mb\":{:.1f},\"open_s\":{:.3f},"
      "\"mb_per_s\":{:.0f}}}\n",
      opened->records_replayed, static_cast<double>(file_bytes) / 1e6,
      static_cast<double>(payload_bytes) / 1e6, elapsed, static_cast<double>(file_bytes) / 1e6 / elapsed);
  return true;
}

std::size_t number(int count, char** words, int at, std::size_t otherwise) {
  if (at >= count) return otherwise;
  const std::string_view word = words[at];
  std::size_t value = 0;
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  return problem == std::errc{} && end == word.data() + word.size() ? value : 0;
}

int run(int count, char** words) {
  const auto records = number(count, words, 2, 20'000);
  const auto payload_bytes = number(count, words, 3, 200);
  if (count < 2 || records == 0 || payload_bytes == 0) {
    std::fputs("usage: bench-txlog DIRECTORY [RECORDS] [PAYLOAD_BYTES]\n", stderr);
    return 2;
  }
  for (const std::size_t in_flight : {1U, 8U, 64U, 1024U}) {
    if (!append(words[1], in_flight, in_flight == 1 ? records / 4 + 1 : records, payload_bytes)) return 1;
  }
  return replay(words[1]) ? 0 : 1;
}

}  // namespace
}  // namespace troth::txlog

int main(int count, char** words) {
  return troth::txlog::run(count, words);
}
