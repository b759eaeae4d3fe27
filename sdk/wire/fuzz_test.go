package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/zooid-project/zooid/sdk/jute"
)

// sizeOf estimates the bytes that a decoded value holds on to, aliased input not counted.
func sizeOf(r *Request) int {
	n := 0
	for _, l := range [][]string{r.DataWatches, r.ExistWatches, r.ChildWatches, r.PersistentWatches, r.RecursiveWatches} {
		n += cap(l) * int(reflect.TypeFor[string]().Size())
		for _, s := range l {
			n += len(s)
		}
	}
	n += cap(r.Ops) * int(reflect.TypeFor[Op]().Size())
	for i := range r.Ops {
		n += len(r.Ops[i].Path) + cap(r.Ops[i].ACL)*int(reflect.TypeFor[ACL]().Size())
	}
	return n + len(r.Path) + cap(r.ACL)*int(reflect.TypeFor[ACL]().Size())
}

// What is decoded and encoded again decodes to the same, and memory stays within a constant times the input.
func FuzzDecodeRequest(f *testing.F) {
	for i := range testRequests {
		f.Add(int32(testRequests[i].Code), testRequests[i].AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, op int32, body []byte) {
		var r, again Request
		err := DecodeRequest(OpCode(op), body, &r)
		if n := sizeOf(&r); n > 40*len(body)+1024 {
			t.Fatalf("%d bytes held for %d bytes of input", n, len(body))
		}
		if err != nil {
			return
		}
		first := r.AppendTo(nil)
		if err := DecodeRequest(OpCode(op), first, &again); err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
		if second := again.AppendTo(nil); !bytes.Equal(first, second) {
			t.Fatalf("not a fixpoint:\n% x\n% x", first, second)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	for i := range testResponses {
		f.Add(int32(testResponses[i].Code), testResponses[i].AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, op int32, body []byte) {
		var r, again Response
		err := DecodeResponse(OpCode(op), body, &r)
		if n := cap(r.Results) * int(reflect.TypeFor[Result]().Size()); n > 60*len(body)+4096 {
			t.Fatalf("%d bytes of results for %d bytes of input", n, len(body))
		}
		if err != nil {
			return
		}
		first := r.AppendTo(nil)
		if err := DecodeResponse(OpCode(op), first, &again); err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
		if second := again.AppendTo(nil); !bytes.Equal(first, second) {
			t.Fatalf("not a fixpoint:\n% x\n% x", first, second)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	for _, txn := range testTxns {
		e := Entry{Header: TxnHeader{Zxid: 1, Type: txn.Type}, Txn: txn}
		f.Add(e.AppendTo(nil))
		e.HasDigest, e.DigestVersion = true, DigestVersion
		f.Add(e.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again Entry
		err := DecodeEntry(b, &e)
		if n := cap(e.Txn.Ops) * int(reflect.TypeFor[Txn]().Size()); n > 80*len(b)+4096 {
			t.Fatalf("%d bytes of operations for %d bytes of input", n, len(b))
		}
		if err != nil {
			return
		}
		first := e.AppendTo(nil)
		if err := DecodeEntry(first, &again); err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
		if second := again.AppendTo(nil); !bytes.Equal(first, second) {
			t.Fatalf("not a fixpoint:\n% x\n% x", first, second)
		}
	})
}

func FuzzConnect(f *testing.F) {
	f.Add((&ConnectRequest{Password: make([]byte, 16), HasReadOnly: true}).AppendTo(nil))
	f.Add((&ConnectResponse{SessionID: 1}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q, again ConnectRequest
		d := jute.NewDecoder(b)
		if q.Decode(&d); d.Err() == nil {
			d = jute.NewDecoder(q.AppendTo(nil))
			if again.Decode(&d); d.Err() != nil || !reflect.DeepEqual(q, again) {
				t.Fatalf("%+v came back as %+v, %v", q, again, d.Err())
			}
		}
		var r, r2 ConnectResponse
		d = jute.NewDecoder(b)
		if r.Decode(&d); d.Err() == nil {
			d = jute.NewDecoder(r.AppendTo(nil))
			if r2.Decode(&d); d.Err() != nil || r != r2 {
				t.Fatalf("%+v came back as %+v, %v", r, r2, d.Err())
			}
		}
		var e WatcherEvent
		d = jute.NewDecoder(b)
		e.Decode(&d)
	})
}

// A quota text never fails, and what was read and rendered reads the same.
func FuzzParseQuota(f *testing.F) {
	f.Add([]byte("count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10"))
	f.Add([]byte("count=x;;=,q"))
	f.Fuzz(func(t *testing.T, text []byte) {
		q, _ := ParseQuota(text)
		again, ok := ParseQuota([]byte(q.String()))
		if !ok || again.Count != q.Count || again.Bytes != q.Bytes || again.HardCount != q.HardCount || again.HardBytes != q.HardBytes || len(again.Other) != len(q.Other) {
			t.Fatalf("%q: %+v rendered as %q is %+v %v", text, q, q.String(), again, ok)
		}
	})
}

func FuzzValidatePath(f *testing.F) {
	f.Add("/a/b")
	f.Add("/a/./b")
	f.Fuzz(func(t *testing.T, path string) {
		if ValidatePath(path) == nil && (path[0] != '/' || CheckCreatePath(path) != nil) {
			t.Fatalf("%q passes the strict check but not the weak one", path)
		}
	})
}
