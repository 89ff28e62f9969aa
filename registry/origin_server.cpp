// SPDX-License-Identifier: Apache-2.0
#include "registry/origin_server.hpp"

#include <fmt/core.h>

namespace hagring::registry {
namespace {

class OriginCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring origin"; }

  std::string message(int value) const override {
    switch (static_cast<OriginErrc>(value)) {
      case OriginErrc::down:
        return "it has not answered lately and is being probed";
      case OriginErrc::limited:
        return "it limits the rate of this client";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const boost::system::error_category& origin_category() noexcept {
  static const OriginCategory category;
  return category;
}

OriginServer OriginServer::of(const Upstream& upstream) {
  const auto& address = upstream.preferred;
  return {.host = !upstream.host.empty() ? upstream.host
                  : address              ? address->address().to_string()
                                         : "",
          .port = upstream.port,
          .tls = upstream.tls};
}

std::string OriginServer::to_string() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

}  // namespace hagring::registry
