// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// Spegel's bootstrap, where only an address is known: dials as if for a random peer, learns from the
// refusal who is there, and dials again.
func (p *Peer) learnID(request addressed) (any, error) {
	address, err := ma.NewMultiaddr(request.Address)
	if err != nil {
		return nil, err
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	random, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	info := peer.AddrInfo{ID: random, Addrs: []ma.Multiaddr{address}}
	ctx, cancel := context.WithTimeout(p.ctx, commandLimit)
	defer cancel()
	refusal := p.host.Connect(ctx, info)
	p.host.Peerstore().ClearAddrs(random)
	p.host.Peerstore().RemovePeer(random)
	var mismatch sec.ErrPeerIDMismatch
	if !errors.As(refusal, &mismatch) {
		return nil, fmt.Errorf("no peer ID could be learnt: %w", refusal)
	}
	info.ID = mismatch.Actual
	return p.connectTo(info)
}

// One request of the DHT, sent as it is. "add_provider" has no reply.
func (p *Peer) ask(request struct {
	PeerID string `json:"peer_id"`
	Type   string `json:"type"`
	Key    string `json:"key"`
}) (any, error) {
	id, err := peer.Decode(request.PeerID)
	if err != nil {
		return nil, err
	}
	key, err := keyCID(request.Key)
	if err != nil {
		return nil, err
	}
	kind, known := pb.Message_MessageType_value[request.Type]
	if !known {
		return nil, fmt.Errorf("no type of message is called %q", request.Type)
	}
	message := pb.NewMessage(pb.Message_MessageType(kind), key.Hash(), 0)
	ctx, cancel := context.WithTimeout(p.ctx, commandLimit)
	defer cancel()
	if message.GetType() == pb.Message_ADD_PROVIDER {
		self := peer.AddrInfo{ID: p.host.ID(), Addrs: p.host.Addrs()}
		message.ProviderPeers = pb.RawPeerInfosToPBPeers([]peer.AddrInfo{self})
		return nil, p.dht.MessageSender().SendMessage(ctx, id, message)
	}
	reply, err := p.dht.MessageSender().SendRequest(ctx, id, message)
	if err != nil {
		return nil, err
	}
	return fields{"closer": namedIn(reply.CloserPeers), "providers": namedIn(reply.ProviderPeers)}, nil
}

func namedIn(peers []*pb.Message_Peer) []fields {
	all := []fields{}
	for _, info := range pb.PBPeersToPeerInfos(peers) {
		all = append(all, described(*info))
	}
	return all
}

// Connects without libp2p, sends bytes and tells all that comes back until the other side ends or
// the time is over.
func raw(request struct {
	Host    string  `json:"host"` // host:port
	Hex     string  `json:"hex"`
	WithinS float64 `json:"within_s"`
}) (any, error) {
	bytes, err := hex.DecodeString(request.Hex)
	if err != nil {
		return nil, err
	}
	limit := time.Duration(request.WithinS * float64(time.Second))
	connection, err := net.DialTimeout("tcp", request.Host, limit)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(limit))
	if _, err := connection.Write(bytes); err != nil {
		return nil, err
	}
	var received []byte
	part := make([]byte, 4096)
	for len(received) < maxLine/4 {
		size, err := connection.Read(part)
		received = append(received, part[:size]...)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return fields{"hex": hex.EncodeToString(received), "ended": false}, nil
		}
		if err != nil { // EOF, or a reset
			return fields{"hex": hex.EncodeToString(received), "ended": true}, nil
		}
	}
	return nil, errors.New("there was no end to what came back")
}

// A refused dial keeps go-libp2p from dialling again for seconds; tests do so at once.
func forgetBackoff(of network.Network, id peer.ID) {
	if dialler, ok := of.(*swarm.Swarm); ok {
		dialler.Backoff().Clear(id)
	}
}
