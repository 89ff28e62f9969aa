// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/multiaddr.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "dht/multiformats/varint.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxSize = 1024;
constexpr std::size_t kMaxParts = 16;
constexpr int kVariable = -1;

/// How a protocol's value is written.
struct Form {
  AddrProtocol protocol;
  std::string_view name;
  int size;  ///< bytes of the value; kVariable: a length stands before it
};

constexpr std::array kForms{
    Form{AddrProtocol::ip4, "ip4", 4},           Form{AddrProtocol::tcp, "tcp", 2},
    Form{AddrProtocol::ip6, "ip6", 16},          Form{AddrProtocol::ip6zone, "ip6zone", kVariable},
    Form{AddrProtocol::dns, "dns", kVariable},   Form{AddrProtocol::dns4, "dns4", kVariable},
    Form{AddrProtocol::dns6, "dns6", kVariable}, Form{AddrProtocol::dnsaddr, "dnsaddr", kVariable},
    Form{AddrProtocol::udp, "udp", 2},           Form{AddrProtocol::p2p_circuit, "p2p-circuit", 0},
    Form{AddrProtocol::p2p, "p2p", kVariable},   Form{AddrProtocol::quic, "quic", 0},
    Form{AddrProtocol::quic_v1, "quic-v1", 0},   Form{AddrProtocol::ws, "ws", 0},
    Form{AddrProtocol::wss, "wss", 0},
};

const Form* form_of(std::uint64_t protocol) {
  const auto form = std::ranges::find_if(
      kForms, [&](const Form& f) { return static_cast<std::uint64_t>(f.protocol) == protocol; });
  return form == kForms.end() ? nullptr : &*form;
}

const Form* form_of(std::string_view name) {
  if (name == "ipfs") name = "p2p";  // the old name, which some configurations still have
  const auto form = std::ranges::find_if(kForms, [&](const Form& f) { return f.name == name; });
  return form == kForms.end() ? nullptr : &*form;
}

/// Whether a value is one: a name has no slash, no control characters and no NUL.
bool is_valid(const Form& form, ByteView value) {
  if (form.size != kVariable) return value.size() == static_cast<std::size_t>(form.size);
  if (form.protocol == AddrProtocol::p2p) return PeerId::from_bytes(value).has_value();
  return !value.empty() && value.size() <= 255 &&
         std::ranges::all_of(value, [](auto c) { return c > ' ' && c < 0x7f && c != '/'; });
}

std::optional<Bytes> value_of(AddrProtocol protocol, std::string_view text) {
  boost::system::error_code error;
  if (protocol == AddrProtocol::ip4) {
    const auto bytes = asio::ip::make_address_v4(text, error).to_bytes();
    return error ? std::nullopt : std::optional(Bytes(bytes.begin(), bytes.end()));
  }
  if (protocol == AddrProtocol::ip6) {
    const auto address = asio::ip::make_address_v6(text, error);
    const auto bytes = address.to_bytes();
    if (error || address.scope_id() != 0) return std::nullopt;
    return Bytes(bytes.begin(), bytes.end());
  }
  if (protocol == AddrProtocol::tcp || protocol == AddrProtocol::udp) {
    std::uint16_t port = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return Bytes{static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)};
  }
  if (protocol == AddrProtocol::p2p) {
    const auto peer = PeerId::parse(text);
    if (!peer) return std::nullopt;
    return Bytes(peer->bytes().begin(), peer->bytes().end());
  }
  return Bytes(text.begin(), text.end());
}

std::uint16_t port_of(ByteView value) {
  return static_cast<std::uint16_t>(value[0] << 8 | value[1]);
}

template <typename Address>
Address address_of(ByteView value) {
  typename Address::bytes_type bytes;
  std::copy_n(value.begin(), bytes.size(), bytes.begin());
  return Address(bytes);
}

std::string text_of(const Multiaddr::Part& part) {
  switch (part.protocol) {
    case AddrProtocol::ip4:
      return address_of<asio::ip::address_v4>(part.value).to_string();
    case AddrProtocol::ip6:
      return address_of<asio::ip::address_v6>(part.value).to_string();
    case AddrProtocol::tcp:
    case AddrProtocol::udp:
      return std::to_string(port_of(part.value));
    case AddrProtocol::p2p:
      return PeerId::from_bytes(part.value)->to_string();
    default:
      return std::string(as_text(part.value));
  }
}

}  // namespace

Multiaddr Multiaddr::of(const asio::ip::tcp::endpoint& endpoint) {
  Multiaddr made;
  const auto add = [&](AddrProtocol protocol, const auto& bytes) {
    made.parts_.push_back({protocol, Bytes(bytes.begin(), bytes.end())});
  };
  const auto address = endpoint.address();
  if (address.is_v4()) {
    add(AddrProtocol::ip4, address.to_v4().to_bytes());
  } else if (address.to_v6().is_v4_mapped()) {
    add(AddrProtocol::ip4,
        asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_bytes());
  } else {
    add(AddrProtocol::ip6, address.to_v6().to_bytes());
  }
  add(AddrProtocol::tcp, std::array{static_cast<std::uint8_t>(endpoint.port() >> 8),
                                    static_cast<std::uint8_t>(endpoint.port())});
  return made;
}

