// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/inquiry.hpp"
#include "registry/range.hpp"

namespace hagring::registry {

/// The head of an answer with content, and the part of the content that the client asked for.
struct ContentAnswer {
  http::Response response;
  Selection part;
  bool unchanged = false;  ///< the client has it already: 304, without a body
};

/// What the inquiry's Range field selects of content of that size, with the fields that clients of
/// registries read. containerd takes its descriptor from Content-Type, Docker-Content-Digest and
/// Content-Length of a HEAD (core/remotes/docker/resolver.go), and the offset of a part from
/// Content-Range (1.6 to 2.0: without it they drop bytes that they need). Conditions count as at
/// docker-registry, whose entity tags are the digests.
ContentAnswer content_answer(const Inquiry& inquiry, const Digest& digest, std::string media_type,
                             std::uint64_t size);

/// Sends an answer without a body, for content that is `unchanged`.
awaitable<Result<void>> say_unchanged(Inquiry& inquiry, ContentAnswer answer);

/// The whole of a blob. Errors: Errc::bad_message for a file that has shrunk, or the system's.
Result<std::string> read_file(const OpenBlob& blob);

/// Whether `content` is what `digest` says.
bool is_content(const Digest& digest, std::string_view content);

/// Takes what a verified manifest says, and lets the agent act on it, before the client has the
/// whole of it.
awaitable<void> note_manifest(Inquiry& inquiry, const Digest& digest, std::string_view manifest);

/// Answers with content that is in memory and verified.
awaitable<Result<void>> answer_with(Inquiry& inquiry, const Digest& digest, std::string content);

/// Answers with a blob of the local store.
awaitable<Result<void>> answer_with(Inquiry& inquiry, const Digest& digest, OpenBlob blob);

/// Whether some source had the content and the client has its answer. With `no` nothing has been
/// sent to the client.
enum class Found { no, yes };

/// Answers from peers.
awaitable<Result<Found>> answer_from_peers(Inquiry& inquiry, const Digest& digest);

/// Answers with content of which `stream` gives the whole: small content and manifests are verified
/// first, of larger content the tail is held back. Found::no: nothing has been sent. Errors:
/// Errc::bad_message for wrong content, of which nothing or not all has been sent.
awaitable<Result<Found>> answer_from_stream(Inquiry& inquiry, const Digest& digest,
                                            ContentStream& stream);

/// Gets content of at most `limit` bytes from peers and verifies it; who sends something else is
/// banned, and another peer is asked. Errors: Errc::not_found, Errc::too_large.
awaitable<Result<std::string>> verified_from_peers(Inquiry& inquiry, const Digest& digest,
                                                   std::size_t limit);

/// The request for peers that is behind an inquiry.
ContentRequest content_request(const Inquiry& inquiry, const Digest& digest);

}  // namespace hagring::registry
