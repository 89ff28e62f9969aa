// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/redirect/hook_lab.hpp"

namespace hagring::redirect::test {

inline constexpr std::uint16_t kDns = 53;

UniqueFd datagram_socket(const Endpoint& to);
UniqueFd bound_datagram_socket(const Endpoint& address);
/// Whether something can be read within `limit_ms`.
bool readable(int fd, int limit_ms);

/// Asks as glibc and Go do, with a connected socket; says who is said to be the peer, and the
/// answer.
ClientProcess::Body asks(Endpoint to);
/// Asks with a socket that isn't connected; says where the answer came from, and the answer.
ClientProcess::Body asks_unconnected(Endpoint to);
/// Answers one datagram at `fd` with `text`. False: none came.
bool answer_with(int fd, std::string_view text, int limit_ms = 5000);

/// What a server's queries are led to.
struct Stub {
  explicit Stub(const std::string& loopback)
      : udp(bound_datagram_socket(at(loopback, 0))), tcp(listen_on(at(loopback, 0))) {}
  UniqueFd udp;
  UniqueFd tcp;
};

/// Queries to name servers, on port 53 of addresses that this test's network namespace has.
class NamesTest : public AttachedHookTest {
 protected:
  Stub stub_for(const char* server, const std::string& loopback = "127.0.0.1") {
    Stub stub(loopback);
    const auto set = redirector_->set_name_server(asio::ip::make_address(server), stub.udp.get(),
                                                  stub.tcp.get());
    EXPECT_TRUE(set) << set.error().message();
    return stub;
  }

  /// A query to `to` reaches the server itself, for the reason that `counter_name` counts.
  void expect_asked_directly(ClientProcess& process, int server, const char* counter_name) {
    process.say("go");
    EXPECT_TRUE(answer_with(server, "direct"));
    EXPECT_THAT(process.hear(), ::testing::EndsWith(" direct"));
    EXPECT_EQ(counter(*redirector_, counter_name), 1U);
    EXPECT_EQ(counter(*redirector_, "names_redirected"), 0U);
  }
};

}  // namespace hagring::redirect::test
