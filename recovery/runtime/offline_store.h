// recovery/runtime/offline_store.h
//
// The decision store of a coordinator that does not run: opened as the coordinator itself would, asked one
// thing at a time.
#pragma once

#include <memory>

#include "base/runtime/data_directory.h"
#include "coordinator/decision_store/decision_store.h"

namespace troth::recovery {

class OfflineStore {
 public:
  // `data` is open, so that no coordinator runs in it, and outlives this.
  [[nodiscard]] static Result<std::unique_ptr<OfflineStore>> open(const DataDirectory& data);
  ~OfflineStore();
  OfflineStore(const OfflineStore&) = delete;
  OfflineStore& operator=(const OfflineStore&) = delete;

  // Waits for the answer, which is durable where it says so.
  [[nodiscard]] coordinator::store::StoreAnswer ask(coordinator::store::Request request);

 private:
  OfflineStore();
  struct Running;
  std::unique_ptr<Running> running_;
};

}  // namespace troth::recovery
