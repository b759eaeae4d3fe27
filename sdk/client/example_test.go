package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// In these examples connect is a connect string such as "zoo1:2181,zoo2:2181,zoo3:2181".
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, connect+"/my-app", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	if _, err := c.Create(ctx, "/config/limit", []byte("10"), client.CreateOptions{Parents: true}); err != nil && !errors.Is(err, wire.ErrNodeExists) {
		log.Fatal(err)
	}
	data, stat, err := c.Get(ctx, "/config/limit")
	if err != nil {
		log.Fatal(err)
	}
	// Replace it only if nobody else has done so meanwhile.
	stat, err = c.Set(ctx, "/config/limit", append(data, '0'), stat.Version)
	if errors.Is(err, wire.ErrBadVersion) {
		fmt.Println("somebody was faster")
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("was %s, is now version %d\n", data, stat.Version)
	// Output: was 10, is now version 1
}

// A view of a node that stays right whatever happens to the connection.
func ExampleClient_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, connect, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	w, err := c.Watch(ctx, "/colour", wire.AddWatchPersistent)
	if err != nil {
		log.Fatal(err)
	}
	for changes := []string{"green", "blue"}; ; changes = changes[1:] {
		data, _, err := c.Get(ctx, "/colour")
		switch {
		case errors.Is(err, wire.ErrNoNode):
			fmt.Println("no colour yet")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Printf("the colour is %s\n", data)
		}
		if len(changes) == 0 {
			return
		}
		paint(ctx, changes[0]) // somebody else, elsewhere
		// Any event, and a gap as well, means the same here: read again.
		if _, err := w.Next(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// no colour yet
	// the colour is green
	// the colour is blue
}

func paint(ctx context.Context, colour string) {
	c, err := client.Dial(ctx, connect, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err = c.Set(ctx, "/colour", []byte(colour), client.AnyVersion); errors.Is(err, wire.ErrNoNode) {
		_, err = c.Create(ctx, "/colour", []byte(colour), client.CreateOptions{})
	}
	if err != nil {
		log.Fatal(err)
	}
}

// What to do in each state, for a program that holds a lock or leads.
func ExampleClient_States() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.New(connect, client.Options{})
	if err != nil {
		log.Fatal(err)
	}

	states := c.States()
	for {
		s, err := states.Next(ctx)
		if err != nil {
			return
		}
		switch s.State {
		case client.Connected:
			fmt.Println("connected: go on")
			c.Close(ctx) // so that this example ends
		case client.Suspended:
			fmt.Println("stop acting as the leader until connected again:", s.Err)
		case client.Lost:
			fmt.Println("the session's ephemeral nodes are gone: start over")
		case client.Closed, client.AuthFailed:
			fmt.Println("the end:", s.State)
			return
		}
	}
	// Output:
	// connected: go on
	// the end: closed
}

func ExampleClient_Multi() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, connect, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	job := []wire.Op{
		client.CheckOp("/leader", 0), // only while nobody else has taken over
		client.CreateOp("/jobs/1", []byte("payload"), wire.Persistent, nil),
		client.SetOp("/jobs", nil, client.AnyVersion),
	}
	_, err = c.Multi(ctx, job...)
	var failed *client.MultiError
	if errors.As(err, &failed) {
		fmt.Printf("nothing was changed, because of operation %d on %s: %v\n", failed.Index, failed.Op.Path, failed.Code)
	} else if err != nil {
		log.Fatal(err)
	}

	results, err := c.Multi(ctx, client.CreateOp("/leader", nil, wire.Ephemeral, nil), client.CreateOp("/jobs", nil, wire.Persistent, nil))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("made", results[0].Path, "and", results[1].Path)
	if _, err = c.Multi(ctx, job...); err == nil {
		fmt.Println("the job is queued")
	}
	// Output:
	// nothing was changed, because of operation 0 on /leader: no such node (NONODE)
	// made /leader and /jobs
	// the job is queued
}

// A thousand writes on their way at the same time, without a goroutine for each.
func ExampleClient_Go() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, connect, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Create(ctx, "/counter", nil, client.CreateOptions{}); err != nil {
		log.Fatal(err)
	}

	var wg sync.WaitGroup
	var last int32 // written by the goroutine that reads replies alone
	for range 1000 {
		wg.Add(1)
		c.Go(&wire.Request{Op: client.SetOp("/counter", []byte("v"), client.AnyVersion)}, func(r client.Reply) {
			defer wg.Done()
			if r.Err != nil {
				log.Print(r.Err)
				return
			}
			last = r.Response.Stat.Version
		})
	}
	wg.Wait()
	fmt.Println("version", last)
	// Output: version 1000
}

// A node that is made once, even if the connection is lost between the request and its reply.
func ExampleClient_Create_protected() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, connect, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	path, err := c.Create(ctx, "/election/candidate-", nil, client.CreateOptions{Mode: wire.EphemeralSequential, Parents: true, Protected: true})
	if err != nil {
		log.Fatal(err)
	}
	// Like /election/_c_1b4e28ba-2fa1-4d21-883f-16a4b1a7d3f1-candidate-0000000000.
	fmt.Println(path[:len("/election/_c_")], path[len(path)-len("-candidate-0000000000"):])
	// Output: /election/_c_ -candidate-0000000000
}
