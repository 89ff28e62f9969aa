// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/provider"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mh "github.com/multiformats/go-multihash"
)

// What Spegel configures (its pkg/routing/libp2p).
const (
	protocolPrefix    = "/spegel"
	kadProtocol       = protocolPrefix + "/kad/1.0.0"
	advertiseInterval = 15 * time.Minute
	maxReprovideDelay = 2 * time.Minute
	addressValidity   = time.Hour
	onlineCheck       = 30 * time.Second
)

// Options of a Peer.
type Options struct {
	Listen   []string
	KeyKind  string
	PSKFile  string
	Security string
	Sweep    bool
}

// Peer is a libp2p host with a DHT in server mode.
type Peer struct {
	ctx      context.Context
	host     host.Host
	dht      *dht.IpfsDHT
	sweeping *provider.SweepingProvider // nil: each key is provided by a lookup of its own
}

// NewPeer listens, and joins nothing yet.
func NewPeer(ctx context.Context, options Options) (*Peer, error) {
	hostOptions, err := hostOptions(options)
	if err != nil {
		return nil, err
	}
	p := &Peer{ctx: ctx}
	if p.host, err = libp2p.New(hostOptions...); err != nil {
		return nil, err
	}
	p.dht, err = dht.New(p.host, dht.Mode(dht.ModeServer), dht.ProtocolPrefix(protocolPrefix),
		dht.ProviderManagerOpts(records.ProvideValidity(advertiseInterval+2*maxReprovideDelay),
			records.ProviderAddrTTL(addressValidity)))
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if options.Sweep {
		if err = p.startSweeping(); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

func (p *Peer) startSweeping() (err error) {
	p.sweeping, err = provider.New(provider.WithHost(p.host), provider.WithRouter(p.dht),
		provider.WithMessageSender(p.dht.MessageSender()), provider.WithSelfAddrs(p.host.Addrs),
		provider.WithReprovideInterval(advertiseInterval),
		provider.WithMaxReprovideDelay(maxReprovideDelay), provider.WithOfflineDelay(0),
		provider.WithConnectivityCheckOnlineInterval(onlineCheck),
		provider.WithAddLocalRecord(func(ctx context.Context, key mh.Multihash) error {
			return p.dht.ProviderStore().AddProvider(ctx, key, peer.AddrInfo{ID: p.host.ID()})
		}))
	return err
}

// Close ends everything.
func (p *Peer) Close() error {
	var all []error
	if p.sweeping != nil {
		all = append(all, p.sweeping.Close())
	}
	if p.dht != nil {
		all = append(all, p.dht.Close())
	}
	return errors.Join(append(all, p.host.Close())...)
}

func hostOptions(options Options) ([]libp2p.Option, error) {
	key, err := newKey(options.KeyKind)
	if err != nil {
		return nil, err
	}
	all := []libp2p.Option{
		libp2p.Identity(key), libp2p.ListenAddrStrings(options.Listen...),
		libp2p.NoTransports, libp2p.Transport(tcp.NewTCPTransport), libp2p.DisableRelay(),
		libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.AddrsFactory(withoutLoopback),
	}
	switch options.Security {
	case "default":
	case "tls":
		all = append(all, libp2p.Security(libp2ptls.ID, libp2ptls.New))
	case "noise":
		all = append(all, libp2p.Security(noise.ID, noise.New))
	default:
		return nil, fmt.Errorf("no security protocol is called %q", options.Security)
	}
	if options.PSKFile != "" {
		file, err := os.Open(options.PSKFile)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		psk, err := pnet.DecodeV1PSK(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", options.PSKFile, err)
		}
		all = append(all, libp2p.PrivateNetwork(psk))
	}
	return all, nil
}

// As Spegel does: a node that only has loopback addresses has none.
func withoutLoopback(addresses []ma.Multiaddr) []ma.Multiaddr {
	var kept []ma.Multiaddr
	for _, address := range addresses {
		if !manet.IsIPLoopback(address) {
			kept = append(kept, address)
		}
	}
	return kept
}

func newKey(kind string) (key crypto.PrivKey, err error) {
	switch kind {
	case "ed25519":
		key, _, err = crypto.GenerateEd25519Key(rand.Reader)
	case "ecdsa":
		key, _, err = crypto.GenerateECDSAKeyPairWithCurve(elliptic.P256(), rand.Reader)
	case "rsa":
		key, _, err = crypto.GenerateRSAKeyPair(2048, rand.Reader)
	case "secp256k1":
		key, _, err = crypto.GenerateSecp256k1Key(rand.Reader)
	default:
		err = fmt.Errorf("no kind of key is called %q", kind)
	}
	return key, err
}
