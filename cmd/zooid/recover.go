package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
	"github.com/zooid-project/zooid/kernel/manifest"
	"github.com/zooid-project/zooid/kernel/server"
	"github.com/zooid-project/zooid/plugins/zab"
	"github.com/zooid-project/zooid/stores/file"
)

func newRecoverCommand() *cobra.Command {
	var yes, salvage bool
	var with []string
	cmd := &cobra.Command{
		Use:   "recover zoo.cfg",
		Short: "Make a new ensemble of a survivor when a majority is gone for good",
		Long: `Make a new ensemble of one survivor, when so many servers of its ensemble are lost for good that no majority is left. The server must be stopped, and
so must every other server of the old ensemble that still runs.

What the lost servers have acknowledged and this one has never received is lost. Of several survivors, choose the one with the highest current epoch, and
of equals the one with the highest last transaction: without --yes the command shows both, and changes nothing but what any start of the server changes.

With --yes the server becomes an ensemble of its own, in which it votes alone, with everything it has. It gets a new cluster id, so servers of the old
ensemble that come back are refused; its epoch rises above all that they can have had. Its configuration file is changed to the new members; what it was
stays beside it (zoo.cfg.before-recover). Servers named with --with are added as observers: start them with empty directories, wait until they serve, then make them voters
(zooid docs operations says how).

A survivor whose log is damaged is refused, as long as there may be a better one. If there is none, --salvage keeps what stands before the damage: the
command says up to which transaction that is, and which are lost for certain. The files that are changed are copied to set-aside-* in the log directory first.
For a server that runs alone and belongs to no ensemble --salvage does that, and nothing else.

It can be run again after a crash at any point. Nothing of the data is deleted.

Exit codes: 0 done, or shown, 2 bad arguments or configuration, 3 the data cannot be used for this.`,
		Example: `  zooid recover /etc/zookeeper/conf/zoo.cfg
  zooid recover /etc/zookeeper/conf/zoo.cfg --yes
  zooid recover zoo.cfg --salvage
  zooid recover zoo.cfg --with server.2=zoo2:2888:3888 --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(args)
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			return recoverSurvivor(cmd.OutOrStdout(), cfg, with, yes, salvage)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().BoolVar(&salvage, "salvage", false, "of a damaged log keep what stands before the damage")
	cmd.Flags().StringArrayVar(&with, "with", nil, "another server of the new ensemble, as in zoo.cfg: server.N=host:port:port[;clientPort]. It begins as an observer")
	return cmd
}

func recoverSurvivor(out io.Writer, cfg *config.Config, with []string, yes, salvage bool) (err error) {
	settings, err := server.FromConfig(cfg)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	var shorten func(logDir string) error
	if salvage {
		shorten = func(logDir string) error { return salvageLog(out, logDir, yes) }
		if len(cfg.Membership.Members) == 0 {
			return salvageAlone(out, settings, shorten)
		}
	}
	members, err := founders(cfg, with)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	s, err := server.OpenSurvivor(settings, vfs.Default, shorten)
	switch err {
	case errOnlyShown:
		return nil
	case errNothingToSalvage:
		s, err = server.OpenSurvivor(settings, vfs.Default, nil)
	}
	if err != nil {
		return &exitError{code: exitData, err: err}
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	words, err := s.Words()
	if err != nil {
		return &exitError{code: exitData, err: err}
	}
	var cluster kernel.ClusterID
	rand.Read(cluster[:]) // never fails
	recovered, was, err := zab.Recover(words, cluster)
	if err != nil {
		return &exitError{code: exitData, err: err}
	}
	end := s.Last()
	if was.End != 0 {
		end = min(end, was.End)
	}
	fmt.Fprintf(out, "server %d, data in %s\n", settings.Self, settings.DataDir)
	if was.Cluster != (kernel.ClusterID{}) {
		fmt.Fprintf(out, "  cluster           %s\n", was.Cluster)
	}
	fmt.Fprintf(out, "  current epoch     %d, promised up to %d\n  last transaction  %s\n", was.Current, was.Accepted, end)
	fmt.Fprintf(out, "  was one of        %s\n", strings.Join(memberLines(settings.Ensemble), "\n                    "))
	fmt.Fprintf(out, "\nLost is whatever the other servers have acknowledged and this one has not received. A survivor with a higher current epoch,\nor the same and a later last transaction, has more: recover that one instead.\n\n")
	fmt.Fprintf(out, "The new ensemble is\n  %s\n", strings.Join(memberLines(members), "\n  "))
	if !yes {
		fmt.Fprintf(out, "\nNothing was changed. To do it, run this again with --yes.\n")
		return nil
	}
	if err := s.Found(recovered, cluster); err != nil {
		return &exitError{code: exitData, err: err}
	}
	if cfg.Mode == config.Replicated {
		members.Version = kernel.MakeZxid(was.Accepted+1, 0)
		files, err := cfg.ReplaceMembers(members)
		if err != nil {
			return &exitError{code: exitData, err: fmt.Errorf("the data is that of the new ensemble, but %s does not name it: %w. Run this again, or leave only these lines in it:\n%s", cfg.File, err, strings.Join(memberLines(members), "\n"))}
		}
		fmt.Fprintf(out, "\nwritten: %s\n", strings.Join(files, ", "))
	}
	fmt.Fprintf(out, "\nDone: cluster %s. Start this server (zooid serve %s); servers of the old ensemble are refused from now on.\nTo take one of them back, empty its data directory first.\n", cluster, cfg.File)
	return nil
}

// What ends a recovery that is to show what it would do: a damaged log can be opened once it is shortened, one that is whole as it is.
var (
	errOnlyShown        = errors.New("only shown")
	errNothingToSalvage = errors.New("nothing to salvage")
)

// salvageAlone shortens the damaged log of a server that belongs to no ensemble: nothing else is in its way.
func salvageAlone(out io.Writer, settings server.Settings, shorten func(logDir string) error) error {
	s, err := server.OpenSurvivor(settings, vfs.Default, shorten)
	switch {
	case err == errOnlyShown, err == errNothingToSalvage:
		return nil
	case err != nil:
		return &exitError{code: exitData, err: err}
	}
	fmt.Fprintf(out, "Done: the last transaction is %s. Start this server.\n", s.Last())
	if err := s.Close(); err != nil {
		return &exitError{code: exitData, err: err}
	}
	return nil
}

// salvageLog shortens a damaged log, or says what it would do.
func salvageLog(out io.Writer, logDir string, yes bool) error {
	d, err := file.FindDamage(vfs.Default, logDir)
	if err != nil {
		return fmt.Errorf("nothing can be salvaged: %w", err)
	}
	if d == nil {
		fmt.Fprintf(out, "The log in %s is whole: there is nothing to salvage.\n\n", logDir)
		if !yes {
			return errNothingToSalvage
		}
		return nil
	}
	fmt.Fprintf(out, "%v\n\nKept is the log up to %s. Lost from it is everything behind that: %s to %s, and what was written later.\nThe tree on disk stays as it is, with what it has of them.\n", d.Err, d.After, d.After+1, d.Synced)
	if !yes {
		fmt.Fprintf(out, "\nNothing was changed. Where another server, or a backup, is whole, there is more: take that instead. To keep what is left here, run this again with --yes.\n")
		return errOnlyShown
	}
	aside := filepath.Join(logDir, manifest.Aside(time.Now()))
	if _, err := file.Salvage(file.Config{FS: vfs.Default, Dir: logDir, SegmentSize: file.MinSegmentSize}, aside); err != nil {
		return err
	}
	fmt.Fprintf(out, "The damaged files were copied to %s.\n\n", aside)
	return nil
}

// founders is the new ensemble: this server, who votes, and the observers to come.
func founders(cfg *config.Config, with []string) (kernel.Ensemble, error) {
	var m config.Membership
	for _, member := range cfg.Membership.Members {
		if member.ID == cfg.ServerID {
			member.Observer = false
			m.Members = append(m.Members, member)
		}
	}
	if len(m.Members) == 0 {
		return kernel.Ensemble{}, fmt.Errorf("%s names no server.%d (myid): this server is not a member of an ensemble, and needs no recovery", cfg.File, cfg.ServerID)
	}
	for _, text := range with {
		name, value, ok := strings.Cut(text, "=")
		id, err := strconv.ParseInt(strings.TrimPrefix(name, "server."), 10, 64)
		if !ok || err != nil || !strings.HasPrefix(name, "server.") {
			return kernel.Ensemble{}, fmt.Errorf("--with %s: want server.N=host:quorumPort:electionPort", text)
		}
		member, err := config.ParseMember(id, value)
		if err != nil {
			return kernel.Ensemble{}, fmt.Errorf("--with %s: %w", text, err)
		}
		member.Observer = true
		m.Members = append(m.Members, member)
	}
	return config.ParseEnsemble(m.Text())
}

// memberLines are the server.N lines of a configuration.
func memberLines(e kernel.Ensemble) []string {
	text, _, _ := strings.Cut(e.Text, "version=")
	return strings.Split(strings.TrimSpace(text), "\n")
}
