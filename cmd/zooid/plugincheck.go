package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// checkPlugins compares the plugin. lines of a configuration with the plugins of this build, so that errors name file and line. What only a plugin can judge is left to it.
func checkPlugins(c *config.Config) error {
	var problems config.Errors
	kinds := pluginKinds()
	for _, kind := range slices.Sorted(maps.Keys(c.Plugins)) {
		p := c.Plugins[kind]
		if !slices.Contains(kinds, kind) {
			s := p.Name
			key := "plugin." + kind
			for _, option := range slices.Sorted(maps.Keys(p.Options)) {
				if s.Value == "" {
					s, key = p.Options[option], key+"."+option
				}
			}
			problems = append(problems, &config.Problem{Origin: s.Origin, Key: key, Value: s.Value, What: "no such kind of plugin" + didYouMean(kind, kinds), Allowed: strings.Join(kinds, ", ")})
			continue
		}
		problems = append(problems, checkKind(kind, p)...)
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// checkKind checks the lines of one kind. Several gateways and authenticators run beside each other, so their options carry the plugin's name: plugin.gateway.zookeeper.OPTION.
func checkKind(kind string, p config.Plugin) config.Errors {
	var problems config.Errors
	names := pluginNames(kind)
	if p.Name.Value != "" && !slices.Contains(names, p.Name.Value) {
		problems = append(problems, &config.Problem{Origin: p.Name.Origin, Key: "plugin." + kind, Value: p.Name.Value,
			What: "no such plugin" + didYouMean(p.Name.Value, names), Allowed: strings.Join(names, ", ")})
		return problems
	}
	several := kind == kernel.KindGateway.Name || kind == kernel.KindAuthenticator.Name
	known := map[string]kernel.Option{}
	for _, info := range kernel.Plugins() {
		if info.Kind != kind || !several && p.Name.Value != "" && info.Name != p.Name.Value {
			continue
		}
		for _, o := range info.Options {
			if several {
				o.Key = info.Name + "." + o.Key
			}
			known[o.Key] = o
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Options)) {
		s := p.Options[key]
		problem := &config.Problem{Origin: s.Origin, Key: "plugin." + kind + "." + key, Value: s.Value}
		option, ok := known[key]
		if !ok {
			all := slices.Sorted(maps.Keys(known))
			problem.Value = "" // a typing error in the name of a secret must not print it
			problem.What, problem.Allowed = "no such option"+didYouMean(key, all), "plugin."+kind+" followed by ."+strings.Join(all, ", .")
		} else if err := option.Check(s.Value); err != nil {
			if option.Secret {
				problem.Value = ""
			}
			problem.What = err.Error()
		} else {
			continue
		}
		problems = append(problems, problem)
	}
	return problems
}

func didYouMean(text string, known []string) string {
	if near := kernel.Nearest(text, known); near != "" {
		return fmt.Sprintf(". Did you mean %s?", near)
	}
	return ""
}
