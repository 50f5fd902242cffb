// All sessions of one server, and the connections that ask for one: first frames, authentication, look-up, who may have
// what, how many there may be. A step is one method call, as in `peer.ts`. While it is `busy` with a connection, the
// frames behind wait outside.

import { CLOSE } from './closeCodes.ts'
import type { Open, Resume } from './control.ts'
import { EffectList } from './effects.ts'
import { decodeFrame, type Frame } from './frames.ts'
import { FIRST_FRAME_LENGTH, FIRST_FRAME_MS, type WindowLimits } from './limits.ts'
import {
  type NewSession,
  newServerSession,
  type ServerOptions,
  ServerSession,
  type ServerState,
} from './serverSession.ts'
import type { StoredSession } from './store.ts'

/** What a step of the table asks for, in order. */
export type TableEffect<T> =
  /** End a connection. `gone` is not called for it. */
  | { readonly do: 'hangUp'; readonly conn: number; readonly code: number; readonly reason: string }
  /** Find out whom the token of a first frame speaks for; answered by `authenticated`. */
  | { readonly do: 'authenticate'; readonly conn: number; readonly auth: string | undefined }
  /**
   * Look a session up in the store; answered by `found`. Only with `durable`. The store is read after all writes of that
   * session are recorded that were asked for before: one that has just ended must not come back as it was.
   */
  | { readonly do: 'lookUp'; readonly conn: number; readonly sid: string }
  /** A session has taken a step: its own effects are to be carried out. */
  | { readonly do: 'stepped'; readonly session: T }
  /** The same, and it has come into memory: it is new, or was found in the store. */
  | {
      readonly do: 'begun'
      readonly session: T
      readonly restored: boolean
      /** Under which the store knows it. */
      readonly epoch: number
    }

/** How names and secrets are made and compared. */
export interface SessionKeys {
  /** A name (128 random bits) and a secret (256). */
  makeNames(): { sid: string; key: string }
  /** What is kept of a key. Equal keys have equal digests. */
  digest(key: string): string
  /** Whether two digests are the same, in a time that does not tell where they differ. */
  same(one: string, other: string): boolean
}

export interface TableOptions {
  readonly session: ServerOptions
  readonly limits: WindowLimits
  /** Milliseconds a session outlives its connection, unless the client wishes for less. */
  readonly ttl: number
  readonly maxSessions: number
  readonly maxSessionsPerPrincipal: number
}

/** Plain data. */
export interface ConnectionState {
  /** Who it speaks for, when the upgrade said so. */
  principal: string | undefined
  phase: 'fresh' | 'authenticating' | 'lookingUp' | 'attached'
  /** When it is closed if there is no first frame. */
  deadline: number
  /** The first frame, while it is being answered. */
  asked: Open | Resume | null
  /** Its session, once there is one. */
  sid: string
}

/** Plain data. */
export interface TableState {
  readonly connections: Map<number, ConnectionState>
}

export function newTable(): TableState {
  return { connections: new Map() }
}

/** What a session is kept with. There is one map of them, and who is over stays there until it is forgotten. */
export interface Kept {
  readonly sid: string
  readonly machine: ServerSession
  /** Whether it counts as one of its principal's: the table's own. */
  counted: boolean
}

export class ServerTable<T extends Kept> {
  readonly state: TableState
  readonly sessions = new Map<string, T>()
  /** What is to be done, in order: whoever calls a step carries it out, and empties the list. */
  readonly effects = new EffectList<TableEffect<T>>()
  readonly #options: TableOptions
  readonly #keys: SessionKeys
  readonly #keep: (machine: ServerSession) => T
  /** Those that are not over, and how many of them each principal has. */
  #alive = 0
  readonly #counts = new Map<string, number>()

  /** @param keep what a session that has come into memory is kept with */
  constructor(
    state: TableState,
    options: TableOptions,
    keys: SessionKeys,
    keep: (machine: ServerSession) => T,
  ) {
    this.state = state
    this.#options = options
    this.#keys = keys
    this.#keep = keep
  }

  /** A session that a table had before, for a test that takes up its state. */
  takeUp(session: T): void {
    this.#count(session)
  }

