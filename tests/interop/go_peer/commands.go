// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	mh "github.com/multiformats/go-multihash"
)

const commandLimit = 30 * time.Second

type fields = map[string]any

// Commands are those that every peer of these tests knows (see ../README.md), and strangers' tricks.
func (p *Peer) Commands() map[string]Command {
	return map[string]Command{
		"about":          func(json.RawMessage) (any, error) { return p.about() },
		"connect":        With(p.connect),
		"disconnect":     With(p.disconnect),
		"provide":        With(p.provide),
		"find_providers": With(p.findProviders),
		"table": func(json.RawMessage) (any, error) {
			return fields{"peers": texts(p.dht.RoutingTable().ListPeers())}, nil
		},
		"connections": func(json.RawMessage) (any, error) { return p.connections() },
		"ping":        With(p.ping),
		"peer":        With(p.known),
		"records":     With(p.records),
		"learn_id":    With(p.learnID),
		"ask":         With(p.ask),
		"raw":         With(raw),
	}
}

func (p *Peer) about() (any, error) {
	return fields{"peer_id": p.host.ID().String(), "addresses": texts(p.host.Addrs())}, nil
}

type addressed struct {
	Address string `json:"address"`
}

type ofPeer struct {
	PeerID string `json:"peer_id"`
}

func (p *Peer) connect(request addressed) (any, error) {
	info, err := peer.AddrInfoFromString(request.Address)
	if err != nil {
		return nil, err
	}
	return p.connectTo(*info)
}

func (p *Peer) connectTo(info peer.AddrInfo) (any, error) {
	ctx, cancel := context.WithTimeout(p.ctx, commandLimit)
	defer cancel()
	forgetBackoff(p.host.Network(), info.ID)
	if err := p.host.Connect(ctx, info); err != nil {
		return nil, err
	}
	return fields{"peer_id": info.ID.String()}, nil
}

func (p *Peer) disconnect(request ofPeer) (any, error) {
	id, err := peer.Decode(request.PeerID)
	if err != nil {
		return nil, err
	}
	return nil, p.host.Network().ClosePeer(id)
}

func (p *Peer) provide(request struct {
	Keys []string `json:"keys"`
}) (any, error) {
	ctx, cancel := context.WithTimeout(p.ctx, 2*commandLimit)
	defer cancel()
	var hashes []mh.Multihash
	for _, key := range request.Keys {
		id, err := keyCID(key)
		if err != nil {
			return nil, err
		}
		if p.sweeping == nil {
			if err := p.dht.Provide(ctx, id, true); err != nil {
				return nil, err
			}
			continue
		}
		err = p.dht.ProviderStore().AddProvider(ctx, id.Hash(), peer.AddrInfo{ID: p.host.ID()})
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, id.Hash())
	}
	if p.sweeping != nil {
		return nil, p.sweeping.StartProviding(false, hashes...)
	}
	return nil, nil
}

func (p *Peer) findProviders(request struct {
	Key     string  `json:"key"`
	Limit   int     `json:"limit"`
	WithinS float64 `json:"within_s"`
}) (any, error) {
	id, err := keyCID(request.Key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, time.Duration(request.WithinS*float64(time.Second)))
	defer cancel()
	found := []fields{}
	started := time.Now()
	var first time.Duration
	for info := range p.dht.FindProvidersAsync(ctx, id, request.Limit) {
		if len(found) == 0 {
			first = time.Since(started)
		}
		found = append(found, described(info))
	}
	return fields{"providers": found, "first_ms": milliseconds(first)}, nil
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration) / float64(time.Millisecond)
}

func (p *Peer) connections() (any, error) {
	all := []fields{}
	for _, id := range p.host.Network().Peers() {
		connections := p.host.Network().ConnsToPeer(id)
		streams := 0
		for _, connection := range connections {
			streams += len(connection.GetStreams())
		}
		all = append(all, fields{"peer_id": id.String(), "connections": len(connections), "streams": streams})
	}
	return fields{"peers": all}, nil
}

func (p *Peer) ping(request ofPeer) (any, error) {
	id, err := peer.Decode(request.PeerID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, commandLimit)
	defer cancel()
	result, more := <-ping.Ping(ctx, p.host, id)
	if !more {
		return nil, errors.New("no answer to the ping")
	}
	if result.Error != nil {
		return nil, result.Error
	}
	return fields{"milliseconds": milliseconds(result.RTT)}, nil
}

// What a peer's identify message has told.
func (p *Peer) known(request ofPeer) (any, error) {
	id, err := peer.Decode(request.PeerID)
	if err != nil {
		return nil, err
	}
	protocols, err := p.host.Peerstore().GetProtocols(id)
	if err != nil {
		return nil, err
	}
	agent, err := p.host.Peerstore().Get(id, "AgentVersion")
	if err != nil {
		return nil, fmt.Errorf("the peer hasn't identified itself: %w", err)
	}
	connected := p.host.Network().Connectedness(id) == network.Connected
	return fields{"protocols": protocols, "addresses": texts(p.host.Peerstore().Addrs(id)),
		"agent": agent, "connected": connected}, nil
}

// Those whose record for a key is held here.
func (p *Peer) records(request struct {
	Key string `json:"key"`
}) (any, error) {
	id, err := keyCID(request.Key)
	if err != nil {
		return nil, err
	}
	held, err := p.dht.ProviderStore().GetProviders(p.ctx, id.Hash())
	if err != nil {
		return nil, err
	}
	all := []fields{}
	for _, info := range held {
		all = append(all, described(info))
	}
	return fields{"providers": all}, nil
}

// As Spegel makes its keys.
func keyCID(key string) (cid.Cid, error) {
	return cid.Prefix{Version: 1, Codec: cid.Raw, MhType: mh.SHA2_256, MhLength: -1}.Sum([]byte(key))
}

func described(info peer.AddrInfo) fields {
	return fields{"peer_id": info.ID.String(), "addresses": texts(info.Addrs)}
}

func texts[T interface{ String() string }](all []T) []string {
	text := make([]string, 0, len(all))
	for _, one := range all {
		text = append(text, one.String())
	}
	return text
}
