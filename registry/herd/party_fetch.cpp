// SPDX-License-Identifier: Apache-2.0
// What comes from the origin.
#include "registry/herd/herds.hpp"
#include "registry/herd/party.hpp"
#include "registry/permission.hpp"
#include "registry/rate_limit.hpp"
#include "userspace/base/log.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

/// How often the origin is asked to go on, in all and without a byte of it coming
/// (FetcherOptions::max_continuations, max_in_vain).
constexpr unsigned kMostTries = 8;
constexpr unsigned kMostInVain = 2;
/// Pieces wait so long for others to be signed together with.
constexpr auto kGather = 10ms;

/// Hashed in one go.
constexpr std::size_t kVerifyPieces = 8;

constexpr unsigned kTooMany = 429;

}  // namespace

void Party::fetch_from(std::uint64_t from, std::optional<registry::Exchange> begun) {
  if (fetching_ && !fetching_->stopped) return;
  // Shared with the work, which std::function needs to be able to copy.
  auto first = std::make_shared<std::optional<registry::Exchange>>(std::move(begun));
  fetching_ = start([this, first, from](std::shared_ptr<Activity> activity) {
    return fetch(std::move(activity), std::exchange(*first, std::nullopt), from);
  });
}

awaitable<void> Party::fetch(std::shared_ptr<Activity> activity,
                             std::optional<registry::Exchange> begun, std::uint64_t from) {
  Result<void> done(Errc::unavailable);
  auto offset = from;
  unsigned in_vain = 0;
  bool denied = false;
  std::optional<Duration> limited;
  for (unsigned tries = 0; tries < kMostTries && in_vain < kMostInVain; ++tries) {
    const auto before = offset;
    if (!begun) {
      if (agains_.empty()) break;
      auto again = co_await ask_again(offset);
      if (activity->stopped) co_return;
      const auto status = again ? again->response.status : 0U;
      denied = registry::is_no(status);
      if (status == kTooMany) {
        limited = registry::limit_notice(again->response, parts_.clock.wall())->lasts;
      }
      if (denied || limited) break;
      if (again) begun.emplace(*std::move(again));
    }
    if (begun) done = co_await pump(activity, *begun, offset);
    begun.reset();
    const auto shared = spool();
    if (activity->stopped || done || (shared && shared->failure())) break;
    in_vain = offset == before ? in_vain + 1 : 0;
    log::info("herd", "{}: the origin broke off at byte {}: {}", id_.digest.to_string(), offset,
              done.error().message());
  }
  if (activity->stopped) co_return;
  if (fetching_ == activity) fetching_.reset();
  sign_rest();
  const auto shared = spool();
  if (done && seats_ == 0) verify_without_client();
  if (done) co_return;
  if (gave_up_ && shared) shared->fail(Errc::unavailable);
  apply(limited ? member_.origin_limited(*limited, now()) : member_.origin_failed(denied, now()));
}

/// With no client left that would find it out: only what is verified can be served on as a whole.
void Party::verify_without_client() {
  if (finished_ || !spool() || std::exchange(verifying_, true)) return;
  start([this](std::shared_ptr<Activity> activity) { return verify(std::move(activity)); });
}

awaitable<void> Party::verify(std::shared_ptr<Activity> activity) {
  const auto shared = spool();
  Hasher hasher(id_.digest.algorithm());
  Bytes buffer(kPieceSize * kVerifyPieces);
  for (std::uint64_t offset = 0; offset < shared->size();) {
    const auto got = shared->read(offset, buffer);
    if (!got || *got == 0) break;
    hasher.update(ByteView(buffer).first(*got));
    offset += *got;
    // Others of this thread have their turn.
    co_await asio::post(home_, asio::use_awaitable);
    if (activity->stopped || co_await asked_to_stop()) co_return;
  }
  verifying_ = false;
  id_.digest.matches(hasher) ? finished(false, true) : corrupt();
  if (seats_ == 0) apply(member_.client_gone(now()));
}

