#include "coordinator/consensus/lease_pledge.h"

#include <algorithm>

namespace troth::coordinator::consensus {

void LeasePledge::granted(Instant until) {
  last_until_ = std::max(last_until_, until);
}

std::optional<Duration> LeasePledge::due(const LeaseTerms& group, Instant now) {
  const auto waits = group.waited();
  if (waits > sure_) {
    if (!raising_ || raising_->to != waits) raising_ = Raising{.to = waits, .appended = std::nullopt};
    return raising_->appended ? std::nullopt : std::optional(waits);
  }
  raising_.reset();
  if (terms_ != group) {
    longer_until_ = std::max(longer_until_, last_until_);
    terms_ = group;
  }
  if (waits < said_ && now >= longer_until_) return waits;
  return std::nullopt;
}

void LeasePledge::appended(LogWrite number) {
  if (raising_) {
    raising_->appended = number;
    said_ = raising_->to;
  } else {
    said_ = sure_ = terms_->waited();
  }
}

void LeasePledge::durable(LogWrite through) {
  if (!raising_ || !raising_->appended || *raising_->appended > through) return;
  raising_->appended.reset();
  if (++raising_->durable < 2) return;
  sure_ = raising_->to;
  raising_.reset();
}

}  // namespace troth::coordinator::consensus
