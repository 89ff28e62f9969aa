// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "registry/herd/herd_id.hpp"
#include "userspace/base/result.hpp"

namespace hagring::herd {

/// SHA-256 of a piece.
using PieceHash = std::array<std::uint8_t, 32>;

PieceHash hash_piece(ByteView piece);

/// The most hashes that one signature covers.
inline constexpr std::size_t kMaxBatch = 16;
/// No encoded batch is longer: 16 hashes of 34 bytes, a signature, a peer ID and three numbers.
inline constexpr std::size_t kMaxBatchBytes = 1024;

/// The head's word on some pieces of one stripe, passed on from parent to child before them.
struct Batch {
  std::uint64_t epoch = 0;
  NodeId head = {};  ///< who fetched them and signs
  Stripe stripe = 0;
  std::uint64_t first = 0;             ///< the first piece's index in the stripe
  std::vector<PieceHash> hashes = {};  ///< 1 to kMaxBatch
  Bytes signature = {};                ///< of signed_bytes, Ed25519; a node's ID has its key

  bool operator==(const Batch&) const = default;
};

/// What the head signs: a context of its own, the blob, and all fields but the signature.
Bytes signed_bytes(const HerdId& herd, const Batch& batch);

/// In protobuf's wire format.
Bytes encode(const Batch& batch);
/// Errors: Errc::bad_message, Errc::too_large. Doesn't check the signature.
Result<Batch> decode_batch(ByteView bytes);

/// The node's identity key and other nodes' public keys, held by the executor.
class Notary {
 public:
  virtual ~Notary() = default;
  /// Signs with this node's identity key.
  virtual Bytes sign(ByteView bytes) = 0;
  /// Whether `signature` is `node`'s of `bytes`. False, too, if its key isn't known.
  virtual bool verify(const NodeId& node, ByteView bytes, ByteView signature) = 0;
};

/// What the checks of a piece or batch say.
enum class Verdict : std::uint8_t {
  good,
  unknown_head,    ///< only those have signed it whom no order has named as heads (yet)
  unsigned_piece,  ///< no batch covers it: its sender breaks the protocol
  wrong,           ///< it doesn't match what the head signed: its sender made or damaged it
  bad_signature,   ///< the batch isn't signed by who it names: its sender made it up
  over_limit,      ///< more heads or batches ahead of the pieces than a blob can have
};

/// The hashes that heads have signed for one blob, and who signed each piece that was taken. For
/// one node's part in one herd. A relay takes batches in, checks each piece before it stores it or
/// passes it on, and hands the batches on to its children.
class Ledger {
 public:
  Ledger(HerdId herd, NodeId self, Notary& notary);

  /// Takes a batch that a parent sent. Costs one verification of a signature; batches known already
  /// cost none. Anything but good is the sender's doing: Member::parent_lost with LostWhy::lied.
  Verdict take(const Batch& batch);

  /// Checks a piece before it is stored and passed on. Anything but good: as above. A piece that
  /// heads signed differently is good if it matches one of them; who is remembered.
  Verdict check(Stripe stripe, std::uint64_t index, const PieceHash& hash);

  /// For a node that fetches: remembers the hash of a piece that came from the origin. Returns a
  /// signed batch, to be passed on before its pieces, when `flush` or kMaxBatch are gathered.
  /// Pieces of a stripe come in order; a gap begins a new batch.
  std::vector<Batch> fetched(std::uint64_t epoch, Stripe stripe, std::uint64_t index,
                             const PieceHash& hash, bool flush);

  /// Signs what is gathered: when no more pieces may come for a while.
  std::vector<Batch> flush();

  /// The batch that covers a piece, to be passed on before it; nullptr if there is none (yet).
  const Batch* covering(Stripe stripe, std::uint64_t index) const;

  /// Who signed pieces that were taken, this node aside. When the blob's digest is wrong although
  /// every piece was good, one of them lied, or has had it so from the origin: testimony() tells
  /// who once the right bytes are at hand.
  std::vector<NodeId> signers() const;
  /// How many there are, this node among them: they get only more.
  std::size_t signer_count() const { return signers_.size(); }

  /// An order of the coordinator named this node as a head (Member::heads after each message): what
  /// it signed is taken. Threat: a parent that signs what it made up.
  void named(const NodeId& head);

  /// The words of others on which pieces were taken, each once: with the right bytes at hand they
  /// show who lied (is_true).
  std::vector<std::shared_ptr<const Batch>> testimony() const;

 private:
  using Shared = std::shared_ptr<const Batch>;           ///< by entries_ and chosen_
  using Entries = std::multimap<std::uint64_t, Shared>;  ///< by the batch's first index

  bool known(const Batch& batch) const;
  Batch seal(Stripe stripe);
  bool is_named(const NodeId& head) const;
  std::vector<Shared> all_covering(Stripe stripe, std::uint64_t index) const;
  void choose(Stripe stripe, std::uint64_t index, Shared batch);

  HerdId herd_;
  NodeId self_;
  Notary& notary_;
  std::array<Entries, kStripes> entries_;
  std::array<Batch, kStripes> open_;                              ///< own, not signed yet
  std::array<std::map<std::uint64_t, Shared>, kStripes> chosen_;  ///< on whose word, by index
  std::set<NodeId> signers_;                                      ///< of chosen_
  std::vector<NodeId> named_;                                     ///< the latest kMostNamed
  std::map<NodeId, std::size_t> unknown_;                         ///< batches of heads not named
  PerStripe taken_{};                                             ///< pieces up to here were taken
};

}  // namespace hagring::herd
