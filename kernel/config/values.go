package config

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "minutes": time.Minute, "hours": time.Hour}

// fillFields gives every key of the table its value, in the order of the table so that problems come in a fixed order.
func (l *loader) fillFields() {
	for i := range Keys {
		k := &Keys[i]
		s, set := l.c.settings[k.Name]
		if !set {
			s = setting{name: k.Name, value: k.Default}
		}
		if set && k.Refuse != "" && !strings.EqualFold(s.value, k.Default) {
			l.fail(s, k.Refuse, "")
			continue
		}
		value := s.value
		if set && value == "" && !acceptsEmpty(k.Kind) {
			l.fail(s, "no value", k.Allowed())
			continue
		}
		raised, what := l.assign(k, value)
		if what != "" {
			l.fail(s, what, k.Allowed())
			continue
		}
		if raised != "" {
			l.warn(s, "raised to "+raised)
			s.value = raised
			l.c.settings[k.Name] = s
		}
		if set && k.Kind == Lenient && !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			l.warn(s, "read as false, as ZooKeeper reads everything but true")
		}
		if set && k.Kind == Path && relativeWithoutDot(value) {
			l.warn(s, "is relative to the working directory; write ./"+value+" if that is meant")
		}
	}
}

func acceptsEmpty(k Kind) bool {
	switch k {
	case Whole, Decimal, Port, Strict:
		return false
	}
	return true
}

func relativeWithoutDot(path string) bool {
	return path != "" && path[0] != '/' && !strings.HasPrefix(path, "./") && path != "." && !strings.HasPrefix(path, "../")
}

// assign reads text as the key's kind and stores it in the key's field, if it has one. An empty text leaves the field at its zero value.
// raised is the new text if a floor applied; what says why the text is no value of this kind.
func (l *loader) assign(k *Key, text string) (raised, what string) {
	if text == "" && !(k.Kind == UnlessNo || k.Kind == Lenient || k.Kind == OnlyYes) {
		return "", ""
	}
	var field any
	if k.field != nil {
		field = k.field(l.c)
	}
	switch k.Kind {
	case Whole, Port:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", "not a whole number"
		}
		low, high := k.bounds()
		if k.Floor != 0 && n < k.Floor {
			n, raised = k.Floor, strconv.FormatInt(k.Floor, 10)
		}
		if n < low {
			return "", "too small"
		}
		if n > high {
			return "", "too large"
		}
		switch f := field.(type) {
		case *int:
			*f = int(n)
		case *int64:
			*f = n
		case *time.Duration:
			*f = time.Duration(n) * units[k.Unit]
		}
	case Decimal:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return "", "not a number"
		}
		if f, ok := field.(*float64); ok {
			*f = x
		}
	case Strict, Lenient, UnlessNo, OnlyYes:
		b := strings.EqualFold(text, "true")
		switch k.Kind {
		case Strict:
			if !b && !strings.EqualFold(text, "false") {
				return "", "neither true nor false"
			}
		case UnlessNo:
			b = text != "no"
		case OnlyYes:
			b = text == "yes"
		}
		if f, ok := field.(*bool); ok {
			*f = b
		}
	case List:
		var list []string
		for _, one := range strings.Split(text, ",") {
			if one = strings.TrimSpace(one); one != "" {
				list = append(list, one)
			}
		}
		if f, ok := field.(*[]string); ok {
			*f = list
		}
	case Choice:
		i := slices.IndexFunc(k.Choices, func(choice string) bool { return strings.EqualFold(choice, text) })
		if i < 0 {
			return "", "not one of the choices"
		}
		text = k.Choices[i]
		if f, ok := field.(*string); ok {
			*f = text
		}
	case ClassName:
		if !slices.Contains(k.Choices, text) {
			return "", "a Java class that Zooid has nothing for"
		}
		if f, ok := field.(*string); ok {
			*f = text
		}
	default:
		if f, ok := field.(*string); ok {
			*f = text
		}
	}
	return raised, ""
}

// bounds are the limits of a number, the kind's own included.
func (k *Key) bounds() (low, high int64) {
	low, high = k.Min, k.Max
	switch {
	case k.Kind == Port:
		high = 65535
	case high == 0 && units[k.Unit] != 0:
		high = math.MaxInt64 / int64(units[k.Unit])
	case high == 0 && (k.Unit == "bytes" || k.Unit == "KiB"):
		high = math.MaxInt64 >> 10
	case high == 0:
		high = math.MaxInt32
	}
	return low, high
}

// Allowed says in words what may stand behind the equals sign.
func (k *Key) Allowed() string {
	switch k.Kind {
	case Whole, Port:
		low, high := k.bounds()
		text := fmt.Sprintf("a whole number from %d to %d", low, high)
		if k.Max == 0 && k.Kind == Whole {
			text = fmt.Sprintf("a whole number from %d on", low)
		}
		if k.Unit != "" {
			text += " (" + k.Unit + ")"
		}
		return text
	case Decimal:
		return "a number"
	case Strict, Lenient:
		return "true or false"
	case UnlessNo:
		return "no; all else is yes"
	case OnlyYes:
		return "yes; all else is no"
	case List:
		return "a list with commas between"
	case Choice, ClassName:
		return strings.Join(k.Choices, ", ")
	case Path:
		return "a path"
	}
	return "any text"
}

func listenAddress(host string, port int) string {
	if port == 0 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}
