// SPDX-License-Identifier: Apache-2.0
// What is learned of private content: marks that peers send, token services' answers, and what the
// last run has kept. The first byte says which.
#include "registry/anonymous_inquiry.hpp"
#include "registry/privacy.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/manual_clock.hpp"

using namespace hagring;
using hagring::fuzz::require;
using hagring::registry::Privacy;

namespace {

const auto kDigest = registry::Digest::parse("sha256:" + std::string(64, 'a')).value();

/// What one has kept another one can take over, and keeps the same.
void require_round_trip(Privacy& privacy, Clock& clock) {
  privacy.add(kDigest, "fuzz.test/kept");
  const auto text = privacy.take_changed();
  if (!text) return;  // public, or known already
  Privacy other(clock);
  require(other.restore(*text).has_value());
  other.learn("fuzz.test/x", registry::Audience::some);
  privacy.learn("fuzz.test/x", registry::Audience::some);
  require(other.take_changed() == privacy.take_changed());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const auto kind = input.byte() % 3;
  const std::string text(as_text(input.rest()));
  test::ManualClock clock;
  Privacy privacy(clock);
  if (kind == 0) {
    privacy.add_field(kDigest, text);
    const auto names = privacy.mark(kDigest);
    require(names.has_value());
    Privacy next(clock);
    next.add_field(kDigest, Privacy::field(*names));
    require(next.mark(kDigest) == names);
    require_round_trip(privacy, clock);
    Privacy presuming(clock);
    presuming.presume_field(kDigest, text);
    const bool free = text == registry::kNoSource;
    require(presuming.came_free(kDigest) == free);
    require(presuming.presumed(kDigest).empty() == free);
    require(presuming.vouches("fuzz.elsewhere.test/x", kDigest) == free);
  } else if (kind == 1) {
    const auto token = registry::token_in(text);
    require(!token || (!token->empty() && token->find('\n') == std::string::npos));
  } else {
    const auto body = "hagring-private 1\n" + text;
    const auto sum = to_hex(sha256(as_bytes(body)));
    if (privacy.restore(body + "end " + sum + "\n")) require_round_trip(privacy, clock);
    (void)privacy.restore(text);
  }
  return 0;
}
