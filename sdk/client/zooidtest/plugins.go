package zooidtest

// The plugins of the zooid command, which a test server may choose from.
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
	_ "github.com/zooid-project/zooid/transports/tcp"
)
