#include "base/runtime/settings_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/settings.h"

namespace troth {
namespace {

using testing::HasSubstr;

struct Resource {
  std::string name;
  int sessions = 8;
};

struct Settings {
  std::string listen;
  std::vector<std::string> coordinators;
  std::vector<Resource> resources;
};

void describe(Schema& schema, Settings& settings) {
  schema.text("listen", settings.listen, {.mandatory = true}, "Where.");
  schema.text_list("coordinators", settings.coordinators, {.min = 1, .max = 9}, "Who.");
  schema.tables<Resource>("resource", settings.resources, {.min = 1, .max = 9}, "Each.",
                          [&](Resource& resource) {
                            schema.text("name", resource.name, {.mandatory = true}, "Its name.");
                            schema.integer("sessions", resource.sessions, {.min = 1, .max = 99}, "How many.");
                          });
}

std::string problem(const std::string& text) {
  const auto document = parse_settings(text, "agent.toml");
  if (!document) return document.error().message;
  Settings settings;
  const auto loaded = load_settings(*document, settings, describe);
  return loaded ? "" : loaded.error().message;
}

TEST(SettingsFile, TomlBecomesSettings) {
  const auto document = parse_settings(
      "listen = '127.0.0.1:0'\ncoordinators = [\n  'a:1', # one\n  'b:2',\n]\n"
      "[[resource]]\nname = 'pg'\n[[resource]]\nname = 'my'\nsessions = 3\n",
      "agent.toml");
  ASSERT_TRUE(document) << document.error().message;
  Settings settings;
  const auto loaded = load_settings(*document, settings, describe);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(settings.coordinators, (std::vector<std::string>{"a:1", "b:2"}));
  ASSERT_EQ(settings.resources.size(), 2u);
  EXPECT_EQ(settings.resources[0].sessions, 8);
  EXPECT_EQ(settings.resources[1].sessions, 3);
}

TEST(SettingsFile, ProblemsNameTheLineOfTheFile) {
  EXPECT_EQ(
      problem(
          "listen = 1\ncoordinators = ['a:1']\n\n[[resource]]\nname = 'pg'\n\n[[resource]]\nsesions = 3\n"),
      "agent.toml:1: 'listen': expected text, found an integer\n"
      "agent.toml:7: 'resource.name' is missing: it has no default\n"
      "agent.toml:8: 'resource.sesions': no such setting; did you mean 'sessions'?");
}

TEST(SettingsFile, WhatIsNotTomlIsRefusedWithItsLine) {
  EXPECT_THAT(problem("listen = 'x'\ncoordinators = [\n"), HasSubstr("agent.toml:3: not TOML: "));
  EXPECT_THAT(problem("listen = 'x'\nlisten = 'y'\n"), HasSubstr("not TOML: "));
  EXPECT_THAT(problem("= 3"), HasSubstr("agent.toml:1: not TOML: "));
  EXPECT_THAT(problem("password = \"hunter2\nlisten = 'x'\n"), testing::Not(HasSubstr("hunter2")));
}

TEST(SettingsFile, AMissingFileIsNamed) {
  const auto document = read_settings_file("/nonexistent/agent.toml");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().message, "cannot open /nonexistent/agent.toml: No such file or directory");
}

}  // namespace
}  // namespace troth
