// What must hold of a process by itself, whatever it has been through.

import type { PeerState } from '../../src/session/peerState.ts'
import type { ClientProcess } from './clientProcess.ts'
import type { Scenario } from './scenario.ts'
import type { ServerProcess } from './serverProcess.ts'

/** What is wrong with a client; empty when all is well. */
export function brokenClient({ state, stopped }: ClientProcess, scenario: Scenario): string {
  if (stopped !== '' && !scenario.mayStop.includes(stopped)) return `the client stops: ${stopped}`
  if (state.phase === 'down' && state.peer.link !== 'down') return 'the client is down, its peer is not'
  return brokenPeer(state.peer, scenario)
}

/** What is wrong with a server; empty when all is well. */
export function brokenServer({ table }: ServerProcess, scenario: Scenario): string {
  const owners = new Map<string, number>()
  for (const [conn, { phase, sid }] of table.connections) {
    if (phase !== 'attached') continue
    if (owners.has(sid)) return `connections ${owners.get(sid)} and ${conn} both speak for ${sid}`
    owners.set(sid, conn)
    if (table.sessions.get(sid)?.state.conn !== conn)
      return `connection ${conn} is attached, but ${sid} has another`
  }
  for (const [sid, { state, writer }] of table.sessions) {
    const { conn, phase, peer } = state
    if (phase === 'over') {
      if (!writer || (!writer.writing && writer.queue.length === 0)) return `${sid} is over and still kept`
      continue
    }
    if (conn !== 0 && owners.get(sid) !== conn) return `${sid} has connection ${conn}, which is not attached`
    if ((conn === 0) !== (phase === 'detached')) return `${sid} is ${phase} with connection ${conn}`
    const broken = brokenPeer(peer, scenario)
    if (broken) return broken
  }
  return ''
}

function brokenPeer(
  { inbox, outbox, backlog }: PeerState,
  { maxMessages, maxQueueMessages }: Scenario,
): string {
  if (outbox.last - outbox.acked > maxMessages) return 'more than the window is unacknowledged'
  if (outbox.sent > outbox.recorded) return 'a message was sent before its number was recorded'
  if (inbox.taken - inbox.rx > maxMessages) return 'more than the window is being handled'
  if (outbox.ring.length > Math.max(4, 2 * maxMessages)) return 'the outbox grows'
  if (inbox.started.length > Math.max(4, 2 * maxMessages)) return 'the inbox grows'
  // What comes back from a lost session is taken whatever the limits say.
  if (backlog.messages > maxQueueMessages + maxMessages) return 'the queue grows'
  const { acked, sent, last } = outbox
  if (acked > sent || sent > last) return `the outbox is torn: acked ${acked}, sent ${sent}, last ${last}`
  const { rx, settled, taken } = inbox
  if (rx > settled || settled > taken)
    return `the inbox is torn: rx ${rx}, settled ${settled}, taken ${taken}`
  return ''
}