/// The rest of the content from a byte on, however the origin gives it.
awaitable<Result<registry::Exchange>> Party::ask_again(std::uint64_t from) {
  const auto shared = spool();
  if (agains_.empty() || !shared) co_return Errc::unavailable;
  // Held: its client may leave meanwhile.
  const auto again = agains_.front();
  CO_TRY(auto exchange, co_await (*again)(registry::ByteRange{.first = from}, false));
  const auto& response = exchange.response;
  const auto size = shared->size();
  const bool refused = registry::is_no(response.status) || response.status == kTooMany;
  if (refused) co_return std::move(exchange);
  const auto coding = response.headers.get("Content-Encoding");
  if (coding && *coding != "identity") co_return Errc::bad_message;
  if (response.status == 206) {
    const auto range =
        registry::ContentRange::parse(response.headers.get("Content-Range").value_or(""));
    const bool fits = range && range->first == from && (!range->size || *range->size == size);
    if (!fits) co_return Errc::bad_message;
    co_return std::move(exchange);
  }
  const bool stated = response.body.kind == http::BodyLength::Kind::length;
  if (response.status != 200 || (stated && response.body.bytes != size)) {
    co_return Errc::unavailable;
  }
  // A server without ranges sends all of it.
  Bytes dropped(kPieceSize);
  for (auto left = from; left > 0;) {
    const auto most = std::min<std::uint64_t>(left, dropped.size());
    CO_TRY(const auto got, co_await exchange.connection().read_body(
                               MutableBytes(dropped).first(static_cast<std::size_t>(most))));
    if (got == 0) co_return Errc::truncated;
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    left -= got;
  }
  co_return std::move(exchange);
}

/// `offset` is where a piece begins, and goes on piece by piece.
awaitable<Result<void>> Party::pump(const std::shared_ptr<Activity>& activity,
                                    registry::Exchange& exchange, std::uint64_t& offset) {
  const auto shared = spool();
  if (!shared) co_return Errc::unavailable;
  auto& connection = exchange.connection();
  Bytes buffer(kPieceSize);
  while (offset < shared->size()) {
    const auto number = offset / kPieceSize;
    auto rest = MutableBytes(buffer).first(shared->length_of(number));
    while (!rest.empty()) {
      CO_TRY(const auto got, co_await connection.read_body(rest));
      if (activity->stopped || co_await asked_to_stop()) co_return Errc::cancelled;
      if (got == 0) co_return Errc::truncated;
      rest = rest.subspan(got);
    }
    const auto bytes = ByteView(buffer).first(shared->length_of(number));
    CO_CHECK(take_from_origin(*shared, number, bytes));
    offset += bytes.size();
  }
  // What framing says comes last must have come for the connection to be kept.
  (void)co_await connection.skip_body(0);
  co_return Result<void>();
}

Result<void> Party::take_from_origin(Spool& shared, std::uint64_t piece, ByteView bytes) {
  from_origin_ = true;
  CHECK_OK(shared.put(piece, bytes));
  if (!shared.batch_of(piece)) {
    const auto stripe = static_cast<Stripe>(piece % kStripes);
    const bool last = piece + kStripes >= shared.pieces();
    const bool flush = last || now() - sealed_at_[stripe] >= kGather;
    const auto batches =
        ledger_.fetched(epoch_, stripe, piece / kStripes, hash_piece(bytes), flush);
    cover(shared, batches);
  }
  fed_ = now();
  report_arrivals(shared);
  return {};
}

void Party::cover(Spool& shared, const std::vector<Batch>& batches) {
  for (const auto& batch : batches) {
    shared.cover(batch.stripe, batch.first, batch.hashes.size(),
                 std::make_shared<const Bytes>(encode(batch)));
    sealed_at_[batch.stripe] = now();
  }
}

/// An origin that pauses must not keep children from what is here.
void Party::seal_when_quiet() {
  if (fetching_ && now() - fed_ >= kGather) sign_rest();
}

/// What isn't signed goes to no child, and nothing behind it.
void Party::sign_rest() {
  if (const auto shared = spool()) cover(*shared, ledger_.flush());
}

/// When seal_when_quiet() may have something to do.
TimePoint Party::next_seal() const {
  const auto quiet = fed_ + kGather;
  return fetching_ && quiet > now() ? quiet : TimePoint::max();
}

void Party::report_arrivals(const Spool& shared) {
  const auto have = shared.have();
  for (std::size_t s = 0; s < kStripes; ++s) {
    while (reported_[s] < have[s]) {
      apply(member_.arrived(static_cast<Stripe>(s), reported_[s]++, now()));
    }
  }
}

}  // namespace hagring::herd
