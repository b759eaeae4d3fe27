package election

import (
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// learn takes a configuration that came with a notification (spec zab, 4.12): a newer one is in force from now on, for this server and, by the effect, for the broadcast and the transport.
// Only a looking server learns, where changes are enabled; others hear of a configuration from their leader. false: the text is not a configuration.
func (c *Core) learn(from kernel.ServerID, text string) bool {
	if text == c.config.Text {
		return true
	}
	e, err := config.ParseEnsemble(text)
	if err != nil {
		return false
	}
	if !c.reconfigEnabled || c.phase != looking || e.Version <= c.config.Version || !c.maySay(from, &e) {
		return true
	}
	c.effects.Config = &e
	c.reconfigure(e)
	return true
}

// maySay tells whether a configuration is taken from a server: it is a member here, or it votes there where this server is a member as well.
func (c *Core) maySay(from kernel.ServerID, e *kernel.Ensemble) bool {
	return c.isMember(from) || e.IsVoter(from) && e.IsMember(c.self)
}

// configIs takes the configuration that the broadcast has put in force.
func (c *Core) configIs(e kernel.Ensemble) {
	if c.phase == looking && e.Version == c.config.Version && e.Text == c.config.Text {
		return // what this server has learnt itself
	}
	if c.phase == looking {
		c.reconfigure(e)
		return
	}
	c.configure(e, c.next)
}

// reconfigure begins the election again among other voters.
func (c *Core) reconfigure(e kernel.Ensemble) {
	c.configure(e, c.next)
	c.elect()
	c.dialVoters()
}
