// SPDX-License-Identifier: Apache-2.0
// The file with which a node starts again: whatever stands in it, the node's limits hold, what it
// writes itself can be read, and it provides, joins and stops as one that had no file. One key is
// provided, so that files may hold when it was told.
#include "dht/kad/kad_node.hpp"
#include "dht/sim/network.hpp"
#include "dht/sim/peers.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using namespace hagring::kad;
using fuzz::require;

const std::string kKey = "sha256:" + std::string(64, '1');
/// More than a key's repetition takes, and less than records live.
constexpr Duration kLife = std::chrono::minutes(17);
constexpr Duration kStop = std::chrono::minutes(1);

KadOptions options() {
  KadOptions options;
  options.own_addresses = [] { return sim::numbered_peer(0).addresses; };
  options.records.max_records = 32;
  options.records.max_records_of_a_peer = 8;
  options.records.max_providers_of_a_key = 3;
  return options;
}

/// One node, and one other that it can reach.
class Play {
 public:
  /// The clocks stand this long after those of others.
  explicit Play(Duration later = Duration::zero()) {
    clock_.run_for(later);
    network_.attach(sim::numbered_peer(1).id, [this](const PeerInfo&, const Message& request) {
      told_ += request.type == MessageType::add_provider ? 1 : 0;
      Message reply;
      reply.type = request.type;
      return Result<std::optional<Message>>(std::optional(reply));
    });
  }

  KadNode& node() { return node_; }
  std::size_t told() const { return told_; }

  /// Joins with that other as the seed and lives on for a while.
  void live() {
    bool joined = false;
    tasks_.spawn(
        [&]() -> awaitable<void> { joined = co_await node_.join({sim::numbered_peer(1)}); });
    tasks_.spawn([this] { return node_.run(); });
    clock_.run_for(kLife);
    require(joined && node_.table().size() > 0);
    tasks_.cancel();
    tasks_.spawn([this] { return node_.stop(); });
    clock_.run_for(kStop);
    require(tasks_.size() == 0);
  }

 private:
  asio::io_context context_;
  sim::SimClock clock_{context_};
  sim::SimNetwork network_{clock_, 7, {}};
  std::unique_ptr<Rpc> rpc_ = network_.rpc(sim::numbered_peer(0));
  Rng rng_{7};
  std::size_t told_ = 0;
  KadNode node_{context_.get_executor(), clock_, rng_, *rpc_, sim::numbered_peer(0).id, options()};
  TaskGroup tasks_{context_.get_executor(), "fuzz"};
};

void check_records(const ProviderStore& records) {
  require(records.records() <= options().records.max_records);
  require(records.keys() <= records.records() && records.peers() <= records.records());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Play first;
  (void)first.node().restore({data, size});
  check_records(first.node().records());

  Play second;
  require(second.node().restore(first.node().snapshot()).has_value());
  require(second.node().records().records() == first.node().records().records());
  require(second.node().records().peers() == first.node().records().peers());

  first.node().provide({kKey});
  second.node().provide({kKey});
  require(first.node().untold_keys() == second.node().untold_keys());
  first.live();
  // Told once in fifteen minutes at least, however the file has it.
  require(first.told() > 0 && first.node().untold_keys() == 0);
  check_records(first.node().records());
  Play third(kLife + kStop);
  require(third.node().restore(first.node().snapshot()).has_value());
  third.node().provide({kKey});
  require(third.node().untold_keys() == 0);
  return 0;
}
