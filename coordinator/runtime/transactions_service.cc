#include "coordinator/runtime/transactions_service.h"

#include <memory>
#include <utility>
#include <variant>

#include "coordinator/runtime/wire.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/refusal.h"

namespace troth::coordinator {

void TransactionsService::hello(Answer<wire::Hello> answer, Refusal refuse, const wire::Hello& hello) {
  if (const auto fits = rpc::check_hello(hello, coordinator_.cluster()); !fits) {
    return rpc::refuse_with(refuse, fits.error());
  }
  answer(rpc::hello_of("troth-coordinator", coordinator_.cluster()));
}

void TransactionsService::execute(Answer<wire::ExecuteResult> answer, Refusal refuse,
                                  const wire::ExecuteRequest& request) {
  auto work = work_of(request);
  if (!work) {
    coordinator_.refused(request, work.error());
    return rpc::refuse_with(refuse, work.error());
  }
  coordinator_.execute(
      std::make_shared<wire::ExecuteRequest>(request), *std::move(work),
      [answer = std::move(answer), refuse = std::move(refuse)](const coordinator::Answer& outcome) {
        if (const auto* committed = std::get_if<Committed>(&outcome)) {
          answer(result_of(*committed));
        } else {
          rpc::refuse_with(refuse, error_of(std::get<Failed>(outcome)));
        }
      });
}

void TransactionsService::status(Answer<wire::StatusReply> answer, Refusal refuse,
                                 const wire::StatusRequest& request) {
  auto status = status_of(request);
  if (!status) return rpc::refuse_with(refuse, status.error());
  coordinator_.status(*std::move(status),
                      [answer = std::move(answer), refuse = std::move(refuse)](const auto& report) {
                        if (report) {
                          answer(reply_of(*report));
                        } else {
                          rpc::refuse_with(refuse, report.error());
                        }
                      });
}

}  // namespace troth::coordinator
