#include "participant_agent/dialect/sql_value.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace troth::agent {
namespace {

bool fits(Value value) {
  const auto status = check_value(value);
  if (!status) {
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(status.error().effect, Effect::kNone);
    EXPECT_TRUE(is_utf8(status.error().message)) << "an error's message must travel as text";
  }
  return status.has_value();
}

TEST(SqlValue, FormsAreCheckedByType) {
  for (const char* text : {"0", "-12.50", "+7", ".5", "5.", "1e10", "1.5E-3", "NaN", "Infinity", "-Infinity"})
    EXPECT_EQ(fits({Decimal{text}}), std::string(text) != "5.") << text;
  for (const char* text :
       {"", "-", ".", "1.2.3", "1e", "1e99999", "0x1f", "1 ", "1;DROP TABLE t", "infinity", "+Infinity"})
    EXPECT_FALSE(fits({Decimal{text}})) << text;
  for (const char* text : {"2026-11-23", "0001-01-01", "0000-00-00"})
    EXPECT_TRUE(fits({Date{text}})) << text;
  for (const char* text : {"2026-13-01", "2026-11-32", "26-11-23", "2026/11/23", "2026-11-23 ", ""})
    EXPECT_FALSE(fits({Date{text}})) << text;
  for (const char* text : {"13:37:00", "13:37:00.123456", "-838:59:59", "00:00:00.1"})
    EXPECT_TRUE(fits({Time{text}})) << text;
  for (const char* text : {"839:00:00", "13:37", "13:60:00", "13:37:60", "13:37:00.", "13:37:00.1234567"})
    EXPECT_FALSE(fits({Time{text}})) << text;
  EXPECT_TRUE(fits({Timestamp{"2026-11-23 13:37:00.5"}}));
  EXPECT_TRUE(fits({Timestamp{"2026-11-23T13:37:00"}}));
  EXPECT_FALSE(fits({Timestamp{"2026-11-23 24:00:00"}}));
  EXPECT_FALSE(fits({Timestamp{"2026-12-31 23:59:60"}})) << "no database keeps a leap second";
  EXPECT_FALSE(fits({Timestamp{"2026-11-23 13:37:00+00"}}));
  for (const char* zone : {"Z", "+00", "-08", "+05:30"})
    EXPECT_TRUE(fits({TimestampTz{std::string("2026-11-23 13:37:00") + zone}})) << zone;
  for (const char* zone : {"", "UTC", "+5", "+99", "+05:3"})
    EXPECT_FALSE(fits({TimestampTz{std::string("2026-11-23 13:37:00") + zone}})) << zone;
  EXPECT_TRUE(fits({Uuid{"0192F0C1-2b3c-7d4e-8f50-0123456789ab"}}));
  EXPECT_FALSE(fits({Uuid{"0192F0C12b3c7d4e8f500123456789ab"}}));
}

TEST(SqlValue, TextIsUtf8) {
  EXPECT_TRUE(fits({Text{"Z\xc3\xbcrich \xf0\x9f\x92\xb0"}}));
  EXPECT_FALSE(fits({Text{"\xff"}}));
  EXPECT_TRUE(fits({Text{std::string("a\0b", 3)}})) << "MySQL keeps a NUL; check_holdable knows who does not";
  EXPECT_TRUE(fits({Bytes{std::string("a\0\xff", 3)}}));
  for (const char* text :
       {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\x80", "\xf0\x9f\x92"})
    EXPECT_FALSE(is_utf8(text)) << "overlong, surrogate, too high, or cut short";
}

TEST(SqlValue, ArraysHoldOneTypeOrNull) {
  EXPECT_TRUE(fits({Array{{Value{std::int64_t{1}}, Value{Null{}}, Value{std::int64_t{2}}}}}));
  EXPECT_FALSE(fits({Array{{Value{std::int64_t{1}}, Value{Text{"a"}}}}}));
  EXPECT_FALSE(fits({Array{{Value{Array{}}}}})) << "Postgres would drop an empty array inside another";
  const auto row = [](std::vector<Value> elements) { return Value{Array{std::move(elements)}}; };
  const Value one{std::int64_t{1}};
  EXPECT_TRUE(fits(row({row({one, {Null{}}}), row({{Null{}}, one})})));
  EXPECT_FALSE(fits(row({row({one}), row({one, one})}))) << "of different lengths";
  EXPECT_FALSE(fits(row({row({one}), one})));
  EXPECT_FALSE(fits(row({row({one}), {Null{}}})));
  EXPECT_FALSE(fits(row({row({one}), row({Value{Text{"a"}}})}))) << "of different types";
  Value deep = one;
  for (int dimension = 0; dimension < kMaxArrayDimensions; ++dimension)
    deep = row({deep});
  EXPECT_TRUE(fits(deep));
  EXPECT_FALSE(fits(row({deep})));
  EXPECT_FALSE(fits({Array{{Value{Date{"tomorrow"}}}}}));
  EXPECT_FALSE(fits({Array{std::vector<Value>(kMaxArrayElements + 1)}}));
}

TEST(SqlValue, SizesAreLimited) {
  EXPECT_TRUE(fits({Bytes{std::string(kMaxValueBytes, 'x')}}));
  EXPECT_FALSE(fits({Bytes{std::string(kMaxValueBytes + 1, 'x')}}));
}

TEST(SqlValue, WhatAKindOfDatabaseHasNotIsRefused) {
  const auto holds = [](DatabaseKind kind, const Value& value) {
    return check_holdable(kind, value).has_value();
  };
  const Value with_nul{Text{std::string("a\0b", 3)}};
  EXPECT_FALSE(holds(DatabaseKind::kPostgres, with_nul));
  EXPECT_FALSE(holds(DatabaseKind::kPostgres, {Array{{with_nul}}}));
  EXPECT_TRUE(holds(DatabaseKind::kMysql, with_nul));
  for (const DatabaseKind kind : {DatabaseKind::kMysql, DatabaseKind::kMariadb}) {
    EXPECT_FALSE(holds(kind, {std::numeric_limits<double>::quiet_NaN()}));
    EXPECT_FALSE(holds(kind, {Decimal{"NaN"}}));
    EXPECT_FALSE(holds(kind, {Array{}}));
    EXPECT_TRUE(holds(kind, {Decimal{std::string(65, '9')}}));
    EXPECT_FALSE(holds(kind, {Decimal{std::string(66, '9')}}));
    EXPECT_TRUE(holds(kind, {Decimal{"1e64"}}));
    EXPECT_FALSE(holds(kind, {Decimal{"1e65"}}));
    EXPECT_TRUE(holds(kind, {Decimal{"1." + std::string(100, '0')}})) << "zeros at the end are no digits";
  }
  EXPECT_FALSE(holds(DatabaseKind::kMysql, {Decimal{"1e-31"}}));
  EXPECT_TRUE(holds(DatabaseKind::kMariadb, {Decimal{"1e-38"}}));
}

// Code points written as RFC 3629 says are UTF-8, whatever they are.
RC_GTEST_PROP(Utf8, EveryCodePointIsWellFormed, ()) {
  const auto point = *rc::gen::suchThat(rc::gen::inRange<std::uint32_t>(1, 0x110000),
                                        [](std::uint32_t p) { return p < 0xd800 || p > 0xdfff; });
  std::string text;
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
  RC_ASSERT(is_utf8(text));
  RC_ASSERT(point < 0x80 || !is_utf8(text.substr(0, text.size() - 1)));
}

RC_GTEST_PROP(SqlValue, NoTextCrashesACheck, (const std::string& text)) {
  for (const Value& value :
       {Value{Decimal{text}}, Value{Date{text}}, Value{Time{text}}, Value{Timestamp{text}},
        Value{TimestampTz{text}}, Value{Uuid{text}}, Value{Text{text}}, Value{Json{text}}}) {
    const auto status = check_value(value);
    // Said as one bool: RC_ASSERT evaluates both sides of an ||.
    const bool told_in_text = status || is_utf8(status.error().message);
    RC_ASSERT(told_in_text);
  }
}

}  // namespace
}  // namespace troth::agent
