// Values that nobody chose: whatever a type can hold comes back as it was sent, from real servers.
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "participant_agent/dialect/decimal_digits.h"
#include "tests/unit/participant_agent_runtime/stored_values.h"

namespace troth::agent {
namespace {

constexpr int kValuesOfOne = 8;  // values of one run, which is one branch

class TypesPropertyTest : public DatabaseTest {
 protected:
  // Draws values and sends them through a column of this type.
  template <typename Draw>
  void come_back(const std::string& type, Draw draw) {
    StoredValues values(resource());
    const bool held = rc::check(fmt::format("{} of {}", type, name_of(GetParam())), [&] {
      std::vector<Value> sent;
      for (int i = 0; i < kValuesOfOne; ++i)
        sent.push_back(*rc::gen::inRange(0, 10) == 0 ? Value{Null{}} : draw());
      const Stored stored = values.store(type, sent);
      if (stored.error.has_value()) RC_FAIL(stored.error->message);
      RC_ASSERT(stored.values.size() == sent.size());
      for (std::size_t i = 0; i < sent.size(); ++i)
        if (!same_value(sent[i], stored.values[i]))
          RC_FAIL(fmt::format("sent {}, came back {}", show(sent[i]), show(stored.values[i])));
    });
    EXPECT_TRUE(held) << type;
    EXPECT_TRUE(postgres() || values.in_one_trip() > 50) << type << ": " << values.in_one_trip();
  }

  [[nodiscard]] bool postgres() { return resource().is_postgres(); }
};
TROTH_FOR_EVERY_DATABASE(TypesPropertyTest);
using PostgresTypesPropertyTest = TypesPropertyTest;
TROTH_FOR_POSTGRES(PostgresTypesPropertyTest);

template <typename Integer>
Integer any_integer() {
  // Small ones, limits and everything between.
  return *rc::gen::oneOf(
      rc::gen::arbitrary<Integer>(),
      rc::gen::element(std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()),
      rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                   [](std::uint64_t bits) { return static_cast<Integer>(bits); }));
}

TEST_P(TypesPropertyTest, Integers) {
  come_back("BIGINT", [] { return Value{any_integer<std::int64_t>()}; });
  if (postgres()) return;
  come_back("BIGINT UNSIGNED", [] { return Value{any_integer<std::uint64_t>()}; });
  come_back("BIT(64)", [] { return Value{any_integer<std::uint64_t>()}; });
}

TEST_P(TypesPropertyTest, Doubles) {
  come_back(postgres() ? "double precision" : "DOUBLE", [this] {
    for (;;) {
      const auto number = std::bit_cast<double>(any_integer<std::uint64_t>());
      if (std::isfinite(number) && (postgres() || number != 0)) return Value{number};
    }
  });
  come_back(postgres() ? "real" : "FLOAT", [] {
    for (;;) {
      const auto number = std::bit_cast<float>(any_integer<std::uint32_t>());
      if (std::isfinite(number) && number != 0) return Value{widened(number)};
    }
  });
}

std::string any_digits(int count) {
  std::string digits;
  for (int i = 0; i < count; ++i)
    digits += static_cast<char>('0' + *rc::gen::inRange(0, 10));
  return digits;
}

// As a column of this scale writes it.
Value any_decimal(int whole, int scale) {
  std::string digits = any_digits(*rc::gen::inRange(0, whole + 1));
  digits.erase(0, digits.find_first_not_of('0'));
  std::string text = (digits.empty() ? "0" : digits) + "." + any_digits(scale);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  if (!is_zero && *rc::gen::arbitrary<bool>()) text.insert(0, "-");
  return {Decimal{text}};
}

TEST_P(TypesPropertyTest, Decimals) {
  come_back("DECIMAL(20,2)", [] { return any_decimal(18, 2); });
  come_back("DECIMAL(65,30)", [] { return any_decimal(35, 30); });
  if (postgres()) come_back("numeric(1000,400)", [] { return any_decimal(600, 400); });
}

std::string any_text(bool with_nul) {
  std::string text;
  const int count = *rc::gen::inRange(0, 60);
  for (int i = 0; i < count; ++i) {
    const auto point = *rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(with_nul ? 0 : 1, 0x80),
                                       rc::gen::inRange<std::uint32_t>(0x80, 0xd800),
                                       rc::gen::inRange<std::uint32_t>(0xe000, 0x110000));
    const auto put = [&text](std::uint32_t octet) { text += static_cast<char>(octet); };
    if (point < 0x80) {
      put(point);
    } else if (point < 0x800) {
      put(0xc0 | point >> 6);
    } else if (point < 0x10000) {
      put(0xe0 | point >> 12);
      put(0x80 | (point >> 6 & 0x3f));
    } else {
      put(0xf0 | point >> 18);
      put(0x80 | (point >> 12 & 0x3f));
      put(0x80 | (point >> 6 & 0x3f));
    }
    if (point >= 0x80) put(0x80 | (point & 0x3f));
  }
  return text;
}

std::string any_octets() {
  std::string octets;
  const int count = *rc::gen::inRange(0, 300);
  for (int i = 0; i < count; ++i)
    octets += static_cast<char>(*rc::gen::inRange(0, 256));
  return octets;
}

TEST_P(TypesPropertyTest, TextsAndBytes) {
  come_back(postgres() ? "text" : "TEXT", [this] { return Value{Text{any_text(!postgres())}}; });
  come_back("VARCHAR(60)", [this] { return Value{Text{any_text(!postgres())}}; });
  come_back(postgres() ? "bytea" : "BLOB", [] { return Value{Bytes{any_octets()}}; });
}