  /** A connection has come. `principal`: whom it speaks for, where the upgrade was authenticated. */
  arrived(conn: number, principal: string | undefined, now: number): void {
    this.state.connections.set(conn, {
      principal,
      phase: 'fresh',
      deadline: now + FIRST_FRAME_MS,
      asked: null,
      sid: '',
    })
  }

  /** A session that can be resumed. */
  alive(sid: string): T | undefined {
    const session = this.sessions.get(sid)
    return session?.machine.state.phase === 'over' ? undefined : session
  }

  /** Whether the frames of a connection have to wait. */
  busy(conn: number): boolean {
    const connection = this.state.connections.get(conn)
    if (!connection || connection.phase === 'fresh') return false
    if (connection.phase !== 'attached') return true
    const state = this.sessions.get(connection.sid)?.machine.state
    return state !== undefined && state.conn === conn && state.phase !== 'up'
  }

  /** The session that a connection has been given; `undefined` while it has none, and once that is over. */
  sessionOf(conn: number): T | undefined {
    const connection = this.state.connections.get(conn)
    return connection?.phase === 'attached' ? this.alive(connection.sid) : undefined
  }

  /** The first frame of a connection came in; later ones are for its session. */
  first(conn: number, frame: Frame, now: number): void {
    const connection = this.state.connections.get(conn)
    if (connection?.phase === 'fresh') this.#first(conn, connection, frame, now)
  }

  /** The answer to `authenticate`; `undefined`: refused. */
  authenticated(conn: number, principal: string | undefined, now: number): void {
    const connection = this.state.connections.get(conn)
    if (connection?.phase !== 'authenticating') return
    if (principal === undefined) {
      this.#refuse(conn, CLOSE.notAuthenticated, 'not authenticated')
      return
    }
    connection.principal = principal
    this.#admit(conn, connection, now)
  }

  /** The answer to `lookUp`. */
  found(conn: number, stored: StoredSession | undefined, now: number): void {
    const connection = this.state.connections.get(conn)
    if (connection?.phase !== 'lookingUp') return
    const { sid } = connection.asked as Resume
    // Another connection may have brought it meanwhile.
    if (stored && !this.alive(sid)) this.restore(stored, now)
    this.#resume(conn, connection, now)
  }

  /** Takes up a session that the store remembers. */
  restore(stored: StoredSession, now: number): void {
    const session = this.#add(ServerSession.restored(stored, this.#options.session, now))
    this.effects.push({ do: 'begun', session, restored: true, epoch: session.machine.state.epoch })
  }

  /** A connection has ended by itself. `code`: what the client said, or 1006. */
  gone(conn: number, now: number, code: number = CLOSE.silent): void {
    const session = this.sessionOf(conn)
    this.state.connections.delete(conn)
    if (!session) return
    session.machine.detach(conn, code, now)
    this.effects.push({ do: 'stepped', session })
  }

  /** A connection was ended because a session said so. */
  hungUp(conn: number): void {
    this.state.connections.delete(conn)
  }

  /** A session is over: nobody can resume it any more, and it makes room. */
  over(session: T): void {
    if (!session.counted) return
    session.counted = false
    this.#alive -= 1
    const { sid } = session
    const { principal } = session.machine.state
    const left = (this.#counts.get(principal) ?? 1) - 1
    if (left > 0) this.#counts.set(principal, left)
    else this.#counts.delete(principal)
    // What is being looked up was read before it came to this: who asks again is told the truth.
    for (const [conn, { phase, asked }] of this.state.connections)
      if (phase === 'lookingUp' && (asked as Resume).sid === sid)
        this.#refuse(conn, CLOSE.goingAway, 'the session is not here')
  }

  /** Nothing of a session that is over is left to be recorded: another may come by its name. */
  forget(session: T): void {
    this.over(session)
    if (this.sessions.get(session.sid) === session) this.sessions.delete(session.sid)
  }

  /** Closes the connections that have said nothing in time. Returns when to look again. */
  wake(now: number): number {
    let next = Infinity
    for (const [conn, { phase, deadline }] of this.state.connections) {
      if (phase !== 'fresh') continue
      if (deadline <= now) this.#refuse(conn, CLOSE.tooLate, 'no first frame in time')
      else next = Math.min(next, deadline)
    }
    return next
  }

  #first(conn: number, connection: ConnectionState, frame: Frame, now: number): void {
    const decoded =
      typeof frame === 'string' && frame.length <= FIRST_FRAME_LENGTH ? decodeFrame(frame) : null
    const control = decoded?.kind === 'control' ? decoded.control : null
    if (control?.t !== 'open' && control?.t !== 'resume') {
      this.#refuse(conn, CLOSE.protocol, 'the first frame must be "open" or "resume"')
      return
    }
    connection.asked = control
    if (connection.principal !== undefined) {
      this.#admit(conn, connection, now)
      return
    }
    connection.phase = 'authenticating'
    this.effects.push({ do: 'authenticate', conn, auth: control.auth })
  }

