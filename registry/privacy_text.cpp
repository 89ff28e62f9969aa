// SPDX-License-Identifier: Apache-2.0
// What Privacy knows as text: a line a repository (`R public 1767225600 docker.io/library/nginx`,
// the time in seconds since 1970 until which it is believed) and a line a mark (`D sha256:…
// docker.io/acme/app`), the oldest first, and the SHA-256 of all of them at the end.
#include <fmt/format.h>

#include <charconv>

#include "registry/privacy.hpp"
#include "registry/reference.hpp"
#include "userspace/base/bytes.hpp"

namespace hagring::registry {
namespace {

constexpr std::string_view kHead = "hagring-private 1\n";
constexpr std::string_view kEnd = "end ";

using Seconds = std::chrono::seconds;

std::string_view take_word(std::string_view& line) {
  const auto space = line.find(' ');
  const auto word = line.substr(0, space);
  line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  return word;
}

std::optional<WallTime> time_of(std::string_view word) {
  std::int64_t seconds = 0;
  const auto* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, seconds);
  constexpr std::int64_t kLatest = 253'402'300'799;  // the end of year 9999: no overflow
  if (error != std::errc() || stop != end || seconds < 0 || seconds > kLatest) return std::nullopt;
  return WallTime(Seconds(seconds));
}

bool is_name(std::string_view name) {
  const auto reference = Reference::parse(name);
  return reference && !reference->tag && !reference->digest;
}

}  // namespace

std::optional<std::string> Privacy::take_changed() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(changed_, false)) return std::nullopt;
  return text();
}

/// Under the lock.
std::string Privacy::text() const {
  std::string all(kHead);
  for (const auto& [repository, known] : repositories_) {
    if (known.audience == Audience::unknown) continue;
    const auto until = std::chrono::floor<Seconds>(known.until.time_since_epoch()).count();
    fmt::format_to(std::back_inserter(all), "R {} {} {}\n", to_string(known.audience), until,
                   repository);
  }
  for (const auto& [digest, mark] : marks_) {
    fmt::format_to(std::back_inserter(all), "D {}{}{}\n", digest.to_string(),
                   mark.repositories.empty() ? "" : " ", fmt::join(mark.repositories, " "));
  }
  return all + std::string(kEnd) + to_hex(sha256(as_bytes(all))) + "\n";
}

Result<void> Privacy::restore(std::string_view text) {
  const auto end = text.rfind(kEnd);
  if (!text.starts_with(kHead) || end == std::string_view::npos || !text.ends_with('\n')) {
    return Errc::bad_message;
  }
  const auto body = text.substr(0, end);
  const auto sum = text.substr(end + kEnd.size(), text.size() - end - kEnd.size() - 1);
  if (sum != to_hex(sha256(as_bytes(body)))) return Errc::bad_message;
  const std::lock_guard lock(mutex_);
  const auto done = read(body.substr(kHead.size()));
  if (!done) {
    repositories_.erase_if([](const auto&) { return true; });
    marks_.erase_if([](const auto&) { return true; });
  }
  return done;
}

Result<void> Privacy::read(std::string_view text) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return Errc::bad_message;
    CHECK_OK(read_line(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  return {};
}

Result<void> Privacy::read_line(std::string_view line) {
  const auto kind = take_word(line);
  if (kind == "R") {
    const auto word = take_word(line);
    const auto audience = word == "public" ? Audience::everybody : Audience::some;
    const auto until = time_of(take_word(line));
    if (word != to_string(audience) || !until || !is_name(line)) return Errc::bad_message;
    repositories_.touch(std::string(line)) = {.audience = audience, .until = *until};
    return {};
  }
  const auto digest = Digest::parse(take_word(line));
  if (kind != "D" || !digest) return Errc::bad_message;
  auto& mark = marks_.touch(*digest);
  while (!line.empty()) {
    const auto name = take_word(line);
    if (!is_name(name)) return Errc::bad_message;
    add_to(mark.repositories, std::string(name));
  }
  return {};
}

}  // namespace hagring::registry
