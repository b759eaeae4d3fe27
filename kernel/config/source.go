package config

import "strings"

// sourceText is the text of a file as an administrator may see it: the values of secrets, in comments too, are masked.
func sourceText(text []byte, properties []property) string {
	lines := splitLines(decodeText(text))
	for _, p := range properties {
		if !secretName(p.key) {
			continue
		}
		lines[p.line-1] = p.key + "=" + mask
		for i := p.line; i < p.last; i++ {
			lines[i] = "#"
		}
	}
	for i, line := range lines {
		comment := strings.TrimLeft(line, blanks)
		if comment == "" || comment[0] != '#' && comment[0] != '!' {
			continue
		}
		if key, value := cutKey(strings.TrimLeft(comment, "#!"+blanks)); value != "" && secretName(key) {
			lines[i] = comment[:1] + key + "=" + mask
		}
	}
	return strings.Join(lines, "\n")
}
