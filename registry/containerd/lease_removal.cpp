// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/lease_removal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>

#include "registry/containerd/client.hpp"
#include "registry/containerd/lease_text.hpp"
#include "registry/containerd/sockets.hpp"

namespace hagring::containerd {

awaitable<RpcResult<std::vector<std::string>>> remove_our_leases(LeasesApi& leases, bool dry_run) {
  CO_TRY(const auto found, co_await leases.list(std::string(kLeasePrefix)));
  std::vector<std::string> removed;
  for (const auto& lease : found) {
    const bool is_last = removed.size() + 1 == found.size();
    if (!dry_run) {
      const auto done = co_await leases.remove(lease.id, is_last);
      if (!done && done.error().code != Errc::not_found) co_return done.error();
    }
    removed.push_back(lease.id);
  }
  co_return removed;
}

RpcResult<std::vector<std::string>> remove_our_leases(const std::string& socket,
                                                      const std::string& name_space, bool dry_run) {
  // Tried without gRPC first: the system says better what is wrong.
  if (const auto listener = listener_of(socket); !listener) {
    return RpcError{.code = Errc::unavailable, .text = listener.error().message()};
  }
  Client client(socket, name_space);
  asio::io_context context;
  std::optional<RpcResult<std::vector<std::string>>> result;
  const auto operation = [&]() -> awaitable<void> {
    result = co_await remove_our_leases(client.leases(), dry_run);
  };
  asio::co_spawn(context, operation(), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();
  return *std::move(result);
}

}  // namespace hagring::containerd
