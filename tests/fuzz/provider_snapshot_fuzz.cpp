// SPDX-License-Identifier: Apache-2.0
// The file of provider records: whatever stands in it, the limits hold, nothing lives longer than a
// fresh record, and a snapshot of what was taken in brings back the same.
#include "dht/kad/provider_store.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/manual_clock.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  using namespace hagring::kad;
  using fuzz::require;
  const ProviderStoreOptions options{
      .max_records = 32, .max_records_of_a_peer = 8, .max_providers_of_a_key = 3};
  test::ManualClock clock;
  ProviderStore store(clock, options);
  const bool whole = store.restore({data, size}).has_value();
  require(whole || size < 16 || store.records() <= size);
  require(store.records() <= options.max_records);
  require(store.keys() <= store.records() && store.peers() <= store.records());

  ProviderStore again(clock, options);
  require(again.restore(store.snapshot()).has_value());
  require(again.records() == store.records() && again.keys() == store.keys());
  require(again.peers() == store.peers());

  clock.advance(options.validity);
  store.collect();
  require(store.records() == 0 && store.keys() == 0 && store.peers() == 0);
  return 0;
}
