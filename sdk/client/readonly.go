package client

import (
	"context"
	"io"
	"net"
	"time"
)

// seekReadWrite looks for a server with a quorum while we are at one without, and drops the connection when there is one (spec client-semantics, 2.9).
func (c *Client) seekReadWrite(ctx context.Context, nc net.Conn) {
	wait := 100 * time.Millisecond
	servers := append([]server(nil), c.servers...)
	for {
		for _, srv := range servers {
			if c.asksReadWrite(ctx, srv) {
				nc.Close()
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Minute)
	}
}

func (c *Client) asksReadWrite(ctx context.Context, srv server) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	addresses, err := c.opts.Resolve(ctx, srv.host)
	if err != nil {
		return false
	}
	for _, a := range addresses {
		nc, err := c.dial(srv, net.JoinHostPort(a, srv.port), time.Second)
		if err != nil {
			continue
		}
		_ = nc.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(nc, "isro")
		answer, _ := io.ReadAll(io.LimitReader(nc, 16))
		nc.Close()
		if string(answer) == "rw" {
			return true
		}
	}
	return false
}
