// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/succession.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/support/run.hpp"
#include "userspace/agent/admin_server.hpp"

namespace hagring::agent {
namespace {

const Predecessor kPredecessor{.pid = 7,
                               .version = "0.1.0",
                               .authority = "ab:cd",
                               .client = 99,
                               .client_start = 123456789,
                               .trusted = true,
                               .connected = true,
                               .keeps_layers = true,
                               .nodes = 3};

TEST(Succession, TheDocumentSaysAll) {
  const auto read = parse_predecessor(write_predecessor(kPredecessor));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, kPredecessor);
}

TEST(Succession, FilesThatAreTrustedAreTold) {
  auto predecessor = kPredecessor;
  predecessor.trusted = false;
  predecessor.files =
      TrustedFiles{.directory = "/etc/containerd/certs.d", .registries = {"docker.io", "ghcr.io"}};
  const auto read = parse_predecessor(write_predecessor(predecessor));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, predecessor);
}

TEST(Succession, OtherDocumentsAreNone) {
  for (const auto* text : {"", "{}", "[]", R"({"pid":"7"})", R"({"error":"no such page"})"}) {
    EXPECT_EQ(parse_predecessor(text).error(), Errc::bad_message) << text;
  }
  auto text = write_predecessor(kPredecessor);
  text.back() = ',';
  for (const auto* files : {R"("files":1})", R"("files":{"directory":"/x","registries":"y"}})"}) {
    EXPECT_EQ(parse_predecessor(text + files).error(), Errc::bad_message) << files;
  }
}

struct Meeting : testing::Test {
  Meeting() { std::filesystem::create_directories(folder); }
  ~Meeting() override { std::filesystem::remove_all(folder); }

  /// Meets an agent that has these pages.
  std::optional<Predecessor> meet(Pages pages) {
    asio::io_context context;
    AdminServer server(context.get_executor(), path, std::move(pages));
    server.claim();
    server.start();
    auto guard = asio::make_work_guard(context);
    std::jthread agent([&] { context.run(); });
    struct End {
      ~End() {
        context.stop();
        thread.join();
        context.restart();
        test::run(context, server.stop());
      }
      asio::io_context& context;
      std::jthread& thread;
      AdminServer& server;
    } end{context, agent, server};
    return meet_predecessor(path);
  }

  std::string folder = testing::TempDir() + "hagring_meeting_" + std::to_string(getpid());
  std::string path = folder + "/hagring.sock";
};

TEST_F(Meeting, NobodyIsThere) { EXPECT_FALSE(meet_predecessor(path)); }

TEST_F(Meeting, APredecessorTellsWhoItIs) {
  EXPECT_EQ(meet({{"POST /takeover/begin",
                   [](std::string) -> awaitable<PageAnswer> {
                     co_return PageAnswer{200, write_predecessor(kPredecessor)};
                   }}}),
            kPredecessor);
}

TEST_F(Meeting, AnAgentThatCantBeReplacedIsLeftAlone) {
  try {
    meet({});
    FAIL() << "it was met";
  } catch (const StartError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("doesn't know how to be replaced"));
  }
}

}  // namespace
}  // namespace hagring::agent
