// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "registry/content_answer.hpp"
#include "registry/herd/party.hpp"
#include "registry/inquiry.hpp"

namespace hagring::herd {

/// One client's place in a party while its request is answered; it leaves when this goes. Used on
/// the client's thread.
class Seat {
 public:
  Seat(Herds& herds, std::shared_ptr<Party> party, asio::any_io_executor executor, Again again,
       bool first);
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  ~Seat();

  /// What to do; again after holder_failed().
  awaitable<Advice> advice();
  /// After Advice::fetch: the origin's answer, the whole content of that size. Null: it isn't
  /// wanted any more or can't be shared, and `exchange` is the client's own.
  std::shared_ptr<registry::SharedSource> feed(std::optional<registry::Exchange>& exchange,
                                               std::uint64_t size);
  /// After Advice::fetch: the origin has no content for this client, or can't be reached.
  void refused(bool denied);
  /// The same: it limits requests, for so long.
  void refused_for(Duration lasts);
  /// The same: it gives the content in a form that can't be shared.
  void not_shareable();
  /// After Advice::stream.
  std::shared_ptr<registry::SharedSource> source();
  std::uint64_t size() const;
  /// After Advice::limited.
  Duration limited() const { return party_->limited(); }
  /// After Advice::holder.
  std::optional<registry::Peer> holder() const { return party_->holder(); }
  void holder_failed();

  /// Content from a holder, for those to whom this node will be one.
  void keep(const Digest& digest, std::string_view content);

  /// The client has got all of it, and the digest is right; or it is wrong, wherever parts of it
  /// came from.
  void finished();
  void corrupt();

 private:
  std::shared_ptr<registry::SharedSource> source_of(std::shared_ptr<Spool> spool);
  bool had_all_of_spool() const;

  Herds& herds_;
  const std::shared_ptr<Party> party_;
  const bool at_home_;
  const Again again_;
  bool asking_ = false;  ///< the origin, for the herd
  bool kept_ = false;
  const std::shared_ptr<std::uint64_t> given_ = std::make_shared<std::uint64_t>(0);
};

/// Whether it is a read that a herd can answer.
bool may_take_seat(const registry::Inquiry& inquiry);

/// Whether a part of `digest` is here already, for other clients or ahead of this one: a read that
/// may take a seat gets that from no peer once more.
bool has_part(const registry::Inquiry& inquiry, const Digest& digest);

/// A seat for a read of the whole of `digest`; null: there is no herd for it.
awaitable<std::unique_ptr<Seat>> take_seat(registry::Inquiry& inquiry, Digest digest);

/// Answers from the herd. Found::no: the client asks the origin by itself, or, if the seat is to
/// feed() the herd, for all. Nothing has been sent to the client then.
awaitable<Result<registry::Found>> answer_from_herd(registry::Inquiry& inquiry,
                                                    const Digest& digest, Seat& seat);

}  // namespace hagring::herd
