// A server process: the table of sessions that ships, and around it what a host keeps: handlers that run, writes under
// way, look-ups and authentications that wait for their answer, which message is which.

import type { Entry } from '../../src/session/entry.ts'
import type { ServerHost } from '../../src/session/serverSession.ts'
import type { ServerTable, TableHost, TableOptions, TableState } from '../../src/session/serverTable.ts'
import type { Write } from '../../src/session/store.ts'
import type { Box, Shelf } from './disk.ts'
import { type Effect, type Outcome, type Running, Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy, Interner } from './interner.ts'
import { ACK_AT, dueAt, EXPIRES_AT, GIVE_UP_AT, LEAVE_AT, PING_AT, PONG_WITHIN, withoutAck } from './times.ts'

/** A write of a session, and the epoch that its process held then. */
export interface ServerWrite {
  readonly sid: string
  readonly epoch: number
  readonly write: Write
}

export interface ServerProcess {
  table: TableState
  running: Running[]
  queue: ServerWrite[]
  names: [sid: string, seq: number, message: string][]
  /** Connections whose session is being looked up; what was found, once the store was read. */
  lookUps: { conn: number; sid: string; read: boolean; found: Box | undefined }[]
  /** Connections whose token is being checked. */
  checks: { conn: number; auth: string | undefined }[]
  /** Sessions that it let go of because another process had asked for them. */
  owed: string[]
  /** Its lease has run out, and it does not know yet: it says nothing, and hears nothing. */
  stale: boolean
  /** Sessions that this server ever began: names are never made twice, whatever dies. */
  made: number
}

export type ServerEvent =
  | { readonly do: 'arrived'; readonly conn: number; readonly principal: string | undefined }
  | { readonly do: 'frame'; readonly conn: number; readonly frame: string }
  | { readonly do: 'gone'; readonly conn: number; readonly code: number }
  | { readonly do: 'send'; readonly sid: string; readonly message: string; readonly bytes: number }
  | { readonly do: 'settle'; readonly index: number }
  | { readonly do: 'stored' | 'stale'; readonly index: number }
  | {
      readonly do: 'ackIsDue' | 'expire' | 'giveUp' | 'ping' | 'silence' | 'goAway' | 'end' | 'letGo'
      readonly sid: string
    }
  | { readonly do: 'read'; readonly index: number; readonly box: Box | undefined }
  | { readonly do: 'found' | 'checked' | 'refused'; readonly index: number }
  | { readonly do: 'firstFrameIsLate' }
  /** Its lease has run out; it finds out. */
  | { readonly do: 'lapse' | 'notice' }
  | { readonly do: 'restart'; readonly shelf: Shelf }
  | { readonly do: 'takeUp'; readonly box: Box }

export class ServerProcesses {
  readonly all = new Interner<ServerProcess>(keyOf)
  readonly #engine: Engine
  readonly #options: TableOptions

  constructor(engine: Engine, options: TableOptions) {
    this.#engine = engine
    this.#options = options
  }

  fresh(made = 0): number {
    return this.all.id(this.#blank(made))
  }

  step(from: number, event: ServerEvent): Outcome {
    const effects: Effect[] = []
    let process = copy(this.all.get(from))
    if (event.do === 'restart') process = this.#blank(process.made)
    try {
      this.#perform(process, event, effects)
    } catch (error) {
      const violation = error instanceof Violation ? error.message : `it throws: ${(error as Error).stack}`
      return { next: from, effects, violation }
    }
    tidy(process)
    // Before anything is put on the wire, it looks whether its lease still holds.
    const said = process.stale ? effects.filter((effect) => effect.do !== 'send') : effects
    return { next: this.all.id(process), effects: said, violation: '' }
  }

  /** Whether the frames of a connection have to wait. */
  busy(process: number, conn: number): boolean {
    const { table } = copy(this.all.get(process))
    return new this.#engine.ServerTable(table, this.#options, this.#host(this.all.get(process), [])).busy(
      conn,
    )
  }

  /** The same process with a connection's name taken out: later ones are one less from now on. */
  withoutConn(from: number, conn: number): number {
    const process = copy(this.all.get(from))
    const { table, lookUps, checks } = process
    const less = (one: number) => (one > conn ? one - 1 : one)
    const connections = new Map([...table.connections].map(([one, state]) => [less(one), state]))
    for (const session of table.sessions.values()) session.conn = less(session.conn)
    for (const one of [...lookUps, ...checks]) one.conn = less(one.conn)
    return this.all.id({ ...process, table: { ...table, connections } })
  }

