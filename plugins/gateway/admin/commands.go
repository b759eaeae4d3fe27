package admin

import (
	"html"
	"net/http"
	"net/url"
	"sort"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/inspect"
)

// command is one page below the command URL. The first name is the primary one.
type command struct {
	names []string
	// serverless: it can be answered while the server does not serve.
	serverless bool
	run        func(g *Gateway, query url.Values) (object, error)
}

// plain is a command that takes no parameters.
func plain(run func(g *Gateway) (object, error)) func(*Gateway, url.Values) (object, error) {
	return func(g *Gateway, _ url.Values) (object, error) { return run(g) }
}

var commands = []command{
	{names: []string{"configuration", "conf", "config"}, run: plain((*Gateway).configuration)},
	{names: []string{"connections", "cons"}, run: plain((*Gateway).connections)},
	{names: []string{"connection_stat_reset", "crst"}, run: plain((*Gateway).connectionStatReset)},
	{names: []string{"dirs"}, run: plain((*Gateway).dirs)},
	{names: []string{"dump"}, run: plain((*Gateway).dump)},
	{names: []string{"environment", "env", "envi"}, serverless: true, run: plain((*Gateway).environment)},
	{names: []string{"get_trace_mask", "gtmk"}, run: plain((*Gateway).getTraceMask)},
	{names: []string{"hash"}, run: plain((*Gateway).hash)},
	{names: []string{"initial_configuration", "icfg"}, run: plain((*Gateway).initialConfiguration)},
	{names: []string{"is_read_only", "isro"}, run: plain((*Gateway).isReadOnly)},
	{names: []string{"last_snapshot", "lsnp"}, run: plain((*Gateway).lastSnapshot)},
	{names: []string{"leader", "lead"}, run: plain((*Gateway).leader)},
	{names: []string{"monitor", "mntr"}, run: plain((*Gateway).monitor)},
	{names: []string{"observer_connection_stat_reset", "orst"}, run: plain(func(*Gateway) (object, error) { return nil, nil })}, // nothing is counted of an observer that could begin anew
	{names: []string{"observers", "obsr"}, run: plain((*Gateway).observers)},
	{names: []string{"ruok"}, serverless: true, run: plain(func(*Gateway) (object, error) { return nil, nil })},
	{names: []string{"server_stats", "srvr"}, run: plain((*Gateway).serverStats)},
	{names: []string{"set_trace_mask", "stmk"}, run: (*Gateway).setTraceMask},
	{names: []string{"stats", "stat"}, run: plain((*Gateway).stats)},
	{names: []string{"stat_reset", "srst"}, run: plain((*Gateway).statReset)},
	{names: []string{"system_properties", "sysp"}, serverless: true, run: plain((*Gateway).systemProperties)},
	{names: []string{"voting_view"}, run: plain((*Gateway).votingView)},
	{names: []string{"watches", "wchc"}, run: plain((*Gateway).watches)},
	{names: []string{"watches_by_path", "wchp"}, run: plain((*Gateway).watchesByPath)},
	{names: []string{"watch_summary", "wchs"}, run: plain((*Gateway).watchSummary)},
	{names: []string{"zabstate"}, serverless: true, run: plain((*Gateway).zabState)},
}

var byName = func() map[string]*command {
	m := map[string]*command{}
	for i := range commands {
		for _, name := range commands[i].names {
			m[name] = &commands[i]
		}
	}
	return m
}()

const notServing = "This ZooKeeper instance is not currently serving requests"

// command answers one command. Errors are in the body, with status 200, as clients of ZooKeeper's admin server expect.
func (g *Gateway) command(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(g.cfg.commandURL, "/")+"/"), "/")
	if name == "" {
		g.index(w, r)
		return
	}
	var body object
	var failure any // nil or a text: the field error
	c := byName[name]
	switch {
	case c == nil:
		failure = "Unknown command: " + name
	case !c.serverless && !g.serving():
		name, failure = c.names[0], notServing
	default:
		name = c.names[0]
		var err error
		if body, err = c.run(g, r.URL.Query()); err != nil {
			failure = err.Error()
		}
	}
	body.add("command", name)
	body.add("error", failure)
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(render(body)))
}

func (g *Gateway) serving() bool {
	s := g.host.Status()
	return s.Serving || s.ReadOnly
}

// index links the commands.
func (g *Gateway) index(w http.ResponseWriter, _ *http.Request) {
	names := make([]string, 0, len(commands))
	for _, c := range commands {
		names = append(names, c.names[0])
	}
	sort.Strings(names)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	base := html.EscapeString(strings.TrimSuffix(g.cfg.commandURL, "/"))
	for _, name := range names {
		w.Write([]byte(`<a href="` + base + "/" + name + `">` + name + "</a><br/>\n"))
	}
}

// clients are the node's gateways that serve clients.
func (g *Gateway) clients() []inspect.Clients {
	var all []inspect.Clients
	for _, other := range g.host.Gateways() {
		if c, ok := other.(inspect.Clients); ok {
			all = append(all, c)
		}
	}
	return all
}

// inspected is what the machine tells administrators, nil when it tells nothing.
func (g *Gateway) inspected() inspect.Machine {
	m, _ := g.host.Machine().(inspect.Machine)
	return m
}

// voters are the members with a vote.
func voters(s kernel.Status) []kernel.Member {
	var all []kernel.Member
	for _, m := range s.Members {
		if m.Voter {
			all = append(all, m)
		}
	}
	return all
}
