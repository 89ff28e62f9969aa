// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/error.hpp"

namespace hagring::egress {
namespace {

class EgressCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring.egress"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::wants_credentials:
        return "the egress proxy wants credentials, or others than containerd's environment has "
               "(407)";
      case Errc::refused:
        return "the egress proxy doesn't allow a tunnel to it; see the proxy's rules and NO_PROXY";
      case Errc::failed:
        return "the egress proxy made no tunnel; see the proxy's log";
      case Errc::unsupported_proxy:
        return "containerd's environment names a proxy of another kind than http://";
    }
    return "unknown";
  }
};

}  // namespace

const boost::system::error_category& egress_category() noexcept {
  static const EgressCategory category;
  return category;
}

bool is_refusal(const error_code& error) noexcept {
  return error == Errc::wants_credentials || error == Errc::refused;
}

}  // namespace hagring::egress
