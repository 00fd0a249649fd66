#include "tests/sim/bank/client.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>
#include <thrift/protocol/TProtocol.h>

#include "base/runtime/clock.h"
#include "tests/sim/model/statement_words.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/channel.h"
#include "thrift/runtime/wire_error.h"

namespace troth::sim {

// A refusal that keeps the transaction's id, which the tool and the examples have no use for: it stands before the message.
struct NamedRefusal {
  wire::TrothError refusal;
};

inline Error to_error(const NamedRefusal& named) {
  auto error = wire::to_error(named.refusal);
  error.message = named.refusal.transaction_id + ": " + error.message;
  return error;
}

// The same method, with such a refusal.
template <typename Method>
struct Named {
  static constexpr std::string_view kName = Method::kName;
  using Arguments = typename Method::Arguments;
  struct Outcome {
    decltype(Method::Outcome::success) success = nullptr;
    NamedRefusal error;
    struct {
      bool success = false;
      bool error = false;
    } __isset;

    void read(apache::thrift::protocol::TProtocol* in) {
      typename Method::Outcome outcome;
      outcome.success = success;
      outcome.read(in);
      __isset = {outcome.__isset.success, outcome.__isset.error};
      error.refusal = std::move(outcome.error);
    }
  };
};

namespace {

// The transaction that a refusal names, empty where it names none. None: that is no word of Troth's, but of the connection.
std::optional<std::string> named_in(const Error& error) {
  auto name = error.message.substr(0, error.message.find(": "));
  if (!name.empty() && !TransactionId::parse(name)) return std::nullopt;
  return name;
}

class BankClient final : public Program {
 public:
  BankClient(Node& node, const ClientPlan& plan, Ledger& ledger)
      : node_(node), world_(node.world()), plan_(plan), ledger_(ledger), loop_(node), timer_(loop_) {
    for (const auto& address : plan.coordinators)
      channels_.push_back(
          std::make_unique<rpc::Channel>(loop_, *rpc::Address::parse(address), rpc::ChannelOptions{}));
    // What an earlier start of it left open.
    for (const auto& [key, transfer] : ledger_.transfers()) {
      if (key.client != plan_.name) continue;
      ++begun_;
      if (!transfer.over) open_.push_back(key);
    }
    node_.post([this] { next(); });
  }

 private:
  Random& random() { return world_.random(Purpose::kClients); }
  bool chance(std::uint32_t per_10000) { return world_.chance(Purpose::kClients, per_10000); }

  void note(std::string_view what, const std::string& text) {
    world_.trace().event(world_.now(), node_.name(), what, 0, [&] { return text; });
  }

  void later(Duration delay, void (BankClient::*action)()) {
    timer_.expires_after(delay);
    timer_.async_wait([this, action](const asio::error_code& stopped) {
      if (!stopped) (this->*action)();
    });
  }

  void next() {
    if (!open_.empty()) {
      key_ = open_.back();
      open_.pop_back();
      return ask();
    }
    if (begun_ >= plan_.transfers) return;
    if (chance(plan_.audits)) return audit();
    begin_later();
  }

  void begin_later() { later(world_.draw(Purpose::kClients, Duration(0), plan_.pause), &BankClient::begin); }

