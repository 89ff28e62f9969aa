// SPDX-License-Identifier: Apache-2.0
#include "tests/containerd/fake_leases.hpp"

#include <boost/asio/post.hpp>

namespace hagring::containerd {
namespace {

const RpcError kGone{.code = Errc::not_found, .status = "NotFound"};

}  // namespace

awaitable<RpcResult<void>> FakeLeases::turn() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  if (failing > 0) {
    --failing;
    co_return RpcError{.code = Errc::unavailable, .status = "Unavailable", .text = "test"};
  }
  co_return RpcResult<void>();
}

awaitable<RpcResult<std::vector<Lease>>> FakeLeases::list(std::string prefix) {
  CO_CHECK(co_await turn());
  std::vector<Lease> found;
  for (const auto& [id, entry] : entries) {
    if (id.starts_with(prefix)) found.push_back(entry.lease);
  }
  co_return found;
}

awaitable<RpcResult<void>> FakeLeases::create(Lease lease) {
  CO_CHECK(co_await turn());
  const auto id = lease.id;
  if (!entries.try_emplace(id, Entry{std::move(lease)}).second) {
    co_return RpcError{.code = Errc::unavailable, .status = "AlreadyExists"};
  }
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> FakeLeases::remove(std::string id, bool collect) {
  CO_CHECK(co_await turn());
  const auto found = entries.find(id);
  if (found == entries.end()) co_return kGone;
  const auto entry = std::move(found->second);
  entries.erase(found);
  if (collect && collected) collected(entry);
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> FakeLeases::add(std::string id, registry::Digest blob) {
  CO_CHECK(co_await turn());
  const auto found = entries.find(id);
  if (found == entries.end()) co_return kGone;
  found->second.blobs.push_back(std::move(blob));
  co_return RpcResult<void>();
}

awaitable<RpcResult<std::vector<registry::Digest>>> FakeLeases::blobs(std::string id) {
  CO_CHECK(co_await turn());
  const auto found = entries.find(id);
  if (found == entries.end()) co_return kGone;
  co_return found->second.blobs;
}

}  // namespace hagring::containerd
