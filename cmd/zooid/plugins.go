package main

// This file alone says which plugins are built in: each import registers one. A distribution of your own is a copy of it with other imports.
import (
	_ "github.com/zooid-project/zooid/plugins/auth"
	_ "github.com/zooid-project/zooid/plugins/election"
	_ "github.com/zooid-project/zooid/plugins/gateway/admin"
	_ "github.com/zooid-project/zooid/plugins/gateway/zookeeper"
	_ "github.com/zooid-project/zooid/plugins/zab"
	_ "github.com/zooid-project/zooid/plugins/znode"
	_ "github.com/zooid-project/zooid/stores/file"
	_ "github.com/zooid-project/zooid/stores/memnodes"
	_ "github.com/zooid-project/zooid/stores/memory"
	_ "github.com/zooid-project/zooid/stores/pebble"
	_ "github.com/zooid-project/zooid/stores/snapshot"
	_ "github.com/zooid-project/zooid/transports/memory"
	_ "github.com/zooid-project/zooid/transports/tcp"
)