std::string any_day(int first_year) {
  const std::chrono::sys_days first = std::chrono::year(first_year) / 1 / 1;
  const std::chrono::sys_days last = std::chrono::year(9999) / 12 / 31;
  const std::chrono::year_month_day day(
      first + std::chrono::days(*rc::gen::inRange(std::int64_t{0}, (last - first).count() + 1)));
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

// Postgres writes no zeros at the end of a fraction, MySQL and MariaDB all six digits.
std::string any_time(int hours, bool trimmed) {
  std::string text =
      fmt::format("{:02}:{:02}:{:02}.{:06}", *rc::gen::inRange(0, hours), *rc::gen::inRange(0, 60),
                  *rc::gen::inRange(0, 60), *rc::gen::inRange(0, 1'000'000));
  if (!trimmed) return text;
  while (text.back() == '0')
    text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

TEST_P(TypesPropertyTest, DatesAndTimes) {
  come_back("DATE", [] { return Value{Date{any_day(1)}}; });
  come_back(postgres() ? "timestamp" : "DATETIME(6)",
            [this] { return Value{Timestamp{any_day(1) + " " + any_time(24, postgres())}}; });
  if (postgres()) {
    come_back("timestamptz",
              [] { return Value{TimestampTz{any_day(1) + " " + any_time(24, true) + "+00"}}; });
    come_back("time", [] { return Value{Time{any_time(24, true)}}; });
  } else {
    come_back("TIME(6)", [] {
      std::string time = any_time(838, false);
      if (time != "00:00:00.000000" && *rc::gen::arbitrary<bool>()) time.insert(0, "-");
      return Value{Time{time}};
    });
  }
}

// MySQL writes JSON anew; MariaDB's is a text, above.
TEST_P(PostgresTypesPropertyTest, JsonTexts) {
  come_back("json", [] {
    std::string json = "{ \"";
    for (const char c : any_text(false))
      if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) json += c;
    return Value{Json{json + fmt::format("\" :\t{} }}", *rc::gen::inRange(-1000, 1000))}};
  });
}

template <typename Draw>
Value any_array(Draw draw) {
  const int rows = *rc::gen::inRange(0, 4);
  const int columns = *rc::gen::inRange(1, 5);
  const auto row = [&](int count) {
    std::vector<Value> elements;
    for (int i = 0; i < count; ++i)
      elements.push_back(*rc::gen::inRange(0, 5) == 0 ? Value{Null{}} : draw());
    return Value{Array{std::move(elements)}};
  };
  if (*rc::gen::arbitrary<bool>()) return row(columns - 1);
  std::vector<Value> all;
  for (int i = 0; i < rows; ++i)
    all.push_back(row(columns));
  return {Array{std::move(all)}};
}

TEST_P(PostgresTypesPropertyTest, Arrays) {
  come_back("text[]", [] { return any_array([] { return Value{Text{any_text(false)}}; }); });
  come_back("bytea[]", [] { return any_array([] { return Value{Bytes{any_octets()}}; }); });
  come_back("bigint[]", [] { return any_array([] { return Value{any_integer<std::int64_t>()}; }); });
  come_back("numeric[]", [] { return any_array([] { return any_decimal(20, 5); }); });
}

// Into a narrower column a value goes as it is, or not at all.
TEST_P(TypesPropertyTest, NarrowColumnsKeepOrRefuse) {
  StoredValues values(resource());
  const auto keeps_or_refuses = [&](const std::string& type, auto draw, auto equal) {
    const bool held = rc::check(fmt::format("{} of {} keeps or refuses", type, name_of(GetParam())), [&] {
      const Value sent = draw();
      const Stored stored = values.store(type, {sent});
      if (stored.error.has_value()) {
        RC_ASSERT(stored.error->effect == Effect::kNone);
        RC_ASSERT(stored.error->statement == 1U);
        return;
      }
      RC_ASSERT(stored.values.size() == 1U);
      if (!equal(sent, stored.values[0]))
        RC_FAIL(fmt::format("sent {}, came back {}", show(sent), show(stored.values[0])));
    });
    EXPECT_TRUE(held) << type;
  };
  const auto same_number = [](const Value& sent, const Value& read) {
    const auto digits = [](const Value& value) -> std::optional<DecimalDigits> {
      if (const auto* decimal = std::get_if<Decimal>(&value.is)) return digits_of(decimal->text);
      if (const auto* number = std::get_if<double>(&value.is)) return digits_of(*number);
      if (const auto* integer = std::get_if<std::int64_t>(&value.is))
        return digits_of(std::to_string(*integer));
      return std::nullopt;
    };
    return digits(sent) == digits(read);
  };
  const auto decimal = [] { return any_decimal(*rc::gen::inRange(0, 7), *rc::gen::inRange(1, 4)); };
  const auto number = [] {
    return Value{std::round(*rc::gen::inRange(-2'000'000, 2'000'000) * 1.0) /
                 *rc::gen::element(1.0, 8.0, 100.0)};
  };
  keeps_or_refuses("DECIMAL(6,2)", decimal, same_number);
  keeps_or_refuses("INT", decimal, same_number);
  keeps_or_refuses("SMALLINT", number, same_number);
  keeps_or_refuses("DECIMAL(8,1)", number, same_number);
}

}  // namespace
}  // namespace troth::agent
