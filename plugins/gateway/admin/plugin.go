package admin

import (
	"strings"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

var options = []kernel.Option{
	{Key: "enable", Type: kernel.TypeBool, Default: "true", Config: "admin.enableServer", Doc: "serve administrators over HTTP"},
	{Key: "address", Type: kernel.TypeString, Default: "0.0.0.0", Config: "admin.serverAddress", Doc: "address to listen on"},
	{Key: "port", Type: kernel.TypeInt, Default: "8080", Config: "admin.serverPort", Doc: "port to listen on; one that is taken is logged and the server goes on without; 0 any free one"},
	{Key: "commandURL", Type: kernel.TypeString, Default: "/commands", Config: "admin.commandURL", Doc: "path below which the commands are"},
	{Key: "idleTimeout", Type: kernel.TypeDuration, Default: "30000", Config: "admin.idleTimeout", Doc: "an idle connection is closed after this"},
	{Key: "initialConfiguration", Type: kernel.TypeString, Config: "(file)", Doc: "what the command initial_configuration shows: the text of the configuration file, secrets masked"},
	{Key: "maxConnections", Type: kernel.TypeInt, Default: "100", Doc: "connections at a time; more wait"},
}

type config struct {
	address        string
	port           int64
	commandURL     string
	idleTimeout    time.Duration
	maxConnections int
	initial        string
}

func init() {
	kernel.Register(kernel.KindGateway, "admin", kernel.Factory[kernel.Gateway]{Doc: "administration and health over HTTP", Options: options, New: New})
}

// New makes the gateway from checked options; nil when it is switched off. Nothing runs before Start.
func New(env kernel.Env, o kernel.Options) (kernel.Gateway, error) {
	if !o.Bool("enable") {
		return nil, nil
	}
	cfg := config{
		address: o.String("address"), port: o.Int("port"), commandURL: "/" + strings.Trim(o.String("commandURL"), "/"),
		idleTimeout: o.Duration("idleTimeout"), maxConnections: max(1, int(o.Int("maxConnections"))),
		initial: o.String("initialConfiguration"),
	}
	return newGateway(env, cfg), nil
}