Result<Multiaddr> Multiaddr::parse(std::string_view text) {
  if (text.size() > kMaxSize) return Errc::too_large;
  if (!text.starts_with('/')) return Errc::bad_message;
  Multiaddr made;
  const auto next = [&] {
    text.remove_prefix(1);
    const auto word = text.substr(0, text.find('/'));
    text.remove_prefix(word.size());
    return word;
  };
  while (!text.empty()) {
    const auto* form = form_of(next());
    if (!form) return Errc::unsupported;
    if (form->size != 0 && text.empty()) return Errc::bad_message;
    auto value = form->size == 0 ? Bytes() : value_of(form->protocol, next());
    if (!value || !is_valid(*form, *value)) return Errc::bad_message;
    if (made.parts_.size() == kMaxParts) return Errc::too_large;
    made.parts_.push_back({form->protocol, std::move(*value)});
  }
  return made;
}

Result<Multiaddr> Multiaddr::from_bytes(ByteView bytes) {
  if (bytes.size() > kMaxSize) return Errc::too_large;
  Multiaddr made;
  const auto take_number = [&]() -> std::optional<std::uint64_t> {
    const auto read = read_varint(bytes);
    if (read.status != VarintRead::Status::complete) return std::nullopt;
    bytes = bytes.subspan(read.size);
    return read.value;
  };
  while (!bytes.empty()) {
    const auto code = take_number();
    if (!code) return Errc::bad_message;
    const auto* form = form_of(*code);
    if (!form) return Errc::unsupported;
    std::optional<std::uint64_t> size = static_cast<std::uint64_t>(form->size);
    if (form->size == kVariable) size = take_number();
    if (!size || *size > bytes.size()) return Errc::bad_message;
    const auto value = bytes.first(*size);
    bytes = bytes.subspan(*size);
    if (!is_valid(*form, value)) return Errc::bad_message;
    if (made.parts_.size() == kMaxParts) return Errc::too_large;
    made.parts_.push_back({form->protocol, Bytes(value.begin(), value.end())});
  }
  if (made.parts_.empty()) return Errc::bad_message;
  return made;
}

Bytes Multiaddr::to_bytes() const {
  Bytes bytes;
  for (const auto& part : parts_) {
    append_varint(bytes, static_cast<std::uint64_t>(part.protocol));
    if (form_of(static_cast<std::uint64_t>(part.protocol))->size == kVariable) {
      append_varint(bytes, part.value.size());
    }
    bytes.insert(bytes.end(), part.value.begin(), part.value.end());
  }
  return bytes;
}

std::string Multiaddr::to_string() const {
  std::string text;
  for (const auto& part : parts_) {
    const auto* form = form_of(static_cast<std::uint64_t>(part.protocol));
    text.append("/").append(form->name);
    if (form->size != 0) text.append("/").append(text_of(part));
  }
  return text;
}

bool Multiaddr::is_tcp_address() const {
  return (parts_.size() == 2 || (parts_.size() == 3 && peer())) &&
         parts_[1].protocol == AddrProtocol::tcp;
}

std::optional<asio::ip::tcp::endpoint> Multiaddr::tcp_endpoint() const {
  if (!is_tcp_address()) return std::nullopt;
  const auto port = port_of(parts_[1].value);
  if (parts_[0].protocol == AddrProtocol::ip4) {
    return asio::ip::tcp::endpoint(address_of<asio::ip::address_v4>(parts_[0].value), port);
  }
  if (parts_[0].protocol == AddrProtocol::ip6) {
    return asio::ip::tcp::endpoint(address_of<asio::ip::address_v6>(parts_[0].value), port);
  }
  return std::nullopt;
}

std::optional<std::pair<std::string, std::uint16_t>> Multiaddr::tcp_name() const {
  if (!is_tcp_address()) return std::nullopt;
  const auto protocol = parts_[0].protocol;
  if (protocol != AddrProtocol::dns && protocol != AddrProtocol::dns4 &&
      protocol != AddrProtocol::dns6) {
    return std::nullopt;
  }
  return std::pair(std::string(as_text(parts_[0].value)), port_of(parts_[1].value));
}

std::optional<PeerId> Multiaddr::peer() const {
  if (parts_.empty() || parts_.back().protocol != AddrProtocol::p2p) return std::nullopt;
  return PeerId::from_bytes(parts_.back().value);
}

Multiaddr Multiaddr::without_peer() const {
  auto bare = *this;
  if (peer()) bare.parts_.pop_back();
  return bare;
}

Multiaddr Multiaddr::with_peer(const PeerId& peer) const {
  auto made = without_peer();
  made.parts_.push_back({AddrProtocol::p2p, Bytes(peer.bytes().begin(), peer.bytes().end())});
  return made;
}

}  // namespace hagring::dht
