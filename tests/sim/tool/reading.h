// tests/sim/tool/reading.h
//
// A trace as somebody reads it: without what happens all the time, or only what has to do with one machine or with one
// transaction. Faults, and what came up or went down, always stay: they are what the rest is to be read against.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace troth::sim {

struct Reading {
  std::set<std::string, std::less<>> nodes;  // empty: all
  std::string transaction;  // its id, with or without the cluster, or its request's; empty: all
  bool everything = false;  // also heartbeats, counters, and what was said three times
};

// Those of the lines that are wanted, in their order.
[[nodiscard]] std::vector<std::string> wanted(const std::vector<std::string>& lines, const Reading& reading);

}  // namespace troth::sim