  void begin() {
    ++begun_;
    std::vector<Posting> postings;
    const auto from = random().below(plan_.resources.size());
    const auto to = chance(plan_.one_phase) ? from : (from + 1) % plan_.resources.size();
    const auto amount = random().between(1, 60);
    postings.push_back({from, account_of(from), -amount});
    postings.push_back({to, account_of(to), amount});
    if (from == to && postings[0].account == postings[1].account)
      postings[1].account = postings[1].account % plan_.resources[to].accounts + 1;
    key_ = {plan_.name, new_request_id()};
    const bool interactive = chance(plan_.interactive);
    if (interactive && amount > 1 && chance(5'000)) split(postings, random().between(1, amount - 1));
    ledger_.open(key_, std::move(postings), interactive);
    attempt();
  }

  // Each amount by two statements: one after the other, or in turns.
  void split(std::vector<Posting>& postings, std::int64_t first) {
    auto rest = postings;
    for (std::size_t i = 0; i < postings.size(); ++i) {
      const auto part = postings[i].amount < 0 ? -first : first;
      postings[i].amount = part;
      rest[i].amount -= part;
    }
    postings.insert(postings.end(), rest.begin(), rest.end());
    if (chance(5'000)) std::swap(postings[1], postings[2]);
  }

  void attempt() {
    if (!ledger_.at(key_).interactive) return execute();
    wire::BeginRequest request;
    wire::BeginOptions options;
    options.__set_timeout_ms(plan_.timeout.count() / 1000);
    request.__set_options(options);
    request.client_name = plan_.name;
    request.__set_request_id(key_.id.text());
    note("begins", key_.id.text());
    call<wire::Transactions_begin_transaction>(request, [this](const Result<wire::BeginResult>& begun) {
      if (!begun) return failed(begun.error());
      if (begun->already_committed) return committed(begun->transaction_id, true);
      transaction_ = begun->transaction_id;
      ledger_.at(key_).named.insert(transaction_);
      numbers_.clear();
      posting_ = 0;
      query(false);
    });
  }

  // The statements one by one, then the commit. What was not answered, or lost its answer, has the same number again.
  void query(bool again) {
    const auto& postings = ledger_.at(key_).postings;
    if (posting_ == postings.size()) return chance(500) ? roll_back() : commit();
    const auto& posting = postings[posting_];
    wire::QueryRequest request;
    request.transaction_id = transaction_;
    request.client_name = plan_.name;
    request.resource = plan_.resources[posting.database].name;
    if (!again) ++numbers_[request.resource];
    request.number = numbers_[request.resource];
    request.statement = statement_of(posting);
    note(again ? "queries again" : "queries", transaction_);
    if (again) world_.count_rare("a statement was asked for again");
    call<wire::Transactions_query>(request, [this, again](const Result<wire::QueryResult>& answer) {
      if (answer) {
        if (!again && chance(plan_.repeats)) return query(true);
        ++posting_;
        return query(false);
      }
      note("hears", answer.error().message);
      const bool goes_on = !named_in(answer.error()) || answer.error().code == ErrorCode::kBusy;
      if (goes_on && chance(7'000)) return later(pause(), &BankClient::query_again);
      // It has not called commit: nothing of it will ever stand.
      roll_back();
    });
  }
  void query_again() { query(true); }

  void roll_back() {
    wire::RollbackRequest request;
    request.transaction_id = transaction_;
    request.client_name = plan_.name;
    call<wire::Transactions_rollback>(request, [this](const Result<wire::RollbackResult>& result) {
      if (!result) return later(pause(), &BankClient::bar);
      world_.count_rare("an interactive transaction was rolled back");
      ledger_.tell_not_committed(key_, transaction_);
      over();
    });
  }

  void commit() {
    wire::CommitRequest request;
    request.transaction_id = transaction_;
    request.client_name = plan_.name;
    if (chance(plan_.decided)) request.__set_acknowledgement(wire::Acknowledgement::DECIDED);
    note("commits", transaction_);
    call<wire::Transactions_commit>(request, [this](const Result<wire::CommitResult>& result) {
      if (result) {
        world_.count_rare("an interactive transaction was committed");
        return committed(*result);
      }
      const auto& error = result.error();
      const bool goes_on =
          error.code == ErrorCode::kBusy || !named_in(error) || error.effect != Effect::kNone;
      if (!goes_on) {
        note("hears", error.message);
        ledger_.tell_not_committed(key_, transaction_);
        return over();
      }
      if (chance(5'000)) {
        note("hears", error.message);
        return later(pause(), &BankClient::commit);
      }
      failed(error);
    });
  }

  // Mostly the one that it called last.
  rpc::Channel& coordinator() {
    if (channels_.size() > 1 && chance(3'000)) turn_ = random().below(channels_.size());
    return *channels_[turn_];
  }

  template <typename Method, typename Request, typename Done>
  void call(const Request& request, Done done) {
    auto patience = plan_.timeout + std::chrono::milliseconds(500);
    if (chance(plan_.impatient)) {
      world_.count_rare("a client did not wait for its answer");
      patience = world_.draw(Purpose::kClients, Duration(500), Duration(500'000));
    }
    coordinator().call<Named<Method>>(request, patience, std::move(done));
  }

  std::int64_t account_of(std::size_t database) {
    return random().between(1, plan_.resources[database].accounts);
  }

  RequestId new_request_id() {
    RequestId id;
    const auto ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(wall_now().time_since_epoch()).count());
    for (std::size_t i = 0; i < 6; ++i)
      id.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
    for (std::size_t i = 6; i < id.bytes.size(); ++i)
      id.bytes[i] = static_cast<std::uint8_t>(random().below(256));
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0fU) | 0x70U);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3fU) | 0x80U);
    return id;
  }

  wire::Statement statement_of(const Posting& posting) const {
    const auto kind = plan_.resources[posting.database].kind;
    const auto written = write_out(kind, AddToAccount{posting.amount, posting.account});
    wire::Statement statement;
    statement.sql = written.sql;
    for (const auto number : {posting.amount, posting.account}) {
      wire::Value value;
      value.__set_int64(number);
      statement.parameters.push_back(std::move(value));
    }
    wire::ExpectRows expected;
    expected.__set_exactly(1);
    statement.__set_expect_rows(expected);
    return statement;
  }

  void execute() {
    const auto& transfer = ledger_.at(key_);
    wire::ExecuteRequest request;
    for (const auto& posting : transfer.postings) {
      const auto& name = plan_.resources[posting.database].name;
      if (request.branches.empty() || request.branches.back().resource != name) {
        wire::BranchWork work;
        work.resource = name;
        request.branches.push_back(std::move(work));
      }
      request.branches.back().statements.push_back(statement_of(posting));
    }
    wire::ExecuteOptions options;
    options.__set_timeout_ms(plan_.timeout.count() / 1000);
    if (chance(plan_.decided)) options.__set_acknowledgement(wire::Acknowledgement::DECIDED);
    request.__set_options(options);
    request.client_name = plan_.name;
    request.__set_request_id(key_.id.text());
    note("executes", key_.id.text());
    call<wire::Transactions_execute>(request, [this](const Result<wire::ExecuteResult>& result) {
      if (!result) return failed(result.error());
      if (!result->pending_resources.empty()) world_.count_rare("decided, and not yet applied everywhere");
      committed(*result);
    });
  }

  template <typename Answer>
  void committed(const Answer& answer) {
    if (answer.acknowledged == wire::Acknowledgement::APPLIED && answer.pending_resources.empty())
      ledger_.tell_applied(key_, answer.transaction_id);
    committed(answer.transaction_id, answer.already_committed);
  }

  void committed(const std::string& transaction, bool before) {
    note(before ? "hears it committed before" : "hears committed", transaction);
    if (before) world_.count_rare("a retry met its commit");
    ledger_.tell_committed(key_, transaction);
    over();
  }

  void failed(const Error& error) {
    note("hears", fmt::format("{} effect {}: {}", name_of(error.code), name_of(error.effect), error.message));
    if (error.code == ErrorCode::kRequestIdTooOld) {
      world_.count_rare("a request was forgotten on purpose");
      return over();
    }
    if (error.code == ErrorCode::kRequestIdFromFuture)
      world_.count_rare("a request from the future was refused");
    const auto named = named_in(error);
    if (named && !named->empty()) ledger_.at(key_).named.insert(*named);
    // Busy: of this call only, what it called goes on.
    if (error.effect == Effect::kNone && named && error.code != ErrorCode::kBusy) {
      ledger_.tell_nothing_stands(key_);
      if (!named->empty()) ledger_.tell_not_committed(key_, *named);
      if (!chance(3'000)) return over();
    }
    if (chance(plan_.bars)) return later(pause(), &BankClient::bar);
    if (chance(4'000)) return later(pause(), &BankClient::ask);
    later(pause(), &BankClient::attempt);
  }

  Duration pause() { return world_.draw(Purpose::kClients, Duration(1'000), std::chrono::seconds(1)); }

  // By the request_id, or by the name of an attempt.
  void ask() {
    const auto& named = ledger_.at(key_).named;
    if (named.empty() || !chance(5'000)) return status(false);
    wire::StatusRequest request;
    const auto chosen = random().below(named.size());
    request.__set_transaction_id(*std::next(named.begin(), static_cast<std::ptrdiff_t>(chosen)));
    note("asks about", request.transaction_id);
    world_.count_rare("a transaction was asked about by its id");
    ask_status(request);
  }
  void bar() { status(true); }

  void status(bool bars) {
    wire::StatusRequest request;
    request.__set_request_id(key_.id.text());
    request.client_name = plan_.name;
    request.bar = bars;
    // Which resources, it need not say of what never goes in one phase.
    const auto& transfer = ledger_.at(key_);
    const bool is_recorded = transfer.interactive || transfer.databases().size() > 1;
    if (bars && !(is_recorded && chance(7'000))) {
      for (const auto database : transfer.databases())
        request.bar_resources.push_back(plan_.resources[database].name);
    }
    note(bars ? "bars" : "asks about", key_.id.text());
    ask_status(request);
  }

  void ask_status(wire::StatusRequest& request) {
    request.__set_timeout_ms(plan_.timeout.count() / 1000);
    call<wire::Transactions_status>(
        request, [this, request](const Result<wire::StatusReply>& reply) { answered(reply, request); });
  }

  void answered(const Result<wire::StatusReply>& reply, const wire::StatusRequest& asked) {
    const bool bars = asked.bar;
    if (!reply) {
      note("hears", reply.error().message);
      if (reply.error().code == ErrorCode::kRequestIdTooOld) return over();
      return later(pause(), bars ? &BankClient::bar : &BankClient::ask);
    }
    note("hears state", fmt::format("{} {}", static_cast<int>(reply->state), reply->transaction_id));
    switch (reply->state) {
      case wire::TransactionState::COMMITTED:
        ledger_.tell_committed(key_, reply->transaction_id);
        world_.count_rare("status told a commit that its caller had not heard of");
        return over();
      case wire::TransactionState::NOT_COMMITTED:
        if (reply->__isset.transaction_id) ledger_.tell_not_committed(key_, reply->transaction_id);
        if (!bars) break;
        ledger_.tell_barred(key_);
        world_.count_rare("a request was barred");
        return over();
      case wire::TransactionState::TOO_OLD:
        if (!asked.__isset.request_id) break;
        world_.count_rare("a request was forgotten on purpose");
        return over();
      default: break;
    }
    if (bars) return later(pause(), &BankClient::bar);
    later(pause(), chance(plan_.bars) ? &BankClient::bar : &BankClient::attempt);
  }

  // How did an earlier one end, or an attempt at it? It ended so for ever.
  void audit() {
    std::vector<std::pair<RequestKey, std::string>> heard;
    for (const auto& [key, transfer] : ledger_.transfers()) {
      if (key.client != plan_.name) continue;
      for (const auto* told : {&transfer.named, &transfer.told_committed, &transfer.told_not_committed})
        for (const auto& id : *told)
          heard.emplace_back(key, id);
    }
    if (heard.empty()) return begin_later();
    const auto [key, id] = heard[random().below(heard.size())];
    wire::StatusRequest request;
    if (chance(7'000))
      request.__set_transaction_id(id);
    else
      request.__set_request_id(key.id.text());
    request.client_name = plan_.name;
    request.__set_timeout_ms(plan_.timeout.count() / 1000);
    world_.count_rare("a client asked about an earlier transaction");
    note("asks about earlier", id);
    call<wire::Transactions_status>(request, [this, key](const Result<wire::StatusReply>& reply) {
      if (reply) {
        note("hears state", fmt::format("{} {}", static_cast<int>(reply->state), reply->transaction_id));
        if (reply->__isset.transaction_id && reply->state == wire::TransactionState::COMMITTED)
          ledger_.tell_committed(key, reply->transaction_id);
        if (reply->__isset.transaction_id && reply->state == wire::TransactionState::NOT_COMMITTED)
          ledger_.tell_not_committed(key, reply->transaction_id);
      }
      begin_later();
    });
  }

  void over() {
    ledger_.at(key_).over = true;
    next();
  }

  Node& node_;
  World& world_;
  const ClientPlan& plan_;
  Ledger& ledger_;
  asio::io_context loop_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;  // one to each coordinator
  std::size_t turn_ = 0;
  asio::steady_timer timer_;
  std::vector<RequestKey> open_;
  std::uint32_t begun_ = 0;
  RequestKey key_;
  std::string transaction_;                      // of an interactive one
  std::size_t posting_ = 0;                      // of it: what is asked for now
  std::map<std::string, std::int32_t> numbers_;  // of its statements, by resource
};

}  // namespace

Node::Boot client_program(ClientPlan plan, Ledger& ledger) {
  return [plan = std::move(plan), &ledger](Node& node) {
    return std::make_unique<BankClient>(node, plan, ledger);
  };
}

}  // namespace troth::sim
