// A branch in one trip, as one text of several statements: see mysql_whole.h.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "participant_agent/dialect/branch_check.h"
#include "participant_agent/runtime/mysql_connection.h"
#include "participant_agent/runtime/mysql_values.h"

namespace troth::agent {

// -- What is sent ------------------------------------------------------------------------------------------

std::optional<std::vector<MysqlConnection::Known>> MysqlConnection::plan_whole(const BranchWork& work) {
  const Isolation isolation = work.start.isolation;
  const bool plain = isolation == Isolation::kUnset || isolation == Isolation::kReadCommitted;
  if (!plain || refused_check_ || work.ending != BranchEnding::kPrepare || !work.comment.empty())
    return std::nullopt;
  std::vector<Known> statements;
  std::size_t parameters = 0;
  std::size_t bytes = 0;
  for (const Statement& statement : work.statements) {
    std::string sql = cast_decimals(kind(), statement.sql, statement.parameters);
    PreparedText* known = statements_.find(sql);
    if (known == nullptr || !known->goes_whole(kind()) || known->parameters != statement.parameters.size() ||
        !check_parameters(statement.parameters, known->shapes).has_value())
      return std::nullopt;
    parameters += statement.parameters.size();
    bytes += sql.size();
    for (const Value& value : statement.parameters)
      bytes += size_of(value);
    const bool is_written = known->writable.has_value() && known->writable->takes(statement.parameters);
    statements.push_back({.text = known, .sql = std::move(sql), .is_written = is_written});
  }
  if (statements.size() > kMostWholeStatements || parameters > kMostWholeParameters || !fits_whole(bytes))
    return std::nullopt;
  return statements;
}

// Twice as many in hexadecimal, and Troth's own texts beside them. Larger values are cheaper in packets of their own.
bool MysqlConnection::fits_whole(std::size_t bytes) const {
  constexpr std::size_t kMost = 64'000;
  constexpr std::size_t kOwnTexts = 32'768;
  return bytes <= kMost && 2 * bytes + kOwnTexts <= most_packet_bytes_;
}

bool MysqlConnection::is_all_prepared(const std::vector<Known>& statements, const BranchWork& work) const {
  return check_of_ == work.start.id.transaction.cluster &&
         std::ranges::all_of(statements,
                             [](const Known& each) { return each.is_written || each.text->number != 0; });
}

// One trip for what this session's server has not prepared yet.
bool MysqlConnection::prepare_all(const std::vector<Known>& statements, const ClusterId& cluster) {
  Texts texts;
  if (cluster != check_of_) texts.push_back(prepare_check(cluster, check_look_, clean_check_));
  std::vector<PreparedText*> fresh;
  for (const auto& [text, sql, is_written] : statements) {
    if (is_written || text->number != 0) continue;
    text->number = statements_.take_number();
    fresh.push_back(text);
    for (std::string& prepares : prepare_numbered(kind(), text->number, sql))
      texts.push_back(std::move(prepares));
  }
  if (texts.empty()) return true;
  if (call(texts).has_value()) {
    check_of_ = cluster;
    return true;
  }
  // As where the server's prepared statements are used up (1461): on this session they go step by step.
  refused_check_ = cluster != check_of_;
  for (PreparedText* text : fresh) {
    statements_.give_back(std::exchange(text->number, 0));
    text->refused_number = true;
  }
  const Texts forget = forget_prepared_text(kind());
  if (condition() != ConnectionCondition::kLost && !forget.empty() && !call(forget).has_value()) doubt();
  return false;
}

bool MysqlConnection::write_whole(const std::vector<Known>& statements, const BranchWork& work) {
  std::vector<WholeStatement> whole;
  std::size_t most = variables_set_;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const PreparedText& known = *statements[i].text;
    std::vector<std::string> literals;
    for (const Value& value : work.statements[i].parameters) {
      std::optional<std::string> literal = literal_of(kind(), value);
      if (!literal.has_value()) return false;
      literals.push_back(std::move(*literal));
    }
    WholeStatement& next = whole.emplace_back();
    next.may_generate_key = known.may_generate_key;
    if (statements[i].is_written) {
      next.written = known.writable->with(literals);
      continue;
    }
    most = std::max(most, literals.size());
    next.number = known.number;
    next.literals = std::move(literals);
  }
  variables_set_ = most;
  // The check comes behind the statements, in the guard's place.
  Texts beginning = dialect().begin_branch(work.start);
  beginning.pop_back();
  whole_ = whole_texts(kind(), std::move(beginning), whole, dialect().prepare(work.start.id), most);
  return true;
}

bool MysqlConnection::takes_whole(const BranchWork& work) {
  on_loop_ = false;
  const auto statements = plan_whole(work);
  return statements.has_value() && prepare_all(*statements, work.start.id.transaction.cluster) &&
         write_whole(*statements, work);
}

// What is small goes into the send buffer at once.
bool MysqlConnection::is_ready_for(const BranchWork& work) {
  constexpr std::size_t kMostOctets = 32'768;
  const auto statements = plan_whole(work);
  if (!statements.has_value() || !is_all_prepared(*statements, work) || !write_whole(*statements, work))
    return false;
  std::size_t octets = 0;
  for (const std::string& text : whole_.texts)
    octets += text.size();
  on_loop_ = octets <= kMostOctets;
  return on_loop_;
}

