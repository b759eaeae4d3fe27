package shell

import (
	"fmt"
	"strings"
)

// Words splits a line at blanks. A word that starts with a single or double quote ends at the next such quote; there are no escapes (spec server-surface, 5.1).
func Words(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t\r\n")
		if line == "" {
			return out, nil
		}
		if quote := line[0]; quote == '"' || quote == '\'' {
			end := strings.IndexByte(line[1:], quote)
			if end < 0 {
				return nil, fmt.Errorf("no closing %c", quote)
			}
			out = append(out, line[1:1+end])
			line = line[2+end:]
			continue
		}
		end := strings.IndexAny(line, " \t\r\n")
		if end < 0 {
			end = len(line)
		}
		out = append(out, line[:end])
		line = line[end:]
	}
}