  #admit(conn: number, connection: ConnectionState, now: number): void {
    const asked = connection.asked as Open | Resume
    if (asked.t === 'open') this.#open(conn, connection, asked, now)
    else if (this.alive(asked.sid) || !this.#options.session.durable) this.#resume(conn, connection, now)
    else {
      connection.phase = 'lookingUp'
      this.effects.push({ do: 'lookUp', conn, sid: asked.sid })
    }
  }

  #open(conn: number, connection: ConnectionState, { ttl = Infinity }: Open, now: number): void {
    const principal = connection.principal as string
    if (!this.#makeRoom(principal)) {
      this.#refuse(conn, CLOSE.tooMany, 'too many sessions')
      return
    }
    const { sid, key } = this.#keys.makeNames()
    const made: NewSession = {
      sid,
      key,
      keyHash: this.#keys.digest(key),
      principal,
      ttl: Math.min(ttl, this.#options.ttl),
      limits: this.#options.limits,
    }
    const session = this.#add(new ServerSession(newServerSession(made), this.#options.session))
    this.#attach(connection, sid)
    session.machine.begin(conn, now)
    this.effects.push({ do: 'begun', session, restored: false, epoch: 0 })
  }

  #resume(conn: number, connection: ConnectionState, now: number): void {
    const resume = connection.asked as Resume
    const { sid } = resume
    const session = this.alive(sid)
    // Unknown, wrong key and wrong principal look alike.
    const digest = this.#keys.digest(resume.key)
    const known = session?.machine.state
    if (
      !session ||
      !known ||
      !this.#keys.same(known.keyHash, digest) ||
      known.principal !== connection.principal
    ) {
      this.#refuse(conn, CLOSE.gone, 'unknown session')
      return
    }
    this.#attach(connection, sid)
    session.machine.resume(conn, resume, now)
    this.effects.push({ do: 'stepped', session })
  }

  #attach(connection: ConnectionState, sid: string): void {
    connection.phase = 'attached'
    connection.asked = null
    connection.sid = sid
  }

  #add(machine: ServerSession): T {
    const kept = this.#keep(machine)
    this.#count(kept)
    return kept
  }

  #count(kept: T): void {
    const { principal, phase } = kept.machine.state
    this.sessions.set(kept.sid, kept)
    kept.counted = phase !== 'over'
    if (!kept.counted) return
    this.#alive += 1
    this.#counts.set(principal, (this.#counts.get(principal) ?? 0) + 1)
  }

  #refuse(conn: number, code: number, reason: string): void {
    this.state.connections.delete(conn)
    this.effects.push({ do: 'hangUp', conn, code, reason })
  }

  /** Whether one more session fits. Detached ones never heard from since `opened` go first. */
  #makeRoom(principal: string): boolean {
    const { maxSessions, maxSessionsPerPrincipal } = this.#options
    const own = (state: ServerState) => state.principal === principal
    if ((this.#counts.get(principal) ?? 0) >= maxSessionsPerPrincipal && !this.evict(own)) return false
    return this.#alive < maxSessions || this.evict(() => true)
  }

  /** Ends one session that matches and was never heard from; false when there is none. */
  evict(matches: (state: ServerState, kept: T) => boolean): boolean {
    for (const session of this.sessions.values()) {
      const { state } = session.machine
      if (state.phase !== 'detached' || state.heard || !matches(state, session)) continue
      session.machine.end('evicted')
      this.over(session)
      this.effects.push({ do: 'stepped', session })
      return true
    }
    return false
  }
}
