// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dht/net/error.hpp"
#include "dht/net/yamux_state.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"

/// How a yamux session sees that its peer is there, and takes its leave.
namespace hagring::dht {
namespace {

using Type = YamuxHeader::Type;

/// Code of a GOAWAY (spec.md, "Go Away Message").
constexpr std::uint32_t kProtocolError = 1;
constexpr Duration kGoodbye = std::chrono::seconds(1);

}  // namespace

awaitable<void> YamuxState::keep_alive() {
  while (!error) {
    const auto value = send_ping();
    co_await clock_.sleep_for(options_.keepalive_timeout);
    if (co_await asked_to_stop()) co_return;
    if (pong_value_ < value) {
      end(NetErrc::keepalive_missed);
      co_return;
    }
    co_await clock_.sleep_for(options_.keepalive_interval - options_.keepalive_timeout);
    if (co_await asked_to_stop()) co_return;
  }
}

awaitable<Result<void>> YamuxState::ping() {
  const auto value = send_ping();
  while (pong_value_ < value) {
    if (error) co_return error;
    CO_CHECK(co_await pong_.wait());
  }
  co_return Result<void>();
}

std::uint32_t YamuxState::send_ping() {
  send({Type::ping, YamuxHeader::syn, 0, ++ping_value_});
  return ping_value_;
}

awaitable<void> YamuxState::say_goodbye() {
  leaving_ = true;          // nothing of the queue comes between
  if (sending_) co_return;  // the peer doesn't read: it wouldn't read this either
  const auto bytes = YamuxHeader{Type::go_away, 0, 0, kProtocolError}.encode();
  (void)co_await with_deadline(clock_, kGoodbye, below_->write(bytes));
}

void YamuxState::answer_ping(const YamuxHeader& header) {
  if (header.has(YamuxHeader::syn)) {
    send({Type::ping, YamuxHeader::ack, 0, header.length});
  } else if (header.has(YamuxHeader::ack) && header.length <= ping_value_) {
    // An answer to a later ping is one to those before it.
    pong_value_ = std::max(pong_value_, header.length);
    pong_.wake();
  }
}

}  // namespace hagring::dht
