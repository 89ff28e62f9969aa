// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/session.hpp"

namespace hagring::proxy {

std::string_view to_string(SpliceReason reason) {
  switch (reason) {
    case SpliceReason::not_tls:
      return "not_tls";
    case SpliceReason::client_silent:
      return "client_silent";
    case SpliceReason::hello_late:
      return "hello_late";
    case SpliceReason::hello_malformed:
      return "hello_malformed";
    case SpliceReason::hello_unsupported:
      return "hello_unsupported";
    case SpliceReason::no_server_name:
      return "no_server_name";
    case SpliceReason::not_mirrored:
      return "not_mirrored";
    case SpliceReason::client_untrusting:
      return "client_untrusting";
    case SpliceReason::origin_unverifiable:
      return "origin_unverifiable";
    case SpliceReason::undecided:
      return "undecided";
    case SpliceReason::no_leaf:
      return "no_leaf";
    case SpliceReason::proxy_refuses:
      return "proxy_refuses";
  }
  return "unknown";
}

}  // namespace hagring::proxy