  #blank(made: number): ServerProcess {
    return {
      table: this.#engine.newTable(),
      running: [],
      queue: [],
      names: [],
      lookUps: [],
      checks: [],
      owed: [],
      stale: false,
      made,
    }
  }

  #perform(process: ServerProcess, event: ServerEvent, effects: Effect[]): void {
    const table = new this.#engine.ServerTable(process.table, this.#options, this.#host(process, effects))
    const note = (text: string) => void effects.push({ do: 'note', note: text })
    switch (event.do) {
      case 'arrived':
        table.arrived(event.conn, event.principal, 0)
        return
      case 'frame':
        table.frame(event.conn, event.frame, 0)
        return
      case 'gone':
        table.gone(event.conn, 0, event.code)
        return
      case 'send': {
        const { sid, message, bytes } = event
        const peer = table.sessions.get(sid)?.peer
        if (!peer) return
        process.names.push([sid, peer.state.seq + 1, message])
        const result = peer.send(-1, message, bytes, 0)
        if (result === 'taken' && !this.#options.session.durable) note(`accepted ${message}`)
        if (result !== 'taken' && result !== 'dropped') process.names.pop()
        return
      }
      case 'settle': {
        const [{ sid, number, message }] = process.running.splice(event.index, 1) as [Running]
        note(`settled ${message} ${sid} BY`)
        table.sessions.get(sid)?.peer.settled(sid, number, 0)
        return
      }
      case 'stored': {
        const [{ sid, write }] = process.queue.splice(event.index, 1) as [ServerWrite]
        table.stored(sid, write, 0)
        return
      }
      case 'stale': {
        const [{ sid }] = process.queue.splice(event.index, 1) as [ServerWrite]
        table.sessions.get(sid)?.fenced()
        this.#letGo(process, table, sid)
        return
      }
      case 'letGo': {
        const { sid } = event
        process.owed = [...process.owed.filter((one) => one !== sid), sid]
        table.sessions.get(sid)?.fenced()
        this.#letGo(process, table, sid)
        return
      }
      case 'lapse':
        process.stale = true
        return
      case 'notice':
        process.stale = false
        for (const sid of [...process.table.sessions.keys()]) {
          table.sessions.get(sid)?.fenced()
          this.#letGo(process, table, sid)
        }
        return
      case 'ackIsDue':
        table.sessions.get(event.sid)?.wake(ACK_AT)
        return
      case 'giveUp': {
        const session = table.sessions.get(event.sid)
        const inbox = session?.state.peer.inbox
        if (session && inbox) withoutAck(inbox, () => session.wake(GIVE_UP_AT))
        return
      }
      case 'ping':
      case 'silence': {
        const session = table.sessions.get(event.sid)
        const at = event.do === 'ping' ? PING_AT : PING_AT + PONG_WITHIN
        if (session) withoutAck(session.state.peer.inbox, () => session.wake(at))
        return
      }
      case 'expire':
        table.sessions.get(event.sid)?.wake(EXPIRES_AT)
        return
      case 'goAway':
        table.sessions.get(event.sid)?.goAway(LEAVE_AT, 'draining')
        return
      case 'end':
        table.sessions.get(event.sid)?.end('ended')
        return
      case 'read':
        process.owed = process.owed.filter((one) => one !== process.lookUps[event.index]?.sid)
        Object.assign(process.lookUps[event.index] ?? {}, { read: true, found: event.box })
        return
      case 'found': {
        const [{ conn, found }] = process.lookUps.splice(event.index, 1) as [ServerProcess['lookUps'][0]]
        const session = found?.session
        table.found(conn, session && found ? copy({ session, waiting: found.waiting }) : undefined, 0)
        return
      }
      case 'checked': {
        const [{ conn, auth }] = process.checks.splice(event.index, 1) as [ServerProcess['checks'][0]]
        table.authenticated(conn, auth === undefined || auth === 'wrong' ? undefined : auth, 0)
        return
      }
      case 'refused': {
        const [{ conn }] = process.checks.splice(event.index, 1) as [ServerProcess['checks'][0]]
        table.authenticated(conn, undefined, 0)
        return
      }
      case 'firstFrameIsLate':
        table.wake(Number.MAX_SAFE_INTEGER)
        return
      case 'takeUp': {
        const { session, waiting } = event.box
        if (session) table.restore(copy({ session, waiting }), 0)
        return
      }
      case 'restart':
        for (const box of Object.values(event.shelf))
          if (box.session) table.restore(copy({ session: box.session, waiting: box.waiting }), 0)
    }
  }

  /** Another process has the session: what this one has of it is not its affair any more. */
  #letGo(process: ServerProcess, table: ServerTable, sid: string): void {
    table.forget(sid)
    process.queue = process.queue.filter((one) => one.sid !== sid)
    process.names = process.names.filter(([of]) => of !== sid)
  }

  #host(process: ServerProcess, effects: Effect[]): TableHost {
    const note = (text: string) => void effects.push({ do: 'note', note: text })
    const hangUp = (table: () => ServerTable, conn: number, code: number, reason: string) => {
      effects.push({ do: 'hangUp', conn, code })
      if (code === 4400) note(`protocol error: the server says ${reason}`)
      table().hungUp(conn)
    }
    return {
      // Of a connection that has no session: the table has let go of it.
      hangUp: (conn, code, reason) => {
        effects.push({ do: 'hangUp', conn, code })
        if (code === 4400) note(`protocol error: the server says ${reason}`)
      },
      authenticate: (conn, auth) => void process.checks.push({ conn, auth }),
      lookUp: (conn, sid) => void process.lookUps.push({ conn, sid, read: false, found: undefined }),
      makeNames: () => {
        process.made += 1
        return { sid: `s${process.made}`, key: `k${process.made}` }
      },
      digest: (key) => `#${key}`,
      same: (one, other) => one === other,
      host: (sid, table) => this.#sessionHost(process, effects, sid, table, hangUp),
      begun: (session, restored) => {
        if (!restored) return
        const { sid } = session.state.peer
        const { outbox, waiting } = session.state.peer
        for (const entry of [...outbox.ring, ...waiting.entries])
          if (entry && entry.seq !== 0) process.names.push([sid, entry.seq, String(entry.payload)])
      },
    }
  }

  #sessionHost(
    process: ServerProcess,
    effects: Effect[],
    sid: string,
    table: ServerTable,
    hangUp: (table: () => ServerTable, conn: number, code: number, reason: string) => void,
  ): ServerHost {
    const note = (text: string) => void effects.push({ do: 'note', note: text })
    const nameOf = (seq: number) => process.names.find(([of, known]) => of === sid && known === seq)?.[2]
    const forget = (seq: number) => {
      process.names = process.names.filter(([of, known]) => of !== sid || known !== seq)
    }
    const tell = (what: string, { payload, seq }: Entry) => {
      note(`${what} ${String(payload)}`)
      forget(seq)
    }
    const state = () => process.table.sessions.get(sid)
    return {
      send: (frame) => {
        const conn = state()?.conn ?? 0
        if (conn === 0) throw new Violation(`the server sends ${String(frame)} without a connection`)
        effects.push({ do: 'send', conn, frame: String(frame) })
      },
      deliver: (of, number, _stream, payload, flagged) => {
        const message = String(payload)
        process.running.push({ sid: of, number, message })
        effects.push({ do: 'start', sid: of, number, message, flagged })
      },
      volatile: (_stream, payload) => note(`volatile ${String(payload)}`),
      flush: () => {},
      accepted: (seq) => {
        const message = nameOf(seq)
        if (message !== undefined) note(`accepted ${message}`)
      },
      delivered: (seq) => {
        const message = nameOf(seq)
        if (message === undefined) throw new Violation(`a receipt for ${seq}, whose fate had been told`)
        note(`delivered ${message} ${sid}`)
        forget(seq)
      },
      dropped: (entry) => tell('dropped', entry),
      handlerTimedOut: (number) => note(`gaveUp ${number} ${sid} toServer`),
      ready: () => {},
      store: (write) => {
        if (!this.#options.session.durable) throw new Violation('a write although nothing is durable')
        process.queue.push({ sid, epoch: state()?.epoch ?? 0, write: copy(write) })
      },
      pong: () => {},
      hangUp: (conn, code, reason) => hangUp(() => table, conn, code, reason),
      opened: () => {},
      emptied: (entry) => tell('doubt', entry),
      ended: (_reason, undelivered) => {
        for (const entry of undelivered) tell('doubt', entry)
        table.forget(sid)
      },
    }
  }
}

