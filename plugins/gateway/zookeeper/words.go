package zookeeper

import (
	"bufio"
	"io"
	"slices"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// word is one of the four-letter words (spec server-surface, 2).
type word struct {
	name string
	// always: it is answered also while the server does not serve.
	always bool
	// argument is how many bytes follow the word.
	argument int
	run      func(g *Gateway, w *bufio.Writer, argument []byte)
}

var words = []word{
	{name: "ruok", always: true, run: wordRuok},
	{name: "isro", always: true, run: wordIsro},
	{name: "srvr", run: wordSrvr},
	{name: "stat", run: wordStat},
	{name: "mntr", run: wordMntr},
	{name: "cons", run: wordCons},
	{name: "conf", run: wordConf},
	{name: "envi", always: true, run: wordEnvi},
	{name: "dump", run: wordDump},
	{name: "dirs", run: wordDirs},
	{name: "wchs", run: wordWchs},
	{name: "wchc", run: wordWchc},
	{name: "wchp", run: wordWchp},
	{name: "crst", run: wordCrst},
	{name: "srst", run: wordSrst},
	{name: "hash", run: wordHash},
	{name: "gtmk", always: true, run: wordGtmk},
	{name: "stmk", always: true, argument: 8, run: wordStmk},
}

// findWord returns the word that the first four bytes of a connection are, nil for none: then they are a length.
func findWord(b []byte) *word {
	if len(b) < 4 {
		return nil
	}
	for i := range words {
		if words[i].name == string(b[:4]) {
			return &words[i]
		}
	}
	return nil
}

// wordTime bounds how long an answer may take to leave.
const wordTime = 30 * time.Second

// answerWord writes the answer and finishes the connection.
func (c *conn) answerWord(w *word) {
	var argument []byte
	if w.argument > 0 {
		for c.in.end-c.in.start < 4+w.argument {
			if err := c.in.fill(); err != nil {
				return
			}
		}
		argument = c.in.buf[c.in.start+4 : c.in.start+4+w.argument]
	}
	c.socket.SetWriteDeadline(time.Now().Add(wordTime))
	out := bufio.NewWriter(c.socket)
	c.g.word(w, out, argument)
	if out.Flush() != nil {
		return
	}
	c.mu.Lock()
	c.phase = phaseFinished
	c.mu.Unlock()
	c.sayGoodbye()
	c.linger()
}

func (g *Gateway) word(w *word, out *bufio.Writer, argument []byte) {
	switch {
	case w.name != "srvr" && !slices.Contains(g.cfg.words, "*") && !slices.Contains(g.cfg.words, w.name):
		io.WriteString(out, w.name+" is not executed because it is not in the whitelist.\n")
	case !w.always && !g.serving():
		io.WriteString(out, "This ZooKeeper instance is not currently serving requests\n")
	default:
		w.run(g, out, argument)
	}
}

func (g *Gateway) serving() bool {
	s := g.host.Status()
	return s.Serving || s.ReadOnly
}

func wordRuok(_ *Gateway, w *bufio.Writer, _ []byte) { w.WriteString("imok") }

func wordIsro(g *Gateway, w *bufio.Writer, _ []byte) {
	switch s := g.host.Status(); {
	case s.ReadOnly:
		w.WriteString("ro")
	case s.Serving:
		w.WriteString("rw")
	default:
		w.WriteString("null")
	}
}

func wordCrst(g *Gateway, w *bufio.Writer, _ []byte) {
	g.ResetConnectionStats()
	w.WriteString("Connection stats reset.\n")
}

func wordSrst(g *Gateway, w *bufio.Writer, _ []byte) {
	g.ResetServerStats()
	w.WriteString("Server stats reset.\n")
}

// gauge asks the machine for one of its figures.
func gauge(m kernel.StateMachine, name string) int64 {
	var value float64
	m.Gauges(func(n string, v float64) {
		if n == name {
			value = v
		}
	})
	return int64(value)
}
