// coordinator/decision_store/runtime/local_import.h
//
// A coordinator of its own becomes a group: what its local store holds is the first snapshot of one replica. Everything that
// lives comes along: epochs with their nonces, open and ended decisions, request keys, floors, resources' numbers.
//
// The local log stays as it is, but for what is said at its end, twice each time, so that no rotted batch unsays it:
//
//   snapshot written, no name yet -> [superseded by the group there] -> the group's log -> [it is made] -> the snapshot's name
//
// From the first on no coordinator starts on it again; a group starts when its snapshot has its name. Killed anywhere in between,
// the same call does the rest: before it is superseded the local store is as good as before, and from then on it is read only to be
// imported to the same place. From the second on it is not imported to a place where that log is not: the group may have gone on.
//
// With more than one replica, either the group begins with this one alone and the others join it, or they begin with
// copies of both directories: a majority that knows nothing of the import would agree on something else.
#pragma once

#include <string>

#include "base/result.h"
#include "coordinator/consensus/quorum.h"
#include "coordinator/decision_store/group_engine.h"
#include "txlog/runtime/files.h"

namespace troth::coordinator::store {

struct LocalImport {
  std::string local_directory;
  ClusterId cluster;
  std::string directory;           // of the group's log; its parent must exist
  std::string snapshot_directory;  // empty: the log's, and "-snapshots"
  consensus::Configuration first;
  std::uint64_t seed = 1;
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  txlog::Files* files = nullptr;  // null: the operating system's
};

struct Imported {
  consensus::Slot
      slot;  // of the first snapshot: as many as the local log had records, so that prefixes never go back [S7]
  Epoch epoch;
  Floors floors;
  Counts counts;
  bool cut_tail = false;  // of the local log, not settled: tell the operator
};

// Waits for the disk: nobody else may use these directories. Refuses by name a local log that is in use, damaged, not there,
// taken over by another group or by one that has gone on since, and a place where a group's log or snapshot is already.
[[nodiscard]] Result<Imported> import_local(const LocalImport& import);

// It was imported to this place, to its end. Changes nothing; fails where the local log cannot be read.
[[nodiscard]] Result<bool> is_imported(const LocalImport& import);

}  // namespace troth::coordinator::store
