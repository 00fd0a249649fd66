#include "coordinator/runtime/transactions_service.h"

#include <memory>
#include <utility>
#include <variant>

#include "coordinator/runtime/wire.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/refusal.h"

namespace troth::coordinator {
namespace {

constexpr Duration kReadTimeout = std::chrono::seconds(5);

store::Consistency consistency_of(wire::Consistency::type consistency) {
  switch (consistency) {
    case wire::Consistency::QUORUM: return store::Consistency::kQuorum;
    case wire::Consistency::SESSION: return store::Consistency::kSession;
    case wire::Consistency::EVENTUAL: return store::Consistency::kEventual;
    case wire::Consistency::LINEARIZABLE: break;
  }
  return store::Consistency::kLinearizable;
}

std::shared_ptr<const wire::ExecuteRequest> names_of(const wire::BeginRequest& request) {
  auto names = std::make_shared<wire::ExecuteRequest>();
  names->client_name = request.client_name;
  if (request.__isset.request_id) names->__set_request_id(request.request_id);
  if (request.__isset.label) names->__set_label(request.label);
  if (request.__isset.traceparent) names->__set_traceparent(request.traceparent);
  return names;
}

}  // namespace

void TransactionsService::hello(Answer<wire::Hello> answer, Refusal refuse, const wire::Hello& hello) {
  if (const auto fits = rpc::check_hello(hello, reigns_.cluster()); !fits) {
    return rpc::refuse_with(refuse, fits.error());
  }
  answer(own_hello_());
}

void TransactionsService::execute(Answer<wire::ExecuteResult> answer, Refusal refuse,
                                  const wire::ExecuteRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  auto work = work_of(request);
  if (!work) {
    reigns_.serving().refused(request, work.error());
    return rpc::refuse_with(refuse, work.error());
  }
  reigns_.serving().execute(
      std::make_shared<wire::ExecuteRequest>(request), *std::move(work),
      [this, answer = std::move(answer), refuse = std::move(refuse)](const coordinator::Answer& outcome) {
        if (const auto* committed = std::get_if<Committed>(&outcome)) {
          auto result = result_of(*committed);
          if (auto token = session_token()) result.__set_session_token(*std::move(token));
          answer(result);
        } else {
          rpc::refuse_with(refuse, error_of(std::get<Failed>(outcome)));
        }
      });
}

void TransactionsService::begin_transaction(Answer<wire::BeginResult> answer, Refusal refuse,
                                            const wire::BeginRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  const auto names = names_of(request);
  auto work = work_of(request);
  if (!work) {
    reigns_.serving().refused(*names, work.error());
    return rpc::refuse_with(refuse, work.error());
  }
  reigns_.serving().begin(
      names, *std::move(work),
      [answer = std::move(answer), refuse = std::move(refuse)](const coordinator::Answer& outcome) {
        wire::BeginResult result;
        if (const auto* failed = std::get_if<Failed>(&outcome))
          return rpc::refuse_with(refuse, error_of(*failed));
        if (const auto* committed = std::get_if<Committed>(&outcome)) {
          result.transaction_id = committed->transaction.text();
          result.already_committed = true;
        } else {
          result.transaction_id = std::get<Begun>(outcome).transaction.text();
        }
        answer(result);
      });
}

void TransactionsService::query(Answer<wire::QueryResult> answer, Refusal refuse,
                                const wire::QueryRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  run_statement(std::move(answer), std::move(refuse), statement_of(request),
                {request.statement, 0, request.__isset.page_rows ? request.page_rows : 0});
}

void TransactionsService::fetch(Answer<wire::QueryResult> answer, Refusal refuse,
                                const wire::FetchRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  run_statement(std::move(answer), std::move(refuse), rows_of(request),
                {std::nullopt, request.from_row, request.__isset.page_rows ? request.page_rows : 0});
}

void TransactionsService::run_statement(Answer<wire::QueryResult> answer, Refusal refuse,
                                        Result<StatementRequested> asked, StatementPart part) {
  if (!asked) return rpc::refuse_with(refuse, asked.error());
  reigns_.serving().run_statement(
      *std::move(asked), std::move(part),
      [answer = std::move(answer), refuse = std::move(refuse)](const AnswerStatement& outcome) {
        if (outcome.result) return answer(result_of(*outcome.result));
        rpc::refuse_with(refuse, error_of({outcome.over, outcome.result.error()}));
      });
}

void TransactionsService::commit(Answer<wire::CommitResult> answer, Refusal refuse,
                                 const wire::CommitRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  auto commit = commit_of(request);
  if (!commit) return rpc::refuse_with(refuse, commit.error());
  reigns_.serving().commit(*std::move(commit), [this, answer = std::move(answer), refuse = std::move(refuse)](
                                                   const coordinator::Answer& outcome) {
    if (const auto* committed = std::get_if<Committed>(&outcome)) {
      auto result = commit_result_of(*committed);
      if (auto token = session_token()) result.__set_session_token(*std::move(token));
      return answer(result);
    }
    rpc::refuse_with(refuse, error_of(std::get<Failed>(outcome)));
  });
}

void TransactionsService::rollback(Answer<wire::RollbackResult> answer, Refusal refuse,
                                   const wire::RollbackRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  auto rollback = rollback_of(request);
  if (!rollback) return rpc::refuse_with(refuse, rollback.error());
  reigns_.serving().roll_back(*std::move(rollback), [answer = std::move(answer), refuse = std::move(refuse)](
                                                        const coordinator::Answer& outcome) {
    if (const auto* failed = std::get_if<Failed>(&outcome))
      return rpc::refuse_with(refuse, error_of(*failed));
    wire::RollbackResult result;
    result.transaction_id = std::get<RolledBack>(outcome).transaction.text();
    answer(result);
  });
}

void TransactionsService::status(Answer<wire::StatusReply> answer, Refusal refuse,
                                 const wire::StatusRequest& request) {
  if (const auto granted = grants_.check(request); !granted) return rpc::refuse_with(refuse, granted.error());
  auto status = status_of(request);
  if (!status) return rpc::refuse_with(refuse, status.error());
  const bool is_read = request.__isset.consistency &&
                       request.consistency != wire::Consistency::LINEARIZABLE && reads_ != nullptr;
  if (is_read) return read_status(std::move(answer), std::move(refuse), request, *std::move(status));
  reigns_.serving().status(
      *std::move(status), [this, answer = std::move(answer), refuse = std::move(refuse)](const auto& report) {
        if (report) {
          auto reply = reply_of(*report);
          if (auto token = session_token()) reply.__set_session_token(*std::move(token));
          answer(reply);
        } else {
          rpc::refuse_with(refuse, report.error());
        }
      });
}

void TransactionsService::read_status(Answer<wire::StatusReply> answer, Refusal refuse,
                                      const wire::StatusRequest& request, StatusRequested asked) {
  const auto consistency = consistency_of(request.consistency);
  std::optional<ReadToken> token;
  if (consistency == store::Consistency::kSession) {
    auto parsed = ReadToken::parse(request.session_token);
    if (!parsed) return rpc::refuse_with(refuse, parsed.error());
    token = *parsed;
  }
  const auto timeout = asked.timeout > Duration::zero() ? asked.timeout : kReadTimeout;
  reads_->status(
      std::move(asked.subject), consistency, token, timeout,
      [answer = std::move(answer), refuse = std::move(refuse)](const Result<ReplicaReads::Answer>& read) {
        if (!read) return rpc::refuse_with(refuse, read.error());
        auto reply = reply_of(read->report);
        reply.__set_session_token(read->token.text());
        answer(reply);
      });
}

std::optional<std::string> TransactionsService::session_token() const {
  if (reads_ == nullptr) return std::nullopt;
  return reads_->newest().text();
}

}  // namespace troth::coordinator
