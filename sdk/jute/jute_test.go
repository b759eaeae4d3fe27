package jute

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want []byte
	}{
		{"bool", AppendBool(AppendBool(nil, true), false), []byte{1, 0}},
		{"int32", AppendInt32(nil, -2), []byte{0xff, 0xff, 0xff, 0xfe}},
		{"int64", AppendInt64(nil, 0x0102030405060708), []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{"null buffer", AppendBuffer(nil, nil), []byte{0xff, 0xff, 0xff, 0xff}},
		{"empty buffer", AppendBuffer(nil, []byte{}), []byte{0, 0, 0, 0}},
		{"string", AppendString(nil, "é"), []byte{0, 0, 0, 2, 0xc3, 0xa9}},
		{"null string", AppendNullableString(nil, "x", true), []byte{0xff, 0xff, 0xff, 0xff}},
		{"strings", AppendStrings(nil, []string{"a"}), []byte{0, 0, 0, 1, 0, 0, 0, 1, 'a'}},
		{"null strings", AppendStrings(nil, nil), []byte{0xff, 0xff, 0xff, 0xff}},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: % x, want % x", c.name, c.got, c.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	b := AppendInt32(nil, math.MinInt32)
	b = AppendInt64(b, math.MaxInt64)
	b = AppendBool(b, true)
	b = AppendBuffer(b, nil)
	b = AppendBuffer(b, []byte{})
	b = AppendBuffer(b, []byte{7})
	b = AppendString(b, "path")
	b = AppendNullString(b)
	b = AppendString(b, "")
	b = AppendStrings(b, []string{"x", ""})
	b = append(b, 9)

	d := NewDecoder(b)
	if v := d.Int32(); v != math.MinInt32 {
		t.Error(v)
	}
	if v := d.Int64(); v != math.MaxInt64 {
		t.Error(v)
	}
	if !d.Bool() {
		t.Error("bool")
	}
	if v := d.Buffer(); v != nil {
		t.Errorf("null buffer came back as %v", v)
	}
	if v := d.Buffer(); v == nil || len(v) != 0 {
		t.Errorf("empty buffer came back as %v", v)
	}
	if v := d.Buffer(); !bytes.Equal(v, []byte{7}) || cap(v) != 1 {
		t.Errorf("%v, cap %d", v, cap(v))
	}
	if s := d.String(); s != "path" {
		t.Error(s)
	}
	if s, null := d.NullableString(); s != "" || !null {
		t.Error(s, null)
	}
	if s, null := d.NullableString(); s != "" || null {
		t.Error(s, null)
	}
	if v := d.Strings(nil); !slices.Equal(v, []string{"x", ""}) {
		t.Error(v)
	}
	if d.Err() != nil || d.Remaining() != 1 || d.Offset() != len(b)-1 || !bytes.Equal(d.Rest(), []byte{9}) {
		t.Error(d.Err(), d.Remaining(), d.Offset(), d.Rest())
	}
}

func TestErrorsStick(t *testing.T) {
	d := NewDecoder([]byte{0, 0, 0})
	if d.Int32() != 0 || !errors.Is(d.Err(), ErrShort) {
		t.Fatal(d.Err())
	}
	if d.Bool() || d.Remaining() != 3 {
		t.Error("a field was read after an error")
	}
	d.Fail(errors.New("later"))
	if !errors.Is(d.Err(), ErrShort) {
		t.Error("the first error was replaced:", d.Err())
	}
}

func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    []byte
		limit int
		want  error
	}{
		{"negative", AppendInt32(nil, -2), -1, ErrLength},
		{"longer than the input", AppendInt32(nil, 5), -1, ErrShort},
		{"at the limit", AppendBuffer(nil, []byte("abc")), 3, nil},
		{"over the limit", AppendBuffer(nil, []byte("abcd")), 3, ErrLength},
		{"no limit", AppendBuffer(nil, make([]byte, 1<<20)), -1, nil},
	} {
		d := NewDecoder(c.in)
		d.Limit(c.limit)
		if d.Buffer(); !errors.Is(d.Err(), c.want) {
			t.Errorf("%s: %v, want %v", c.name, d.Err(), c.want)
		}
	}
}

func TestVector(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		n    int
		null bool
		want error
	}{
		{"null", AppendVectorLen(nil, -1), 0, true, nil},
		{"negative is empty", AppendVectorLen(nil, -7), 0, false, nil},
		{"empty", AppendVectorLen(nil, 0), 0, false, nil},
		{"one", append(AppendVectorLen(nil, 1), 0, 0, 0, 0), 1, false, nil},
		{"more than the bytes hold", append(AppendVectorLen(nil, 2), 0, 0, 0, 0), 0, false, ErrShort},
		{"absurd", AppendVectorLen(nil, math.MaxInt32), 0, false, ErrShort},
		{"no head", nil, 0, false, ErrShort},
	} {
		d := NewDecoder(c.in)
		n, null := d.Vector(4)
		if n != c.n || null != c.null || !errors.Is(d.Err(), c.want) {
			t.Errorf("%s: %d %v %v", c.name, n, null, d.Err())
		}
	}
}

func TestStringsReusesCapacity(t *testing.T) {
	b := AppendStrings(nil, []string{"", ""})
	dst := make([]string, 0, 4)
	if n := testing.AllocsPerRun(100, func() {
		d := NewDecoder(b)
		dst = d.Strings(dst)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever the bytes, decoding stays within the input, what was decoded encodes to the same bytes, and a vector allocates no more than a multiple of them.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 4}, AppendStrings(AppendBuffer(AppendInt64(AppendInt32(nil, 1), 2), []byte("xyz")), []string{"a"}))
	f.Add([]byte{4}, AppendVectorLen(nil, math.MaxInt32))
	f.Add([]byte{3, 3}, AppendInt32(nil, -5))
	f.Fuzz(func(t *testing.T, fields, in []byte) {
		d := NewDecoder(in)
		var out []byte
		for _, kind := range fields {
			switch kind % 5 {
			case 0:
				out = AppendInt32(out, d.Int32())
			case 1:
				out = AppendInt64(out, d.Int64())
			case 2:
				out = AppendBuffer(out, d.Buffer())
			case 3:
				s, null := d.NullableString()
				out = AppendNullableString(out, s, null)
			case 4:
				before := d.Remaining()
				if v := d.Strings(nil); cap(v)*4 > before {
					t.Fatalf("room for %d strings from %d bytes", cap(v), before)
				}
				return // null and negative lengths inside do not come back
			}
			if d.Err() != nil {
				return
			}
			if !bytes.Equal(out, in[:d.Offset()]) || d.Offset()+d.Remaining() != len(in) {
				t.Fatalf("% x came back as % x", in[:d.Offset()], out)
			}
		}
	})
}
