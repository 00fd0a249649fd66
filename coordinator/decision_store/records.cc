#include "coordinator/decision_store/records.h"

namespace troth::coordinator::store {

const TransactionId& StoredDecision::transaction() const {
  return std::visit([](const auto& record) -> const TransactionId& { return record.transaction; }, decision);
}

}  // namespace troth::coordinator::store