/** Equal for processes that are alike: maps hold the same, in whatever order they were filled. */
function keyOf({ table, running, queue, names, lookUps, checks, owed, stale, made }: ServerProcess): string {
  const connections = [...table.connections].sort(([a], [b]) => a - b)
  const sessions = [...table.sessions].sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([connections, sessions, running, queue, names, lookUps, checks, owed, stale, made])
}

/**
 * Takes out what is left over and never read again, so that states which differ by nothing else are one.
 * `heard` is read when sessions make room for others, which the explored limits never ask for; `theirRx` while a resume
 * is recorded; `expiresAt` while nobody is connected (and its alarm rings at the one moment there is for it). Each session's writes are recorded in their order, whatever those
 * of others do.
 */
function tidy(process: ServerProcess): void {
  // Answers for connections that are over are ignored: real ones never share a name.
  const { connections } = process.table
  process.lookUps = process.lookUps.filter(({ conn }) => connections.get(conn)?.phase === 'lookingUp')
  process.checks = process.checks.filter(({ conn }) => connections.get(conn)?.phase === 'authenticating')
  for (const session of process.table.sessions.values()) {
    session.heard = true
    dueAt(session.peer.inbox)
    if (session.phase !== 'recordingEpoch') session.theirRx = 0
    session.expiresAt = session.phase === 'detached' ? EXPIRES_AT : 0
  }
  if (process.queue.length > 1) process.queue.sort((a, b) => (a.sid < b.sid ? -1 : a.sid > b.sid ? 1 : 0))
}
