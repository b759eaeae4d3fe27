// Package election is fast leader election as a pure core (spec zab, 4): servers tell each other whom they vote for, each turns to the best vote that it hears of, and a candidate that a quorum
// votes for is elected.
//
// Stage: the broadcast's Look begins an election, Effects.Elected ends it, and the node gives that back to the broadcast. From then on the core only answers: a server that is looking learns
// from settled ones who leads. It has no goroutine, clock or I/O; the node's loop drives it.
//
// What it promises: whoever it elects had, by (epoch, zxid), at least the history of each voter of the quorum that elected it. It does not promise that there is one leader only; the broadcast's
// promises of epochs see to that (spec zab, 4.14).
//
// Where it differs from ZooKeeper's own, on the same wire:
//   - An election settles as soon as every voter has been heard in the round, or is known to be down; ZooKeeper always waits 200 ms for a better vote. Voters of ZooKeeper that are down are waited for.
//   - Whoever settles says so to all that it knows to be looking or to follow another leader, so that nobody has to ask again.
//   - A settled server whose leader's epoch is not established yet follows another leader when it hears that a quorum does: Effects.Elected is then set without a Look before, and the broadcast
//     gives up the role that it has.
//   - A looking server answers a vote of its round that is worse than its own, or that it was sent before: a lost message costs one wait of either side, not the longest.
//   - The wait before votes are sent again does not end when something arrives, and links that are down are tried every second.
//   - What a peer said is forgotten when its link is lost, and what it said as a leader or follower when it looks again: nobody is elected by those who have changed their minds, and no dead
//     leader is followed for what it said when it lived.
//   - Malformed notifications, and configurations that cannot be read as a whole, cost their link and nothing else. A configuration is learnt from members only.
//
// Files: core.go (inputs, phases, time), vote.go (votes and their order), round.go (rounds, quorums, the decision), looking.go and settled.go (what is heard from looking and from settled
// servers), newcomer.go (servers without a history), links.go (members and links), gossip.go (configurations), answers.go (who is answered how often), notification.go (the messages).
package election
