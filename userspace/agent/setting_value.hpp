// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace hagring::agent {

/// Readers of setting values. Each throws StartError with what was wrong and what is expected; the
/// caller adds which setting it was and where it stood.

/// `500ms`, `2s`, `5m`, `1h`; a bare number is refused, for nobody knows its unit.
std::chrono::milliseconds read_duration(std::string_view text);

/// The same, within bounds.
std::chrono::milliseconds read_duration(std::string_view text, std::chrono::milliseconds least,
                                        std::chrono::milliseconds most);

/// `4096`, `64KiB`, `4MiB`, `1GiB` (powers of two) or `64KB`, `4MB`, `1GB` (powers of ten).
std::uint64_t read_size(std::string_view text);

/// `12MiB/s`, any size a second, or `100Mbit/s` (Kbit, Mbit, Gbit), in bytes a second, `least` at
/// the least; 0 for `unlimited`.
std::uint64_t read_rate(std::string_view text, std::uint64_t least);

/// The value of a Kubernetes label, such as `eu-west-1a`; empty: none.
std::string read_zone(std::string_view text);

/// A whole number from `least` to `most`.
std::uint64_t read_count(std::string_view text, std::uint64_t least, std::uint64_t most);

/// `true` or `false`.
bool read_switch(std::string_view text);

/// An absolute path without `..`.
std::string read_path(std::string_view text);

/// A name of containerd's (core/identifiers, Validate): letters and digits, joined by `.`, `_`,
/// `-`.
std::string read_identifier(std::string_view text);

/// `192.0.2.7:5000` or `[2001:db8::7]:5000`.
boost::asio::ip::tcp::endpoint read_endpoint(std::string_view text);

/// `192.0.2.7` or `2001:db8::7`, of one machine.
boost::asio::ip::address read_address(std::string_view text);

/// What the readers read, written back.
std::string write_duration(std::chrono::milliseconds value);
std::string write_size(std::uint64_t bytes);
std::string write_rate(std::uint64_t bytes_a_second);
std::string write_endpoint(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace hagring::agent
