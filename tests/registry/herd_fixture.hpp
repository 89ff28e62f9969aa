// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "registry/herd/herds.hpp"
#include "tests/registry/private_fixture.hpp"

namespace hagring::herd {

/// The other nodes of a mesh: what is sent to them is kept, what they say is the test's.
class FakeMesh final : public Neighbours, public Mesh, public Notary {
 public:
  explicit FakeMesh(asio::io_context& context) : context_(context) {}

  void begin(Hooks hooks) override { hooks_ = std::move(hooks); }
  void send(const NodeId& to, const Message& message) override;
  std::optional<registry::Peer> whereabouts(const NodeId& node) const override;
  std::vector<NodeId> nearest(const Key&, std::size_t) const override { return {"coordinator"}; }
  std::vector<NodeId> holders(const HerdId&) const override { return {}; }
  awaitable<void> get_to_know(HerdId) override { co_return; }
  Bytes sign(ByteView) override { return Bytes{1}; }
  bool verify(const NodeId&, ByteView, ByteView) override { return true; }

  /// How the members' parts ended, in order.
  std::vector<Outcome> ended() const;
  /// Sends a message to this node.
  void say(const HerdId& herd, Body body);

  /// The coordinator's answer to a message of this node's.
  std::function<std::optional<Body>(const Body&)> answer;
  std::map<NodeId, registry::Peer> places;
  std::vector<Message> sent;

 private:
  asio::io_context& context_;
  Hooks hooks_;
};

/// A mirror whose node takes part in herds that another node coordinates.
struct HerdTest : registry::PrivateTest {
  /// `hangs`: the control thread does nothing.
  explicit HerdTest(HerdsOptions how = {}, bool hangs = false);
  ~HerdTest() override;

  /// The coordinator answers a node's Join with this, and nothing else.
  void answer_joins(Body order);
  registry::Reply get_blob_of(const std::string& repository, const Digest& digest,
                              const std::string& credentials = "") {
    return get_of(blob_path(repository, digest), credentials);
  }
  registry::Reply get_of(const std::string& path, const std::string& credentials = "");

  test::FakeRegistry other{context, clock};  ///< the node "other", which the router doesn't name
  asio::io_context hung;
  asio::io_context& control;  ///< `context`, or `hung`
  FakeMesh mesh{context};
  FinishedSpools finished{clock, std::chrono::minutes(1)};
  Herds herd_part;
};

// A parent's part of a stripe, as a node's server sends it.

awaitable<void> begin_stripe(http::Connection& connection, std::uint64_t size);
/// `sent` as the first piece, with `head`'s signature on `content`.
awaitable<void> send_first(http::Connection& connection, NodeId head, std::string content,
                           std::string sent);
/// Sends `sent` as the blob's only piece, with `head`'s signature on `content`.
awaitable<bool> send_stripe(http::Connection& connection, std::string content, NodeId head,
                            std::string sent);
/// The order to stream the first stripe from the node "other".
Stream stream_from_other(const NodeId& head);

}  // namespace hagring::herd
