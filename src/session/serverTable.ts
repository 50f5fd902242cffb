// All sessions of one server, and the connections that ask for one: first frames, authentication, look-up, who may have
// what, how many there may be. A step is one method call, as in `peer.ts`. While it is `busy` with a connection, the
// frames behind wait outside.

import { CLOSE } from './closeCodes.ts'
import type { Open, Resume } from './control.ts'
import { decodeFrame, type Frame } from './frames.ts'
import { FIRST_FRAME_LENGTH, FIRST_FRAME_MS, type WindowLimits } from './limits.ts'
import {
  type NewSession,
  newServerSession,
  type ServerHost,
  type ServerOptions,
  ServerSession,
  type ServerState,
} from './serverSession.ts'
import type { StoredSession, Write } from './store.ts'

/** What a table has done by whoever owns it. */
export interface TableHost {
  /** Ends a connection. `gone` must not be called for it. */
  hangUp(conn: number, code: number, reason: string): void
  /** Finds out whom the token of a first frame speaks for; answered by `authenticated`. */
  authenticate(conn: number, auth: string | undefined): void
  /**
   * Looks a session up in the store; answered by `found`. Only with `durable`. The store is read after all writes of that
   * session are recorded that were asked for before: one that has just ended must not come back as it was.
   */
  lookUp(conn: number, sid: string): void
  /** A name (128 random bits) and a secret (256). */
  makeNames(): { sid: string; key: string }
  /** What is kept of a key. Equal keys have equal digests. */
  digest(key: string): string
  /** Whether two digests are the same, in a time that does not tell where they differ. */
  same(one: string, other: string): boolean
  /** What a session of this table has done. */
  host(sid: string, table: ServerTable): ServerHost
  /** A session has come into memory: it is new, or was found in the store. */
  begun(session: ServerSession, restored: boolean): void
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
  readonly sessions: Map<string, ServerState>
}

export function newTable(): TableState {
  return { connections: new Map(), sessions: new Map() }
}

export class ServerTable {
  readonly state: TableState
  readonly sessions = new Map<string, ServerSession>()
  readonly #options: TableOptions
  readonly #host: TableHost
  /** How many sessions each principal has. */
  readonly #counts = new Map<string, number>()

