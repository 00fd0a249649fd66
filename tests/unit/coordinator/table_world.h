// tests/unit/coordinator/table_world.h
//
// A transaction table over a local engine in memory, spoken to in the words of scripts. The store answers at
// once unless a script says that it waits; agents are what the script says of them.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/decision_store/local_engine.h"
#include "coordinator/transaction_table.h"
#include "tests/unit/coordinator/script.h"

namespace troth::coordinator {

class TableWorld : public ScriptedMachine {
 public:
  std::vector<std::string> apply(const std::string& line) override;

 private:
  // ---- what a script says
  void change_limits(Words& words);
  void start();
  void register_agent(Words& words);
  void execute(Words& words);
  void begin(Words& words);
  void statement(Words& words);
  void answer_statement(Words& words);
  void end_interactive(Words& words, bool commits);
  void ask_status(Words& words);
  void settle(const std::string& resource, Words& words);
  void resolve(Words& words);
  bool tell(Words& words);
  void show(Words& words);
  void pass(Duration time);

  // ---- the world
  void step(TableInput input);
  void carry_out(TableEffect effect);
  void run_store();
  store::StoreAnswer ask_engine(store::Request request);
  [[nodiscard]] Clocks clocks() const { return {now_, wall_}; }
  RequestKey request(const std::string& name, const std::string& client = "teller");
  static BranchId read_branch(const std::string& word);

  std::string write(const TableEffect& effect);
  std::string write(const store::Request& request);
  std::string write_request(const RequestKey& key);

  TableLimits limits_;
  store::LocalEngine engine_;
  std::uint64_t last_engine_ticket_ = 0;
  std::optional<TransactionTable> table_;
  Instant now_{std::chrono::hours{1}};
  WallTime wall_{std::chrono::hours{24 * 20000}};
  bool store_waits_ = false;
  std::deque<AskStore> asked_;
  Position last_floor_;
  std::map<ResourceName, std::deque<SettleTicket>> settles_;
  std::map<CallId, BranchId> statements_;  // sent
  std::map<std::string, RequestId> requests_;
  std::vector<std::string> lines_;
};

}  // namespace troth::coordinator
