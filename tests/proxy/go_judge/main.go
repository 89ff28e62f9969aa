// SPDX-License-Identifier: Apache-2.0

// Judge shakes hands with a TLS server as containerd would, with one file as its only roots, or
// with the system's: judge ADDRESS CA-FILE|system SERVER-NAME 1.2|1.3. It prints "ok" or the error.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func judge(address, caFile, serverName, version string) error {
	var roots *x509.CertPool
	if caFile != "system" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("no certificate in %s", caFile)
		}
	}
	config := &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS13}
	if version == "1.2" {
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	greeting, err := io.ReadAll(connection)
	if err == nil && string(greeting) != "hello" {
		err = fmt.Errorf("read %q", greeting)
	}
	return err
}

func main() {
	if err := judge(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ok")
}
