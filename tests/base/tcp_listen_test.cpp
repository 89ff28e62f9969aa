// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tcp_listen.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

namespace hagring {
namespace {

using asio::ip::tcp;

struct TcpListen : testing::Test {
  TcpListen() {
    EXPECT_FALSE(listen(first, {asio::ip::address_v4::loopback(), 0}));
    where = first.local_endpoint();
  }

  asio::io_context context;
  tcp::acceptor first{context};
  tcp::acceptor second{context};
  tcp::endpoint where;
};

TEST_F(TcpListen, APortIsOnesOwn) {
  EXPECT_EQ(listen(second, where), boost::system::errc::address_in_use);
}

TEST_F(TcpListen, ASuccessorSharesItAndHasItInTheEnd) {
  ASSERT_FALSE(listen(second, where, PortSharing::allowed));
  first.close();
  tcp::socket client(context);
  error_code error;
  client.connect(where, error);
  EXPECT_FALSE(error);
  second.accept(error);
  EXPECT_FALSE(error);
}

TEST_F(TcpListen, AForeignListenerIsNoPredecessor) {
  tcp::acceptor foreign(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  EXPECT_EQ(listen(second, foreign.local_endpoint(), PortSharing::allowed),
            boost::system::errc::address_in_use);
}

}  // namespace
}  // namespace hagring
