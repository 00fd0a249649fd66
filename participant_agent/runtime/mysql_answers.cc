#include "participant_agent/runtime/mysql_answers.h"

#include <array>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/check.h"
#include "participant_agent/runtime/mysql_login.h"

namespace troth::agent {
namespace {

constexpr unsigned kServerLost = 2013;
constexpr int kNoMore = -1;
// With the last of these whoever waits for long is woken for each answer.
constexpr int kPatientLooks = 5;

struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};

TextRow copy_row(MYSQL_ROW row, const unsigned long* lengths, unsigned columns) {
  TextRow copy;
  for (unsigned column = 0; column < columns; ++column) {
    if (row[column] == nullptr) {
      copy.emplace_back();
    } else {
      copy.emplace_back(std::in_place, row[column], lengths[column]);
    }
  }
  return copy;
}

bool has_ended(int socket) {
  pollfd end{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&end, 1, 0) > 0;
}

}  // namespace

void MysqlAnswers::send(const Texts& texts) {
  CHECK(left_ == 0, "{} answers were not read", left_);
  sent_ = left_ = texts.size();
  seen_ = 0;
  const std::string text = fmt::format("{}", fmt::join(texts, "; "));
  if (mysql_send_query(&connection_, text.data(), text.size()) != 0) not_sent_ = last_error_of(connection_);
}

std::expected<MysqlAnswer, DatabaseError> MysqlAnswers::next() {
  CHECK(left_ > 0, "nothing more was asked");
  if (not_sent_.has_value()) return failed(*std::exchange(not_sent_, std::nullopt));
  // The driver waits for any input.
  wait_for_octets(1);
  const int ended = read() == 0 ? mysql_read_query_result(&connection_) : mysql_next_result(&connection_);
  if (ended == kNoMore && read() > 0 && mysql_errno(&connection_) == 0)
    return failed(mysql_error(kServerLost, "HY000", "the server ended its answer to a text too early"));
  if (ended != 0) return failed(last_error_of(connection_));
  MysqlAnswer answer;
  const unsigned columns = mysql_field_count(&connection_);
  if (columns == 0) {
    answer.changed = mysql_affected_rows(&connection_);
    answer.key = mysql_insert_id(&connection_);
    answer.changed_session = kind_ == DatabaseKind::kMysql && told_of_a_change();
  } else {
    const std::unique_ptr<MYSQL_RES, FreeResult> rows(mysql_store_result(&connection_));
    if (rows == nullptr) return failed(last_error_of(connection_));
    answer.has_rows = true;
    while (const MYSQL_ROW row = mysql_fetch_row(rows.get()))
      answer.rows.push_back(copy_row(row, mysql_fetch_lengths(rows.get()), columns));
  }
  --left_;
  return answer;
}

void MysqlAnswers::expect_the_usual(std::size_t texts) {
  // The last answer is shorter than that; numbers in the others are a digit longer or shorter.
  constexpr std::size_t kLastAnswer = 11;
  const auto usual = usual_.find(texts);
  if (usual == usual_.end() || usual->second <= kLastAnswer) return;
  looks_left_ = kPatientLooks;
  wait_for_octets(usual->second - kLastAnswer + 1);
}

ArrivedAnswers MysqlAnswers::arrived() {
  std::array<char, 16'384> octets;
  const ssize_t came = ::recv(socket(), octets.data(), octets.size(), MSG_PEEK | MSG_DONTWAIT);
  const bool is_nothing = came < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  const std::size_t size = came > 0 ? static_cast<std::size_t>(came) : 0;
  ArrivedAnswers arrived = arrived_answers({octets.data(), size}, left_);
  // Its end, an error, or far more than Troth's texts are answered with.
  const bool is_over = (came <= 0 && !is_nothing) || size == octets.size();
  // Behind what has come its end is seen only so.
  arrived.ill = arrived.ill || is_over || (size == seen_ && has_ended(socket()));
  seen_ = size;
  if (arrived.ill || arrived.whole == left_) {
    if (!arrived.ill) usual_[left_] = size;
    looks_left_ = 0;
    wait_for_octets(1);
  } else if (looks_left_ > 1 && size < least_) {
    --looks_left_;
  } else {
    // The last look: nobody comes again, so the socket tells of whatever comes.
    looks_left_ = 0;
    wait_for_octets(size + 1);
  }
  return arrived;
}

void MysqlAnswers::wait_for_octets(std::size_t octets) {
  if (octets == std::exchange(least_, octets)) return;
  const int least = static_cast<int>(octets);
  static_cast<void>(::setsockopt(socket(), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)));
}

std::unexpected<DatabaseError> MysqlAnswers::failed(DatabaseError error) {
  sent_ = left_ = 0;
  return std::unexpected(std::move(error));
}

bool MysqlAnswers::told_of_a_change() const {
  if ((connection_.server_status & SERVER_SESSION_STATE_CHANGED) == 0) return false;
  for (const auto type : {SESSION_TRACK_STATE_CHANGE, SESSION_TRACK_SYSTEM_VARIABLES, SESSION_TRACK_SCHEMA}) {
    const char* what = nullptr;
    std::size_t length = 0;
    if (mysql_session_track_get_first(&connection_, type, &what, &length) == 0) return true;
  }
  return false;
}

}  // namespace troth::agent
