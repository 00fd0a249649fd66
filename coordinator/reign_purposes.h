// coordinator/reign_purposes.h
//
// Why a reign asked: what a ticket of the store, or of a settle, stands for until its answer comes.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "coordinator/decision_store/decision_store.h"
#include "coordinator/table_messages.h"
#include "coordinator/transaction.h"

namespace troth::coordinator {

struct ForAdmission {
  CallId call;
};
struct ForChoice {
  Position transaction;
};
struct ForRecord {
  Position transaction;
};
struct ForOpenList {};
struct ForEndedList {};
struct ForEnds {
  std::vector<store::EndedRecord> ends;
};
struct ForFloors {};
struct ForRegistration {
  CallId call;
  ResourceName resource;
};
struct ForInquiry {
  CallId call;
  TransactionId transaction;
  bool over_here = false;
};
struct ForStatusRecord {
  CallId call;
};
struct ForBar {
  CallId call;
};
struct ForResolvedRecord {
  ResolveRequested request;
};
struct ForResolution {
  ResolveRequested request;
  std::string decision;
  TransactionState state;
};
using Purpose =
    std::variant<ForAdmission, ForChoice, ForRecord, ForOpenList, ForEndedList, ForEnds, ForFloors,
                 ForRegistration, ForInquiry, ForStatusRecord, ForBar, ForResolvedRecord, ForResolution>;
struct SettleOfTransaction {
  Position transaction;
};
struct SettleOfStatus {
  CallId call;
  ResourceName resource;
};
using SettlePurpose = std::variant<SettleOfTransaction, SettleOfStatus>;

}  // namespace troth::coordinator