  constructor(state: TableState, options: TableOptions, host: TableHost) {
    this.state = state
    this.#options = options
    this.#host = host
    for (const [sid, session] of state.sessions)
      this.#keep(sid, new ServerSession(session, options.session, host.host(sid, this)))
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

  /** Whether the frames of a connection have to wait. */
  busy(conn: number): boolean {
    const connection = this.state.connections.get(conn)
    if (!connection || connection.phase === 'fresh') return false
    if (connection.phase !== 'attached') return true
    const session = this.sessions.get(connection.sid)
    return session !== undefined && session.state.conn === conn && session.state.phase !== 'up'
  }

  /** A frame came in on a connection that is not busy. */
  frame(conn: number, frame: Frame, now: number): void {
    const connection = this.state.connections.get(conn)
    if (!connection) return
    if (connection.phase === 'attached') this.sessions.get(connection.sid)?.frame(conn, frame, now)
    else if (connection.phase === 'fresh') this.#first(conn, connection, frame, now)
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
    if (stored && !this.sessions.has(sid)) this.restore(stored, now)
    this.#resume(conn, connection, now)
  }

  /** Takes up a session that the store remembers. */
  restore(stored: StoredSession, now: number): void {
    const { sid } = stored.session
    const session = ServerSession.restored(stored, this.#options.session, this.#host.host(sid, this), now)
    this.#keep(sid, session)
    this.#host.begun(session, true)
  }

  /** A fact about a session is recorded. */
  stored(sid: string, write: Write, now: number): void {
    this.sessions.get(sid)?.stored(write, now)
  }

  /** A connection has ended by itself. `code`: what the client said, or 1006. */
  gone(conn: number, now: number, code: number = CLOSE.silent): void {
    const connection = this.state.connections.get(conn)
    if (!connection) return
    this.state.connections.delete(conn)
    if (connection.sid !== '') this.sessions.get(connection.sid)?.detach(conn, code, now)
  }

  /** The host has ended a connection because a session said so. */
  hungUp(conn: number): void {
    this.state.connections.delete(conn)
  }

  /** A session is over: nothing of it is kept. */
  forget(sid: string): void {
    const session = this.sessions.get(sid)
    if (!session) return
    this.sessions.delete(sid)
    this.state.sessions.delete(sid)
    const { principal } = session.state
    const left = (this.#counts.get(principal) ?? 1) - 1
    if (left > 0) this.#counts.set(principal, left)
    else this.#counts.delete(principal)
    // What is being looked up was read before it came to this: who asks again is told the truth.
    for (const [conn, { phase, asked }] of this.state.connections)
      if (phase === 'lookingUp' && (asked as Resume).sid === sid)
        this.#refuse(conn, CLOSE.goingAway, 'the session is not here')
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
    this.#host.authenticate(conn, control.auth)
  }

  #admit(conn: number, connection: ConnectionState, now: number): void {
    const asked = connection.asked as Open | Resume
    if (asked.t === 'open') this.#open(conn, connection, asked, now)
    else if (this.sessions.has(asked.sid) || !this.#options.session.durable)
      this.#resume(conn, connection, now)
    else {
      connection.phase = 'lookingUp'
      this.#host.lookUp(conn, asked.sid)
    }
  }

  #open(conn: number, connection: ConnectionState, { ttl = Infinity }: Open, now: number): void {
    const principal = connection.principal as string
    if (!this.#makeRoom(principal)) {
      this.#refuse(conn, CLOSE.tooMany, 'too many sessions')
      return
    }
    const { sid, key } = this.#host.makeNames()
    const made: NewSession = {
      sid,
      key,
      keyHash: this.#host.digest(key),
      principal,
      ttl: Math.min(ttl, this.#options.ttl),
      limits: this.#options.limits,
    }
    const state = newServerSession(made)
    const session = new ServerSession(state, this.#options.session, this.#host.host(sid, this))
    this.#keep(sid, session)
    this.#attach(connection, sid)
    this.#host.begun(session, false)
    session.begin(conn, now)
  }

  #resume(conn: number, connection: ConnectionState, now: number): void {
    const { sid, key, epoch, rx } = connection.asked as Resume
    const session = this.sessions.get(sid)
    // Unknown, wrong key and wrong principal look alike.
    const digest = this.#host.digest(key)
    const known = session?.state
    if (
      !session ||
      !known ||
      !this.#host.same(known.keyHash, digest) ||
      known.principal !== connection.principal
    ) {
      this.#refuse(conn, CLOSE.gone, 'unknown session')
      return
    }
    this.#attach(connection, sid)
    session.resume(conn, epoch, rx, now)
  }

  #attach(connection: ConnectionState, sid: string): void {
    connection.phase = 'attached'
    connection.asked = null
    connection.sid = sid
  }

  #keep(sid: string, session: ServerSession): void {
    this.sessions.set(sid, session)
    this.state.sessions.set(sid, session.state)
    const { principal } = session.state
    this.#counts.set(principal, (this.#counts.get(principal) ?? 0) + 1)
  }

  #refuse(conn: number, code: number, reason: string): void {
    this.state.connections.delete(conn)
    this.#host.hangUp(conn, code, reason)
  }

  /** Whether one more session fits. Detached ones never heard from since `opened` go first. */
  #makeRoom(principal: string): boolean {
    const { maxSessions, maxSessionsPerPrincipal } = this.#options
    const own = (session: ServerSession) => session.state.principal === principal
    if ((this.#counts.get(principal) ?? 0) >= maxSessionsPerPrincipal && !this.#evict(own)) return false
    return this.sessions.size < maxSessions || this.#evict(() => true)
  }

  #evict(matches: (session: ServerSession) => boolean): boolean {
    for (const session of this.sessions.values()) {
      if (session.state.phase !== 'detached' || session.state.heard || !matches(session)) continue
      session.end('evicted')
      return true
    }
    return false
  }
}
