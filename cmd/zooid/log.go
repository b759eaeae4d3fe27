package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
	"github.com/zooid-project/zooid/stores/file"
	"github.com/zooid-project/zooid/stores/snapshot"
)

func newLogCommand() *cobra.Command {
	log := &cobra.Command{
		Use:   "log",
		Short: "Look into a log or a snapshot on disk",
		Long: `Read files of a data directory without changing them. The server may be running: what it writes meanwhile shows as the end.

Exit codes: 0 all of it can be read, 1 damaged, 2 wrong arguments.`,
		Example: `  zooid log verify /var/lib/zooid/log
  zooid log dump /var/lib/zooid/log/segment.00000001`,
	}
	log.AddCommand(newLogVerifyCommand(), newLogDumpCommand())
	return log
}

func newLogVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE|DIRECTORY",
		Short: "Check checksums and chaining; say where the first damage is",
		Long: `Check a segment, a snapshot, or a whole log when its directory is named. A torn end is no damage: the server cuts it when it starts, because nobody was
ever told that it was written.`,
		Example: `  zooid log verify /var/lib/zooid/log`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if snapshot.IsSnapshot(vfs.Default, args[0]) {
				return snapshot.Verify(vfs.Default, args[0], cmd.OutOrStdout())
			}
			return file.Verify(vfs.Default, args[0], cmd.OutOrStdout())
		},
	}
}

func newLogDumpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "dump FILE",
		Short:   "Print the records of a segment, one a line",
		Long:    "Print each record's offset, zxid and transaction, up to the end or the first that cannot be read. Data is shown by its length, never its content: it may be secret.",
		Example: `  zooid log dump /var/lib/zooid/log/segment.00000001 | tail`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := file.WriteDump(vfs.Default, args[0], cmd.OutOrStdout(), describeTransaction); err != nil {
				return err
			}
			return file.Verify(vfs.Default, args[0], io.Discard) // tells a torn end from damage, which is an error
		},
	}
}

// describeTransaction is a record's transaction for people.
func describeTransaction(r kernel.Record) string {
	var e wire.Entry
	if err := wire.DecodeEntry(r.Data, &e); err != nil {
		return fmt.Sprintf("%d bytes that are no transaction: %v", len(r.Data), err)
	}
	when := time.UnixMilli(e.Header.Time).UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf("%s session 0x%x cxid 0x%x %s", when, uint64(e.Header.ClientID), uint32(e.Header.Cxid), describeTxn(&e.Txn))
}

func describeTxn(t *wire.Txn) string {
	switch t.Type {
	case wire.OpError:
		return "error " + t.Err.Name()
	case wire.OpCreateSession:
		return fmt.Sprintf("createSession timeout=%dms", t.TimeoutMs)
	case wire.OpCloseSession:
		return fmt.Sprintf("closeSession %d ephemerals", len(t.Paths))
	case wire.OpDelete, wire.OpDeleteContainer:
		return fmt.Sprintf("%v %q", t.Type, t.Path)
	case wire.OpSetACL, wire.OpCheck:
		return fmt.Sprintf("%v %q version=%d", t.Type, t.Path, t.Version)
	case wire.OpSetData, wire.OpReconfig:
		return fmt.Sprintf("%v %q %d bytes version=%d", t.Type, t.Path, len(t.Data), t.Version)
	case wire.OpMulti:
		parts := make([]string, len(t.Ops))
		for i := range t.Ops {
			parts[i] = describeTxn(&t.Ops[i])
		}
		return "multi [" + strings.Join(parts, "; ") + "]"
	}
	kind := ""
	if t.Ephemeral {
		kind = " ephemeral"
	}
	if t.TTL > 0 {
		kind = fmt.Sprintf(" ttl=%dms", t.TTL)
	}
	return fmt.Sprintf("%v %q %d bytes%s", t.Type, t.Path, len(t.Data), kind)
}
