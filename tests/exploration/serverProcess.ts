// A server process: the runtimes that ship, their machines and their table, and around them what apps keep. As in
// `clientProcess.ts`, a step is a function of the process and an event.

import type { ClientEffect, ServerEffect } from '../../src/session/effects.ts'
import type { SessionRuntime } from '../../src/session/SessionRuntime.ts'
import type { ServerSession, ServerState } from '../../src/session/serverSession.ts'
import type {
  ServerTable,
  Kept as TableKept,
  TableOptions,
  TableState,
} from '../../src/session/serverTable.ts'
import type { Box, Shelf } from './disk.ts'
import { type Effect, type Outcome, type Running, Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy, Interner } from './interner.ts'
import { ExploredSide, forgetCounts, type Kept, type Step, watchedReceipts } from './side.ts'
import { ACK_AT, dueAt, EXPIRES_AT, GIVE_UP_AT, LEAVE_AT, PING_AT, PONG_WITHIN, withoutAck } from './times.ts'

/** A session of a process. */
export interface KeptSession extends Kept<ServerEffect> {
  state: ServerState
  /** The connection that its frames go out on. */
  conn: number
  counted: boolean
}

export interface ServerProcess {
  table: TableState & { sessions: Map<string, KeptSession> }
  running: Running[]
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
  | {
      readonly do:
        | 'stored'
        | 'stale'
        | 'prune'
        | 'ackIsDue'
        | 'expire'
        | 'giveUp'
        | 'ping'
        | 'silence'
        | 'goAway'
        | 'end'
        | 'letGo'
      readonly sid: string
    }
  | { readonly do: 'read'; readonly index: number; readonly box: Box | undefined }
  | { readonly do: 'found' | 'checked' | 'refused'; readonly index: number }
  | { readonly do: 'firstFrameIsLate' }
  /** Its lease has run out; it finds out. */
  | { readonly do: 'lapse' | 'notice' }
  | { readonly do: 'restart'; readonly shelf: Shelf }
  | { readonly do: 'takeUp'; readonly box: Box }

/** A session while a step is taken. */
class Live implements TableKept {
  counted: boolean
  readonly sid: string
  readonly machine: ServerSession
  readonly kept: KeptSession
  runtime!: SessionRuntime<ServerEffect, ServerSession>
  side!: ExploredSide<ServerEffect>

  constructor(sid: string, machine: ServerSession, kept: KeptSession) {
    this.sid = sid
    this.machine = machine
    this.kept = kept
    this.counted = kept.counted
  }
}

export class ServerProcesses {
  readonly all = new Interner<ServerProcess>(keyOf)
  readonly #engine: Engine
  readonly #options: TableOptions
  readonly #throwing: readonly string[]

  constructor(engine: Engine, options: TableOptions, throwing: readonly string[]) {
    this.#engine = engine
    this.#options = options
    this.#throwing = throwing
  }

