// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/no_proxy.hpp"

#include <gtest/gtest.h>

namespace hagring::egress {
namespace {

struct Case {
  const char* list;
  const char* host;
  std::uint16_t port;
  bool exempt;
};

/// The rules of golang.org/x/net/http/httpproxy.
TEST(NoProxy, ExemptsWhatGoExempts) {
  for (const auto& [list, host, port, exempt] : {
           Case{"", "registry.test", 443, false},
           Case{"example.com", "example.com", 443, true},
           Case{"example.com", "a.b.example.com", 443, true},
           Case{"example.com", "badexample.com", 443, false},
           Case{"EXAMPLE.com", "Example.COM", 443, true},
           Case{".example.com", "example.com", 443, false},
           Case{".example.com", "a.example.com", 443, true},
           Case{"*.example.com", "a.example.com", 443, true},
           Case{"*.example.com", "example.com", 443, false},
           Case{"example.com:8443", "example.com", 443, false},
           Case{"example.com:8443", "a.example.com", 8443, true},
           Case{" a.test ,\tb.test,,", "b.test", 443, true},
           Case{"a.test;b.test", "b.test", 443, false},
           Case{"*", "anything.test", 1, true},
           Case{"x.test,*", "10.1.2.3", 80, true},
           Case{"10.1.2.3", "10.1.2.3", 443, true},
           Case{"10.1.2.3:80", "10.1.2.3", 443, false},
           Case{"10.1.2.3:443", "10.1.2.3", 443, true},
           Case{"10.0.0.0/8", "10.200.0.1", 443, true},
           Case{"10.0.0.0/8", "11.0.0.1", 443, false},
           Case{"10.0.0.0/33", "10.0.0.1", 443, false},
           Case{"fd00::/8", "fd12::1", 443, true},
           Case{"fd00::1", "fd00::1", 443, true},
           Case{"[fd00::1]:443", "fd00::1", 443, true},
           Case{"[fd00::1]:443", "fd00::1", 80, false},
           Case{":443", "example.com", 443, false},
           Case{".", "example.com", 443, false},
           Case{"", "localhost", 443, true},
           Case{"", "127.8.8.8", 443, true},
           Case{"", "::1", 443, true},
           Case{"", "localhost.test", 443, false},
       }) {
    EXPECT_EQ(NoProxy(list).exempts(host, port), exempt)
        << '"' << list << "\" and " << host << ':' << port;
  }
}

}  // namespace
}  // namespace hagring::egress
