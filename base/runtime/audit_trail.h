// base/runtime/audit_trail.h
//
// Who changed what by hand, when and why: an append-only file of logfmt lines in a data directory. Nothing of
// Troth reads it; it is for people, and outlives the log.
//
// Durability: the line is synced before the call returns, so that it stands before what it tells of is done. Lines of
// calls that change nothing, denied ones above all, are left to the kernel: a stranger does not make us wait for the disk.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/logfmt.h"
#include "base/result.h"
#include "base/time.h"

namespace troth {

// Whether a crash of the machine may take the line: only where nothing is changed by what it tells of.
enum class AuditLine : bool { kDurable, kMayBeLost };

// Appends `time=... action=... <fields>` to `path`, which is made when it is missing (mode 0600).
[[nodiscard]] Status append_audit(const std::string& path, WallTime now, std::string_view action,
                                  std::initializer_list<LogField> fields,
                                  AuditLine durability = AuditLine::kDurable);

}  // namespace troth
