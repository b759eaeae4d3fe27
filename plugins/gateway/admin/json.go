package admin

import (
	"encoding/json"
	"strconv"
	"strings"
)

// object is a JSON object whose fields keep their order.
type object []field

type field struct {
	key   string
	value any // object, []object, list, string, bool, numbers, nil
}

type list []any

func (o *object) add(key string, value any) { *o = append(*o, field{key, value}) }

// render lays JSON out as ZooKeeper's admin server does: fields on lines of their own, " : " between key and value, arrays in line (spec server-surface, 3).
func render(o object) string {
	var b strings.Builder
	renderValue(&b, o, 0)
	b.WriteByte('\n')
	return b.String()
}

func renderValue(b *strings.Builder, v any, depth int) {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString("{ }")
			return
		}
		b.WriteByte('{')
		for i, f := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('\n')
			indent(b, depth+1)
			b.WriteString(quote(f.key))
			b.WriteString(" : ")
			renderValue(b, f.value, depth+1)
		}
		b.WriteByte('\n')
		indent(b, depth)
		b.WriteByte('}')
	case list:
		if len(v) == 0 {
			b.WriteString("[ ]")
			return
		}
		b.WriteString("[ ")
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			renderValue(b, item, depth)
		}
		b.WriteString(" ]")
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(quote(v))
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case int32:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case number:
		b.WriteString(string(v))
	default:
		panic("admin: a value of unknown type in an answer")
	}
}

// number is a number that is already text.
type number string

func indent(b *strings.Builder, depth int) {
	for range depth {
		b.WriteString("  ")
	}
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(text)
}
