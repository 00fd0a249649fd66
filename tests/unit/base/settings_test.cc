#include "base/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/settings_reference.h"

namespace troth {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

enum class Colour { kRed, kBlue };

struct Server {
  std::string host;
  int port = 5432;
  SecretSource password;
};

struct Everything {
  std::string listen;
  std::string directory = "data";
  milliseconds timeout{5000};
  std::int64_t cache = 64 << 20;
  std::uint16_t small = 7;
  Colour colour = Colour::kRed;
  bool strict = true;
  std::vector<std::string> peers;
  std::vector<Server> servers;
};

void describe_server(Schema& schema, Server& server) {
  schema.text("host", server.host, {.mandatory = true}, "Where it is.");
  schema.integer("port", server.port, {.min = 1, .max = 65535}, "Its port.");
  schema.secret("password", server.password, {}, "Password");
}

void describe_everything(Schema& schema, Everything& settings) {
  schema.text("listen", settings.listen, {.mandatory = true}, "host:port.");
  schema.path("directory", settings.directory, {}, "Where things are.");
  schema.section("limits", "What is refused.", [&] {
    schema.duration_ms("timeout_ms", settings.timeout, {.min = 1, .max = 60'000}, "How long.");
    schema.size_bytes("cache", settings.cache, {.min = 4096, .max = 1 << 30}, "How much.");
    schema.integer("small", settings.small, {.min = 1}, "A | B.");
    schema.choice<Colour>("colour", settings.colour, {{"red", Colour::kRed}, {"blue", Colour::kBlue}},
                          "Which.");
    schema.boolean("strict", settings.strict, "Whether.");
    schema.text_list("peers", settings.peers, {.min = 0, .max = 2}, "Who.");
    schema.require(!settings.strict || settings.small < 100, "small", "must be below 100 while strict");
  });
  schema.tables<Server>("server", settings.servers, {.min = 1, .max = 2}, "Each server.",
                        [&](Server& server) { describe_server(schema, server); });
}

SettingsEntry entry(std::string key, int line, decltype(SettingsValue::value) value) {
  return {std::move(key), {std::move(value), line}};
}

SettingsDocument document(SettingsTable root) {
  return {"/etc/troth/agent.toml", std::move(root)};
}

SettingsTable server_table(std::string host) {
  return {entry("host", 21, std::move(host))};
}

SettingsEntry one_server(SettingsTable server) {
  return entry("server", 20, SettingsArray{{std::move(server), 20}});
}

std::string problems(const SettingsDocument& from) {
  Everything settings;
  const auto loaded = load_settings(from, settings, describe_everything);
  return loaded ? "" : loaded.error().message;
}

TEST(Settings, EverythingWrittenIsLoaded) {
  Everything settings;
  const auto loaded = load_settings(
      document(
          {entry("listen", 1, std::string("127.0.0.1:0")), entry("directory", 2, std::string("here")),
           entry("limits", 3,
                 SettingsTable{
                     entry("timeout_ms", 4, std::int64_t{250}), entry("cache", 5, std::string("8 KiB")),
                     entry("small", 6, std::int64_t{9}), entry("colour", 7, std::string("blue")),
                     entry("strict", 8, false),
                     entry("peers", 9, SettingsArray{{std::string("a:1"), 9}, {std::string("b:2"), 9}})}),
           one_server({entry("host", 21, std::string("db")), entry("password_env", 22, std::string("PW"))})}),
      settings, describe_everything);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(settings.listen, "127.0.0.1:0");
  EXPECT_EQ(settings.directory, "/etc/troth/here") << "a relative path starts from the file's directory";
  EXPECT_EQ(settings.timeout, milliseconds(250));
  EXPECT_EQ(settings.cache, 8192);
  EXPECT_EQ(settings.small, 9);
  EXPECT_EQ(settings.colour, Colour::kBlue);
  EXPECT_FALSE(settings.strict);
  EXPECT_THAT(settings.peers, testing::ElementsAre("a:1", "b:2"));
  ASSERT_EQ(settings.servers.size(), 1u);
  EXPECT_EQ(settings.servers[0].password.environment, "PW");
  EXPECT_EQ(settings.servers[0].port, 5432) << "what is not written keeps its default";
}

TEST(Settings, AllProblemsAreReportedAtOnceWithTheirLines) {
  EXPECT_EQ(problems(document(
                {entry("lisetn", 1, std::string("x")),
                 entry("limits", 3,
                       SettingsTable{
                           entry("timeout_ms", 4, std::int64_t{0}), entry("cache", 5, std::string("8 KB")),
                           entry("colour", 7, std::string("green")), entry("strict", 8, std::string("yes")),
                           entry("small", 9, std::int64_t{65536})}),
                 one_server({entry("hots", 22, std::string("db"))})})),
            "/etc/troth/agent.toml: 'listen' is missing: it has no default\n"
            "/etc/troth/agent.toml:1: 'lisetn': no such setting; did you mean 'listen'?\n"
            "/etc/troth/agent.toml:4: 'limits.timeout_ms': 0 is out of range: allowed is 1 to 60000 ms\n"
            "/etc/troth/agent.toml:5: 'limits.cache': not a size: expected bytes, or text such as \"64MiB\"\n"
            "/etc/troth/agent.toml:7: 'limits.colour': 'green' is none of: red, blue\n"
            "/etc/troth/agent.toml:8: 'limits.strict': expected true or false, found text\n"
            "/etc/troth/agent.toml:9: 'limits.small': 65536 is out of range: allowed is 1 to 65535\n"
            "/etc/troth/agent.toml:20: 'server.host' is missing: it has no default\n"
            "/etc/troth/agent.toml:22: 'server.hots': no such setting; did you mean 'host'?");
}

TEST(Settings, APasswordInTheFileIsRefusedAndNeverShown) {
  const auto text = problems(document(
      {entry("listen", 1, std::string("x")),
       one_server({entry("host", 21, std::string("db")), entry("password", 22, std::string("hunter2"))})}));
  EXPECT_THAT(text, HasSubstr(":22: 'server.password': secrets do not belong in this file: name a file with "
                              "'password_file'"));
  EXPECT_THAT(text, Not(HasSubstr("hunter2")));
}

TEST(Settings, ASecretHasOneSource) {
  EXPECT_THAT(problems(document({entry("listen", 1, std::string("x")),
                                 one_server({entry("host", 21, std::string("db")),
                                             entry("password_env", 22, std::string("A")),
                                             entry("password_file", 23, std::string("b"))})})),
              HasSubstr("give only one of them"));
}

TEST(Settings, ARuleOverSeveralSettingsNamesTheLine) {
  EXPECT_EQ(problems(document({entry("listen", 1, std::string("x")),
                               entry("limits", 3, SettingsTable{entry("small", 6, std::int64_t{200})}),
                               one_server(server_table("db"))})),
            "/etc/troth/agent.toml:6: 'limits.small': must be below 100 while strict");
}

TEST(Settings, TooFewTooManyAndMisshapenSectionsAreRefused) {
  EXPECT_THAT(problems(document({entry("listen", 1, std::string("x"))})),
              HasSubstr("'server': found 0 sections [[server]], expected 1 to 2"));
  EXPECT_THAT(problems(document({entry("listen", 1, std::string("x")), entry("server", 2, server_table("db")),
                                 entry("limits", 5, std::int64_t{1})})),
              HasSubstr("agent.toml:2: 'server': expected sections [[server]], found a section\n"
                        "/etc/troth/agent.toml:5: 'limits': expected a section [limits], found an integer"));
}

TEST(Settings, ADateIsNoSetting) {
  EXPECT_THAT(problems(document(
                  {entry("listen", 1, UnusableValue{"a date or time"}), one_server(server_table("db"))})),
              HasSubstr("agent.toml:1: 'listen': expected text, found a date or time"));
}

TEST(Settings, TheReferencePageTellsEverySetting) {
  Everything settings;
  const SettingsDocument nothing;
  Schema schema(nothing);
  describe_everything(schema, settings);
  const auto page = settings_reference("troth-agent", schema);
  EXPECT_THAT(page, HasSubstr("| `listen` | text | at most 4096 bytes | mandatory | host:port. |"));
  EXPECT_THAT(page, HasSubstr("## `[limits]`\n\nWhat is refused.\n"));
  EXPECT_THAT(page, HasSubstr("| `timeout_ms` | duration, ms | 1 to 60000 | `5000` | How long. |"));
  EXPECT_THAT(page, HasSubstr("| `cache` | size, bytes | 4KiB to 1GiB | `\"64MiB\"` | How much. |"));
  EXPECT_THAT(page, HasSubstr("| `small` | integer | 1 to 65535 | `7` | A \\| B. |"));
  EXPECT_THAT(page, HasSubstr("## `[[server]]`\n"));
  EXPECT_THAT(page, HasSubstr("| `password_env` | text |"));
}

TEST(Settings, WhatIsInForceMarksTheDefaults) {
  Everything settings;
  const auto from = document({entry("listen", 1, std::string("a \"b\"")), one_server(server_table("db"))});
  Schema schema(from);
  describe_everything(schema, settings);
  ASSERT_TRUE(schema.verdict());
  const auto text = settings_in_force(schema);
  EXPECT_THAT(text, HasSubstr("listen = \"a \\\"b\\\"\"\n"));
  EXPECT_THAT(text, HasSubstr("[limits]\ntimeout_ms = 5000  # default\n"));
  EXPECT_THAT(text, HasSubstr("[[server]]\nhost = \"db\"\nport = 5432  # default\n"));
}

}  // namespace
}  // namespace troth
