package server

import (
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// FromConfig takes from a configuration what a server needs, and checks the plugins and options that it names.
func FromConfig(cfg *config.Config) (Settings, error) {
	s := Settings{
		DataDir: cfg.DataDir, LogDir: cfg.DataLogDir, Self: kernel.ServerID(cfg.ServerID), TickTime: cfg.TickTime,
		SnapCount: cfg.Storage.SnapCount, SnapshotsKept: cfg.Storage.SnapRetainCount, SlowSync: cfg.Storage.SlowSync,
		ReadOnlyMode: cfg.ReadOnlyMode, NoMetrics: cfg.Metrics.None,
		Plugins: map[string]string{}, Options: map[string]map[string]string{}, Gateways: []string{"zookeeper"},
		Config: cfg.Text,
	}
	if s.Self == 0 {
		s.Self = 1 // what ZooKeeper's standalone server puts into session ids (spec client-protocol, 2.2)
	}
	s.Ensemble = kernel.Ensemble{Voters: []kernel.ServerID{s.Self}}
	if cfg.Mode == config.Replicated {
		s.Ensemble = cfg.Membership.Ensemble()
		s.DynamicFiles = cfg.DynamicFiles()
		s.Plugins[kernel.KindTransport.Name] = "tcp"
	}
	if cfg.Admin.Enabled {
		s.Gateways = append(s.Gateways, "admin")
	}
	for kind, p := range cfg.Plugins {
		if p.Name.Value != "" {
			s.Plugins[kind] = p.Name.Value
		}
		s.Options[kind] = map[string]string{}
		for key, v := range p.Options {
			if plugin, option, ok := strings.Cut(key, "."); ok && (kind == kernel.KindGateway.Name || kind == kernel.KindAuthenticator.Name) {
				named := kind + "." + plugin
				if s.Options[named] == nil {
					s.Options[named] = map[string]string{}
				}
				s.Options[named][option] = v.Value
				continue
			}
			s.Options[kind][key] = v.Value
		}
	}
	return s, CheckOptions(s)
}