  fresh(made = 0): number {
    return this.all.id(this.#blank(made))
  }

  step(from: number, event: ServerEvent): Outcome {
    const effects: Effect[] = []
    let process = copy(this.all.get(from))
    if (event.do === 'restart') process = this.#blank(process.made)
    try {
      const turn = new Turn(this.#engine, this.#options, this.#throwing, process, effects)
      turn.perform(event)
      turn.end()
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
    const state = copy(this.all.get(process))
    return new Turn(this.#engine, this.#options, this.#throwing, state, []).table.busy(conn)
  }

  /** The same process with a connection's name taken out: later ones are one less from now on. */
  withoutConn(from: number, conn: number): number {
    const process = copy(this.all.get(from))
    const { table, lookUps, checks } = process
    const less = (one: number) => (one > conn ? one - 1 : one)
    const connections = new Map([...table.connections].map(([one, state]) => [less(one), state]))
    for (const session of table.sessions.values()) {
      session.state.conn = less(session.state.conn)
      session.conn = session.conn === conn ? 0 : less(session.conn)
    }
    for (const one of [...lookUps, ...checks]) one.conn = less(one.conn)
    return this.all.id({ ...process, table: { ...table, connections } })
  }

  #blank(made: number): ServerProcess {
    return {
      table: { ...this.#engine.newTable(), sessions: new Map() },
      running: [],
      names: [],
      lookUps: [],
      checks: [],
      owed: [],
      stale: false,
      made,
    }
  }
}

/** One step of a process. */
class Turn {
  readonly table: ServerTable<Live>
  readonly #engine: Engine
  readonly #options: TableOptions
  readonly #throwing: readonly string[]
  readonly #process: ServerProcess
  readonly #effects: Effect[]
  readonly #events: InstanceType<Engine['DeferredEvents']>
  /** All that had a step, those too that are gone by now. */
  readonly #all = new Set<Live>()

  constructor(
    engine: Engine,
    options: TableOptions,
    throwing: readonly string[],
    process: ServerProcess,
    effects: Effect[],
  ) {
    this.#engine = engine
    this.#options = options
    this.#throwing = throwing
    this.#process = process
    this.#effects = effects
    this.#events = new engine.DeferredEvents()
    this.table = new engine.ServerTable<Live>(
      process.table,
      options,
      {
        makeNames: () => {
          process.made += 1
          return { sid: `s${process.made}`, key: `k${process.made}` }
        },
        digest: (key) => `#${key}`,
        same: (one, other) => one === other,
      },
      (machine) => this.#begin(machine),
    )
    for (const [sid, kept] of process.table.sessions) {
      const live = this.#live(sid, new engine.ServerSession(kept.state, options.session), kept)
      this.table.takeUp(live)
    }
  }

  perform(event: ServerEvent): void {
    const process = this.#process
    const { table } = this
    switch (event.do) {
      case 'arrived':
        table.arrived(event.conn, event.principal, 0)
        break
      case 'frame': {
        const session = table.sessionOf(event.conn)
        if (session) session.machine.frame(event.conn, event.frame, 0)
        else table.first(event.conn, event.frame, 0)
        break
      }
      case 'gone':
        table.gone(event.conn, 0, event.code)
        break
      case 'send':
        this.#send(event)
        break
      case 'settle': {
        const [{ sid, number, message }] = process.running.splice(event.index, 1) as [Running]
        this.#note(`settled ${message} ${sid} BY`)
        table.alive(sid)?.machine.peer.settled(sid, number, 0)
        break
      }
      case 'lapse':
        process.stale = true
        break
      case 'notice':
        process.stale = false
        for (const live of [...table.sessions.values()]) this.#release(live)
        break
      case 'read':
        process.owed = process.owed.filter((one) => one !== process.lookUps[event.index]?.sid)
        Object.assign(process.lookUps[event.index] ?? {}, { read: true, found: event.box })
        break
      case 'found': {
        const [{ conn, found }] = process.lookUps.splice(event.index, 1) as [ServerProcess['lookUps'][0]]
        const session = found?.session
        table.found(conn, session && found ? copy({ session, waiting: found.waiting }) : undefined, 0)
        break
      }
      case 'checked': {
        const [{ conn, auth }] = process.checks.splice(event.index, 1) as [ServerProcess['checks'][0]]
        table.authenticated(conn, auth === undefined || auth === 'wrong' ? undefined : auth, 0)
        break
      }
      case 'refused': {
        const [{ conn }] = process.checks.splice(event.index, 1) as [ServerProcess['checks'][0]]
        table.authenticated(conn, undefined, 0)
        break
      }
      case 'firstFrameIsLate':
        table.wake(Number.MAX_SAFE_INTEGER)
        break
      case 'takeUp':
        this.#restore(event.box)
        break
      case 'restart':
        for (const box of Object.values(event.shelf)) this.#restore(box)
        break
      default: {
        const live = table.sessions.get(event.sid)
        if (live) this.#ofSession(live, event.do)
      }
    }
    this.#carryOut()
  }

  /** The turn is over: what waited for that is done, and what is left is written down. */
  end(): void {
    this.#events.run()
    for (const live of this.#all) live.side.endTurn()
    this.#carryOut()
    const { sessions } = this.#process.table
    sessions.clear()
    for (const [sid, { kept, counted, runtime }] of this.table.sessions)
      sessions.set(sid, { ...kept, counted, writer: runtime.writer?.state ?? null })
  }

  #send({ sid, message, bytes }: ServerEvent & { do: 'send' }): void {
    const live = this.table.alive(sid)
    if (!live) return
    const process = this.#process
    const name: ServerProcess['names'][0] = [sid, live.machine.state.peer.seq + 1, message]
    process.names.push(name)
    try {
      live.runtime.send(-1, message, bytes, true)
    } catch {
      process.names = process.names.filter((one) => one !== name)
      return
    }
    if (!live.runtime.writer && process.names.includes(name)) this.#note(`accepted ${message}`)
  }

  #ofSession(live: Live, what: Extract<ServerEvent, { sid: string }>['do']): void {
    const { machine, runtime } = live
    const { inbox } = machine.state.peer
    switch (what) {
      case 'stored':
        runtime.writer?.done('stored')
        return
      case 'prune':
        runtime.writer?.flush()
        return
      case 'stale':
        runtime.writer?.done('stale')
        return
      case 'letGo':
        this.#process.owed = [...this.#process.owed.filter((one) => one !== live.sid), live.sid]
        this.#release(live)
        return
      case 'ackIsDue':
        runtime.wake(ACK_AT)
        return
      case 'giveUp':
        withoutAck(inbox, () => runtime.wake(GIVE_UP_AT))
        return
      case 'ping':
      case 'silence': {
        const at = what === 'ping' ? PING_AT : PING_AT + PONG_WITHIN
        withoutAck(inbox, () => runtime.wake(at))
        return
      }
      case 'expire':
        runtime.wake(EXPIRES_AT)
        return
      case 'goAway':
        machine.goAway(LEAVE_AT, 'draining')
        return
      case 'end':
        machine.end('ended')
    }
  }

  #restore({ session, waiting }: Box): void {
    if (session) this.table.restore(copy({ session, waiting }), 0)
  }

  /** Does what the table and its sessions ask for, until they ask for nothing. */
  #carryOut(): void {
    const { effects } = this.table
    for (let effect = effects.take(); effect; effect = effects.take()) {
      switch (effect.do) {
        case 'hangUp':
          this.#hangUp(effect.conn, effect.code, effect.reason)
          break
        case 'authenticate':
          this.#process.checks.push({ conn: effect.conn, auth: effect.auth })
          break
        case 'lookUp':
          this.#process.lookUps.push({ conn: effect.conn, sid: effect.sid, read: false, found: undefined })
          break
        case 'begun':
          this.#begun(effect.session, effect.epoch, effect.restored)
          break
        case 'stepped':
          effect.session.runtime.carryOut()
      }
    }
    for (const { runtime } of [...this.#all]) runtime.carryOut()
  }

  #begin(machine: ServerSession): Live {
    const kept: KeptSession = {
      state: machine.state,
      runtime: this.#engine.newRuntime(),
      writer: this.#options.session.durable ? this.#engine.newWriter() : null,
      conn: 0,
      counted: true,
    }
    return this.#live(machine.state.peer.sid, machine, kept)
  }

  #live(sid: string, machine: ServerSession, kept: KeptSession): Live {
    const live = new Live(sid, machine, kept)
    const step = this.#step(live)
    const receipts = watchedReceipts(this.#engine, step)
    const { SessionRuntime } = this.#engine
    live.side = new ExploredSide<ServerEffect>(step)
    live.runtime = new SessionRuntime<ServerEffect, ServerSession>(machine, live.side, this.#events, {
      state: kept.runtime,
      writer: kept.writer,
      receipts,
    })
    this.#all.add(live)
    return live
  }

  #begun(live: Live, epoch: number, restored: boolean): void {
    const { peer } = live.machine.state
    if (live.runtime.writer) live.runtime.writer.state.held = epoch
    if (restored) {
      live.kept.runtime.recordedSeq = peer.seq
      const { rows } = peer.backlog
      for (const entry of [...peer.outbox.ring, ...rows.flatMap(({ entries }) => entries)])
        if (entry && entry.seq !== 0) this.#process.names.push([live.sid, entry.seq, String(entry.payload)])
    }
    live.runtime.carryOut()
  }

