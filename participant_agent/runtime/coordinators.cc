#include "participant_agent/runtime/coordinators.h"

#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/log.h"
#include "participant_agent/runtime/wire.h"
#include "thrift/gen/agents_methods.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/wire_error.h"

namespace troth::agent {
namespace {

constexpr Duration kCallTimeout = std::chrono::seconds(5);
constexpr Duration kAskAgain = std::chrono::seconds(1);

}  // namespace

Coordinators::Coordinators(asio::io_context& loop, AgentId agent, ClusterId cluster,
                           const std::vector<rpc::Address>& addresses, const rpc::TlsPointer& tls)
    : loop_(loop), agent_(std::move(agent)), cluster_(std::move(cluster)), timer_(loop) {
  rpc::ChannelOptions options;
  options.tls = tls;
  options.judge_server = rpc::expect_role(rpc::Role::kCoordinator);
  for (const auto& address : addresses)
    channels_.push_back(std::make_unique<rpc::Channel>(loop, address, options));
}

Coordinators::~Coordinators() {
  timer_.cancel();
}

rpc::Channel& Coordinators::next() {
  return *channels_[turn_++ % channels_.size()];
}

void Coordinators::ask_cluster(std::function<void(Result<ClusterId>)> done) {
  auto& channel = next();
  channel.call<wire::Transactions_hello>(
      rpc::hello_of("troth-agent", cluster_), kCallTimeout,
      [this, &channel, done = std::move(done)](Result<wire::Hello> reply) mutable {
        if (reply) {
          if (auto fits = rpc::check_hello(*reply, cluster_); !fits)
            return done(std::unexpected(fits.error()));
          return done(parse_cluster_id(reply->cluster));
        }
        if (!trouble_ || trouble_->message != reply.error().message) {
          log_warning("coordinator does not answer",
                      {{"coordinator", channel.server().text()}, {"why", reply.error().message}});
        }
        trouble_ = std::move(reply.error());
        timer_.expires_after(kAskAgain);
        timer_.async_wait([this, done = std::move(done)](const asio::error_code& stopped) mutable {
          if (!stopped) ask_cluster(std::move(done));
        });
      });
}

void Coordinators::register_agent(wire::RegisterRequest request,
                                  std::function<void(const wire::RegisterReply&)> done,
                                  std::function<void(const Error&)> outrun) {
  registration_ = std::move(request);
  registered_ = std::move(done);
  outrun_ = std::move(outrun);
  ++registration_number_;
  send_registration();
}

void Coordinators::send_registration() {
  next().call<wire::Directory_register_agent>(
      *registration_, kCallTimeout, [this, number = registration_number_](Result<wire::RegisterReply> reply) {
        if (number != registration_number_) return;
        if (reply) {
          trouble_.reset();
          return registered_(*reply);
        }
        if (!trouble_ || trouble_->message != reply.error().message) {
          log_warning("registration failed", {{"why", reply.error().message}});
        }
        trouble_ = std::move(reply.error());
        // What is stale for another reason is so for a while only.
        if (trouble_->code == ErrorCode::kStale && !trouble_->retryable) outrun_(*trouble_);
        timer_.expires_after(kAskAgain);
        timer_.async_wait([this, number](const asio::error_code& stopped) {
          if (!stopped && number == registration_number_) send_registration();
        });
      });
}

void Coordinators::inquire(const BranchId& branch, const ResourceName& resource,
                           std::function<void(InquiryAnswered)> done) {
  wire::InquireRequest request;
  request.cluster = cluster_.value;
  request.agent_id = agent_.value;
  request.transaction_id = branch.transaction.text();
  request.branch = static_cast<std::int32_t>(branch.branch.value);
  request.resource = resource.value;
  next().call<wire::Directory_inquire>(
      request, kCallTimeout, [branch, done = std::move(done)](Result<wire::InquireReply> reply) {
        if (!reply) {
          return log_debug("inquiry not answered",
                           {{"transaction", branch.transaction.text()}, {"why", reply.error().message}});
        }
        const auto leader = leader_of(reply->header);
        if (!leader) return;
        done({{leader->cluster, leader->epoch, leader->watermark, leader->new_reign},
              branch,
              decision_of(reply->decision)});
      });
}

void Coordinators::confirm(const Epoch& epoch, std::function<void()> done) {
  const auto agreeing = std::make_shared<std::size_t>(0);
  const auto majority = channels_.size() / 2 + 1;
  for (const auto& channel : channels_) {
    channel->call<wire::Directory_current_epoch>(
        kCallTimeout, [epoch, agreeing, majority, done](Result<wire::Epoch> reply) {
          if (!reply || reply->number != epoch.number.value ||
              static_cast<std::uint64_t>(reply->nonce) != epoch.nonce.value) {
            return;
          }
          if (++*agreeing == majority) done();
        });
  }
}

}  // namespace troth::agent