void MysqlConnection::send_whole(const BranchWork& work) {
  whole_began_ = boot_now();
  begun_at_.reset();
  changed_session_ = false;
  timed_steps_ = 0;
  sent_work_ = &work;
  if (on_loop_) answers_.expect_the_usual(whole_.texts.size());
  answers_.send(whole_.texts);
}

// -- What comes back ---------------------------------------------------------------------------------------

// [T9] The success of XA PREPARE is the yes, here too: it is the last text.
SqlConnection::WholeBranch MysqlConnection::read_whole(const BranchWork& work, ResultBudget& /*budget*/) {
  const WholeTexts sent = std::exchange(whole_, {});
  sent_work_ = nullptr;
  WholeBranch whole;
  const auto read = [&] {
    if (!read_own(sent.begins, whole)) return;
    whole.begun = true;
    whole.begun_after = begun_at_.value_or(boot_now()) - whole_began_;
    for (const WholeTexts::Step& step : sent.steps) {
      // A statement's time that is up goes on asking: what is left of the text must not wait for nobody.
      if (!whole.too_much.has_value()) time_step(work, whole.results.size());
      if (!read_step(work, step, whole)) return;
    }
    if (!whole.too_much.has_value()) time_.reset();
    if (read_check(sent, whole)) static_cast<void>(read_own(sent.ends, whole));
  };
  read();
  time_.reset();
  return whole;
}

bool MysqlConnection::read_own(std::size_t count, WholeBranch& whole) {
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto answer = answers_.next(); !answer.has_value()) {
      whole.error = driver_failed(Speaker::kAgent, answer.error()).error();
      return false;
    }
  }
  return true;
}

// False: the branch came no further. Past its time it may come further all the same.
bool MysqlConnection::read_step(const BranchWork& work, const WholeTexts::Step& step, WholeBranch& whole) {
  const std::size_t number = whole.results.size();
  const Statement& statement = work.statements[number];
  if (!read_own(step.before, whole)) return false;
  const auto answer = answers_.next();
  if (!answer.has_value()) whole.error = statement_failed(answer.error(), statement).error();
  const bool is_timed = time_.has_value() && timed_steps_ == number + 1;
  if (!whole.too_much.has_value() && is_timed && time_->is_up() &&
      condition() != ConnectionCondition::kLost) {
    whole.too_much = StatementTime::error(work);
    whole.too_much->statement = static_cast<std::uint32_t>(number + 1);
  }
  if (whole.error.has_value()) return false;
  changed_session_ = changed_session_ || answer->changed_session;
  StatementResult& result = whole.results.emplace_back();
  result.affected = answer->changed;
  if (step.may_generate_key && answer->key != 0) result.generated_key = answer->key;
  return true;
}

// False: the branch came no further. What the session has prepared of it may be out of date, or gone: the next session
// prepares it anew.
bool MysqlConnection::read_check(const WholeTexts& sent, WholeBranch& whole) {
  const bool forgot = read_own(sent.forgets, whole);
  const auto answer = forgot ? answers_.next() : std::unexpected(DatabaseError{});
  if (!answer.has_value()) {
    doubt();
    if (forgot) whole.error = driver_failed(Speaker::kAgent, answer.error()).error();
    whole.steps_instead = true;
    return false;
  }
  if (sent.forgets > 0) variables_set_ = 0;
  if (answer->rows.size() != 1)
    return true;  // As many rows has the guard then, and the branch is taken back.
  Result<BranchCheck> check = parse_check(answer->rows.front());
  if (!check.has_value()) {
    if (!whole.too_much.has_value()) whole.too_much = std::move(check.error());
    return true;
  }
  whole.guard.push_back(std::move(check->guard));
  // Where the server has told of a change, the whole look says which, and whether it matters.
  if (!check->clean || !changed_session_) found_clean_ = check->clean;
  return true;
}

// -- Carried by an event loop ------------------------------------------------------------------------------

Arrival MysqlConnection::take_arrived() {
  if (answers_.left() == 0) return must_be_looked_at() ? Arrival::kIll : Arrival::kWell;
  const ArrivedAnswers came = answers_.arrived();
  if (sent_work_ != nullptr) time_arrived(came.whole);
  if (came.ill) return Arrival::kIll;
  return came.whole == answers_.left() ? Arrival::kWell : Arrival::kMore;
}

void MysqlConnection::time_step(const BranchWork& work, std::size_t step) {
  if (timed_steps_ > step) return;
  time_.emplace(work, dialect().server_times_statements(), cancellation_);
  timed_steps_ = step + 1;
}

// The statement that runs now is timed; one whose time is up stays the last.
void MysqlConnection::time_arrived(std::size_t answers) {
  if (answers < whole_.begins) return;
  if (!begun_at_.has_value()) begun_at_ = boot_now();
  std::size_t running = 0;
  for (std::size_t behind = whole_.begins; running < whole_.steps.size(); ++running) {
    behind += whole_.steps[running].before + 1;
    if (answers < behind) break;
  }
  if (time_.has_value() && time_->is_up()) return;
  if (running < whole_.steps.size()) {
    time_step(*sent_work_, running);
  } else {
    time_.reset();
    timed_steps_ = running + 1;
  }
}

}  // namespace troth::agent
