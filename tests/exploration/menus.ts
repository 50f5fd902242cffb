// What a process can do whatever the rest of the world is like.

import { backlogEntries } from '../../src/session/backlog.ts'
import type { ClientEvent, ClientProcess } from './clientProcess.ts'
import type { Budget } from './scenario.ts'
import type { ServerEvent, ServerProcess } from './serverProcess.ts'

export interface Choice<Event> {
  /** The same for equal events only. */
  readonly code: string
  readonly event: Event
  readonly label: string
  /** What it uses up; nothing when it happens by itself. */
  readonly spend: keyof Budget | undefined
}

/** What a client can do whatever the rest of the world is like. */
export function clientMenu(process: ClientProcess, budget: Partial<Budget>): Choice<ClientEvent>[] {
  const { state, running, failed, stopped } = process
  const { peer } = state
  const menu: Choice<ClientEvent>[] = []
  const add = (event: ClientEvent, code: string, label: string, spend?: keyof Budget) => {
    if (spend === undefined || budget[spend]) menu.push({ code, event, label, spend })
  }
  running.forEach(({ message }, index) => {
    add({ do: 'settle', index }, `settle ${index}`, `has handled ${message}`)
  })
  if (stopped !== '') {
    if (stopped !== 'closed') add({ do: 'goOn' }, 'goOn', 'is told to go on', 'returns')
    return menu
  }
  if (!failed) add({ do: 'storeFails' }, 'storeFails', 'finds its store broken', 'storeFailures')
  if (peer.inbox.ackAt !== -1 && peer.link !== 'down') add({ do: 'ackIsDue' }, 'ack', 'finds its ack due')
  if (state.leaveAt !== -1 && state.phase !== 'down')
    add({ do: 'leave' }, 'leave', 'leaves as it was asked to')
  if (peer.heartbeat?.pingedAt === -1) add({ do: 'ping' }, 'ping', 'asks for a sign of life', 'pings')
  else if (peer.heartbeat) add({ do: 'silence' }, 'silence', 'hears nothing for too long', 'cuts')
  if (peer.inbox.settled < peer.inbox.taken)
    add({ do: 'giveUp' }, 'giveUp', 'gives up the handlers that run', 'giveUps')
  if (peer.backlog.expiresAt !== -1) add({ do: 'ttlIsOver' }, 'ttl', 'drops what has waited too long', 'ttls')
  for (const { payload } of backlogEntries(peer.backlog)) {
    const message = String(payload)
    add({ do: 'cancel', message }, `cancel ${message}`, `takes ${message} back`, 'cancels')
  }
  if (state.phase !== 'closing') add({ do: 'close' }, 'close', 'is closed by its app', 'closes')
  add({ do: 'dispose' }, 'dispose', 'is disposed of', 'disposals')
  return menu
}

/** What a server can do whatever the rest of the world is like. */
export function serverMenu(process: ServerProcess, budget: Partial<Budget>): Choice<ServerEvent>[] {
  const { running, table, lookUps, checks, stale } = process
  const menu: Choice<ServerEvent>[] = []
  const add = (event: ServerEvent, code: string, label: string, spend?: keyof Budget) => {
    if (spend === undefined || budget[spend]) menu.push({ code, event, label, spend })
  }
  running.forEach(({ message }, index) => {
    add({ do: 'settle', index }, `settle ${index}`, `has handled ${message}`)
  })
  // What it would do by itself waits until it knows.
  if (stale) {
    add({ do: 'notice' }, 'notice', 'finds out that its lease has run out')
    return menu
  }
  lookUps.forEach(({ read, conn }, index) => {
    if (read)
      add({ do: 'found', index }, `found ${index}`, `has looked up the session for connection ${conn}`)
  })
  checks.forEach(({ conn }, index) => {
    add({ do: 'checked', index }, `checked ${index}`, `hears whose connection ${conn} is`)
    add({ do: 'refused', index }, `refused ${index}`, `hears that connection ${conn} is nobody's`, 'refusals')
  })
  if ([...table.connections.values()].some(({ phase }) => phase === 'fresh'))
    add({ do: 'firstFrameIsLate' }, 'late', 'closes those who have said nothing', 'lateFirsts')
  if (table.sessions.size > 0)
    add({ do: 'lapse' }, 'lapse', 'stands still until its lease has run out', 'lapses')
  for (const [sid, { state, writer }] of table.sessions) {
    const { peer, phase } = state
    if (writer?.prune && !writer.writing)
      add({ do: 'prune', sid }, `prune ${sid}`, `has what has arrived in ${sid} forgotten`)
    if (phase === 'over') continue
    if (peer.inbox.ackAt !== -1 && peer.link !== 'down')
      add({ do: 'ackIsDue', sid }, `ack ${sid}`, `finds its ack due in ${sid}`)
    if (peer.heartbeat?.pingedAt === -1)
      add({ do: 'ping', sid }, `ping ${sid}`, `asks for a sign of life in ${sid}`, 'pings')
    else if (peer.heartbeat)
      add({ do: 'silence', sid }, `silence ${sid}`, `hears nothing for too long in ${sid}`, 'cuts')
    if (peer.inbox.settled < peer.inbox.taken)
      add({ do: 'giveUp', sid }, `giveUp ${sid}`, `gives up the handlers of ${sid}`, 'giveUps')
    if (phase === 'detached') add({ do: 'expire', sid }, `expire ${sid}`, `lets ${sid} expire`, 'expiries')
    if (phase === 'up') add({ do: 'goAway', sid }, `goAway ${sid}`, `asks ${sid} to leave`, 'goAways')
    add({ do: 'end', sid }, `end ${sid}`, `ends ${sid}`, 'ends')
  }
  return menu
}