  /** Another process has the session: what this one has of it is not its affair any more. */
  #release(live: Live): void {
    live.machine.fenced()
    live.runtime.carryOut()
    live.runtime.writer?.stop()
    this.table.forget(live)
    this.#process.names = this.#process.names.filter(([of]) => of !== live.sid)
  }

  #hangUp(conn: number, code: number, reason: string): void {
    this.#effects.push({ do: 'hangUp', conn, code })
    if (code === 4400) this.#note(`protocol error: the server says ${reason}`)
    this.table.hungUp(conn)
  }

  #note(text: string): void {
    this.#effects.push({ do: 'note', note: text })
  }

  #step(live: Live): Step {
    const { sid } = live
    const process = this.#process
    const effects = this.#effects
    const forget = (seq: number) => {
      process.names = process.names.filter(([of, known]) => of !== sid || known !== seq)
    }
    return {
      direction: 'toServer',
      effects,
      running: process.running,
      throwing: this.#throwing,
      conn: () => {
        if (live.kept.conn === 0) throw new Violation('the server sends without a connection')
        return live.kept.conn
      },
      tell: (what, seq) => {
        const message = process.names.find(([of, known]) => of === sid && known === seq)?.[2]
        if (what === 'accepted') {
          if (message !== undefined) this.#note(`accepted ${message}`)
          return
        }
        if (message === undefined) throw new Violation(`${what} for ${seq}, whose fate had been told`)
        this.#note(what === 'delivered' ? `delivered ${message} ${sid}` : `${what} ${message}`)
        forget(seq)
      },
      carryOut: (effect) => this.#own(live, effect as ServerEffect),
      onEnd: (effect) => {
        if (effect.do !== 'ended') return
        for (const { seq, payload } of effect.undelivered) {
          this.#note(`doubt ${String(payload)}`)
          forget(seq)
        }
      },
      stale: () => this.#release(live),
      idle: () => {
        if (live.machine.state.phase === 'over') this.table.forget(live)
      },
    }
  }

  #own(live: Live, effect: ServerEffect | ClientEffect): void {
    switch (effect.do) {
      case 'attach':
        live.runtime.disconnected()
        live.kept.conn = (effect as ServerEffect & { do: 'attach' }).conn
        return
      case 'hangUp': {
        const { conn, code, reason } = effect as ServerEffect & { do: 'hangUp' }
        this.#hangUp(conn, code, reason)
        return
      }
      case 'ended':
        this.table.over(live)
        if (!live.runtime.writer?.busy) this.table.forget(live)
    }
  }
}

/** Equal for processes that are alike: maps hold the same, in whatever order they were filled. */
function keyOf({ table, running, names, lookUps, checks, owed, stale, made }: ServerProcess): string {
  const connections = [...table.connections].sort(([a], [b]) => a - b)
  const sessions = [...table.sessions].sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([connections, sessions, running, names, lookUps, checks, owed, stale, made])
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
    const { state, writer } = session
    state.heard = true
    dueAt(state.peer.inbox)
    if (state.phase !== 'recordingEpoch') {
      state.theirRx = 0
      state.theirTx = null
    }
    state.expiresAt = state.phase === 'detached' ? EXPIRES_AT : 0
    if (state.conn === 0) session.conn = 0
    if (writer) forgetCounts(session.runtime, writer)
  }
}
