// SPDX-License-Identifier: Apache-2.0

// Go_peer is a node of a Spegel mesh as go-libp2p makes one, without Spegel: what it does is told by
// lines of JSON on standard input, and answered on standard output (see ../README.md).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	var options Options
	listen := flag.String("listen", "/ip4/0.0.0.0/tcp/5001", "multiaddrs to listen on, with commas between")
	flag.StringVar(&options.KeyKind, "identity", "ed25519", "kind of host key: ed25519, ecdsa, rsa, secp256k1")
	flag.StringVar(&options.PSKFile, "psk-file", "", "swarm.key file of the private network")
	flag.StringVar(&options.Security, "security", "default", "default (as Spegel: TLS, then Noise), tls or noise")
	flag.BoolVar(&options.Sweep, "sweep", false, "provide with SweepingProvider, as Spegel does")
	flag.Parse()
	options.Listen = strings.Split(*listen, ",")

	peer, err := NewPeer(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "go_peer: can't start:", err)
		os.Exit(1)
	}
	defer peer.Close()
	Serve(os.Stdin, os.Stdout, peer.Commands())
}
