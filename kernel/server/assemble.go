package server

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/manifest"
)

// build makes one plugin by the name that the settings give for its kind.
func build[T any](s Settings, kind kernel.Kind[T], env kernel.Env) (T, error) {
	return buildNamed(s, kind, s.plugin(kind.Name), env)
}

func buildNamed[T any](s Settings, kind kernel.Kind[T], name string, env kernel.Env) (made T, err error) {
	factory, err := kernel.Lookup(kind, name)
	if err != nil {
		return made, &SettingError{fmt.Errorf("plugin.%s=%w", kind.Name, err)}
	}
	options, err := kernel.NewOptions(kind.Name, name, factory.Options, s.optionsFor(kind.Name, name), s.Config)
	if err != nil {
		return made, &SettingError{err}
	}
	if made, err = factory.New(env, options); err != nil && !keepsData(kind.Name) {
		err = &SettingError{err}
	}
	return made, err
}

// SettingError reports a plugin that cannot be made with its settings, a key file that is not there for instance. The data directory has nothing to do with it.
type SettingError struct{ Err error }

func (e *SettingError) Error() string { return e.Err.Error() }

func (e *SettingError) Unwrap() error { return e.Err }

// keepsData says whether plugins of a kind stand on the data directory, which may be the reason when one cannot be made.
func keepsData(kind string) bool {
	switch kind {
	case kernel.KindLogStore.Name, kernel.KindSnapshotStore.Name, kernel.KindNodeStore.Name, kernel.KindStateMachine.Name:
		return true
	}
	return false
}

// optionsFor are the given options of one plugin. Kinds of which several run at once (gateways, authenticators) are addressed by name too:
// plugin.gateway.admin.KEY.
func (s Settings) optionsFor(kind, name string) map[string]string {
	if kind != kernel.KindGateway.Name && kind != kernel.KindAuthenticator.Name {
		return s.Options[kind]
	}
	return s.Options[kind+"."+name]
}

// CheckOptions checks the plugins and options that settings name without making anything, and returns every problem.
func CheckOptions(s Settings) error {
	var problems []error
	check := func(kind, name string, options []kernel.Option, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("plugin.%s=%w", kind, err))
			return
		}
		if _, err := kernel.NewOptions(kind, name, options, s.optionsFor(kind, name), s.Config); err != nil {
			problems = append(problems, err)
		}
	}
	one(kernel.KindLogStore, s.plugin(kernel.KindLogStore.Name), check)
	one(kernel.KindSnapshotStore, s.plugin(kernel.KindSnapshotStore.Name), check)
	one(kernel.KindNodeStore, s.plugin(kernel.KindNodeStore.Name), check)
	one(kernel.KindElection, s.plugin(kernel.KindElection.Name), check)
	one(kernel.KindBroadcast, s.plugin(kernel.KindBroadcast.Name), check)
	one(kernel.KindStateMachine, s.plugin(kernel.KindStateMachine.Name), check)
	one(kernel.KindTransport, s.plugin(kernel.KindTransport.Name), check)
	for _, g := range s.Gateways {
		one(kernel.KindGateway, g, check)
	}
	for _, p := range kernel.Plugins() {
		if p.Kind == kernel.KindAuthenticator.Name {
			check(p.Kind, p.Name, p.Options, nil)
		}
	}
	return errors.Join(problems...)
}

// manifest is what the data directory has to say for these settings.
func (s Settings) manifest() (manifest.Manifest, error) {
	m := manifest.Manifest{Server: s.Self}
	var err error
	if m.Log, err = storeOf(s, kernel.KindLogStore); err != nil {
		return m, err
	}
	if m.Snapshots, err = storeOf(s, kernel.KindSnapshotStore); err != nil {
		return m, err
	}
	m.Nodes, err = storeOf(s, kernel.KindNodeStore)
	return m, err
}

func storeOf[T any](s Settings, kind kernel.Kind[T]) (manifest.Store, error) {
	name := s.plugin(kind.Name)
	f, err := kernel.Lookup(kind, name)
	if err != nil {
		return manifest.Store{}, fmt.Errorf("plugin.%s=%w", kind.Name, err)
	}
	return manifest.Store{Plugin: name, Format: f.Format}, nil
}

func one[T any](kind kernel.Kind[T], name string, check func(kind, name string, options []kernel.Option, err error)) {
	f, err := kernel.Lookup(kind, name)
	check(kind.Name, name, f.Options, err)
}
