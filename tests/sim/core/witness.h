// tests/sim/core/witness.h
//
// Sees what programs do that they can be held to, at the moment at which they do it: what is called and answered, and what
// comes to their logs. It changes nothing of the run.
#pragma once

#include <string_view>

#include "thrift/frame.h"
#include "txlog/scan.h"

namespace troth::sim {

class Node;

class Witness {
 public:
  virtual ~Witness() = default;

  // Messages without their frame's length.
  virtual void called(const Node& program, std::string_view method, rpc::Bytes call) = 0;
  virtual void answered(const Node& program, std::string_view method, rpc::Bytes call, rpc::Bytes answer) = 0;

  // A start reads its log: what it finds there is all that it knows. Then what it adds, first on its way, then durable.
  virtual void log_opens(const Node& program) = 0;
  // Its last batch was bad, and is gone.
  virtual void log_cut(const Node& program) = 0;
  virtual void record_found(const Node& program, const txlog::RecordView& record) = 0;
  virtual void record_appended(const Node& program, const txlog::RecordView& record) = 0;
  virtual void record_durable(const Node& program, const txlog::RecordView& record) = 0;
};

}  // namespace troth::sim
