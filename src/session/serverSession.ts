// The server's side of one session: how it begins, is resumed, left alone, ended. A step is one method call, as in
// `peer.ts`. Connections are numbers here; which one may speak for the session is decided here, who may have it in
// `serverTable.ts`.

import { CLOSE } from './closeCodes.ts'
import { encodeControl } from './control.ts'
import type { Entry } from './entry.ts'
import type { Frame } from './frames.ts'
import type { WindowLimits } from './limits.ts'
import { Peer } from './peer.ts'
import { newPeer, type PeerHost, type PeerOptions, type PeerState } from './peerState.ts'
import type { StoredSession, Write } from './store.ts'

/** Why a session is over. */
export type EndReason =
  /** The client closed it. */
  | 'closed'
  /** The client stayed away longer than its `ttl`. */
  | 'expired'
  /** One side lost memory: what the client said cannot be placed. */
  | 'memory'
  /** It had to make room for another. */
  | 'evicted'
  /** The server's app ended it. */
  | 'ended'

export interface ServerHost extends PeerHost {
  /** Ends a connection. `detach` must not be called for it. */
  hangUp(conn: number, code: number, reason: string): void
  /** Messages may be sent on the current connection. */
  opened(resumed: boolean): void
  /** A message that the client does not take for its size was emptied: whether it was handled is unknown. */
  emptied(entry: Entry): void
  /** The session is over. `undelivered`: messages that the client may not have. */
  ended(reason: EndReason, undelivered: readonly Entry[]): void
}

export interface ServerOptions extends PeerOptions {
  /** What the client is told to ping at, in milliseconds; 0 for no wish. */
  readonly pingWish: number
}

/** Plain data. */
export interface ServerState {
  readonly peer: PeerState
  /** Of the latest resume. */
  epoch: number
  readonly keyHash: string
  /** Who opened it; empty for nobody in particular. */
  readonly principal: string
  /** Milliseconds it outlives its connection. */
  readonly ttl: number
  /** The connection that may speak for it; 0 for none. */
  conn: number
  phase:
    | 'detached'
    /** It is being recorded. */
    | 'beginning'
    /** The epoch of a resume is being recorded. */
    | 'recordingEpoch'
    | 'up'
    | 'over'
  /** What the client is told once, when the session has begun. */
  key: string
  /** What the resume under way says that the client has taken. */
  theirRx: number
  /** Whether the client has said anything since `opened`. */
  heard: boolean
  /** When it is over if nobody resumes it; only while detached. */
  expiresAt: number
}

export interface NewSession {
  readonly sid: string
  readonly key: string
  readonly keyHash: string
  readonly principal: string
  readonly ttl: number
  readonly limits: WindowLimits
}

export function newServerSession({ sid, key, keyHash, principal, ttl, limits }: NewSession): ServerState {
  const peer = newPeer(limits)
  peer.sid = sid
  return {
    peer,
    epoch: 0,
    keyHash,
    principal,
    ttl,
    conn: 0,
    phase: 'detached',
    key,
    theirRx: 0,
    heard: false,
    expiresAt: 0,
  }
}

export class ServerSession {
  readonly state: ServerState
  readonly peer: Peer
  readonly #options: ServerOptions
  readonly #host: ServerHost

  constructor(state: ServerState, options: ServerOptions, host: ServerHost) {
    this.state = state
    this.#options = options
    this.#host = host
    this.peer = new Peer(state.peer, options, host)
  }

  /** A session as a store gives it back. */
  static restored(
    { session: record, waiting }: StoredSession,
    options: ServerOptions,
    host: ServerHost,
    now: number,
  ): ServerSession {
    const { sid, key: keyHash, principal, ttl, limits } = record
    const session = new ServerSession(
      newServerSession({ sid, key: '', keyHash, principal, ttl, limits }),
      options,
      host,
    )
    session.state.epoch = record.epoch
    session.state.heard = true
    session.state.expiresAt = now + ttl
    session.peer.restore(record)
    session.peer.restoreWaiting(waiting)
    return session
  }

  /** A client has opened it on this connection. */
  begin(conn: number, now: number): void {
    const { state } = this
    state.conn = conn
    if (!this.#options.durable) {
      this.#begun(now)
      return
    }
    state.phase = 'beginning'
    const { peer, keyHash: key, principal, ttl } = state
    this.#host.store({
      kind: 'begin',
      session: { sid: peer.sid, key, principal, ttl, limits: peer.limits },
    })
  }

  /** A client that may have it resumes it on another connection. */
  resume(conn: number, epoch: number, rx: number, now: number): void {
    const { state } = this
    if (epoch <= state.epoch) {
      this.#host.hangUp(conn, CLOSE.superseded, 'a newer epoch owns the session')
      return
    }
    if (state.conn !== 0) this.#host.hangUp(state.conn, CLOSE.superseded, 'a newer epoch owns the session')
    this.peer.detach()
    state.conn = conn
    state.epoch = epoch
    state.theirRx = rx
    if (!this.#options.durable) {
      this.#resumed(now)
      return
    }
    state.phase = 'recordingEpoch'
    this.#host.store({ kind: 'epoch', sid: state.peer.sid, epoch })
  }

  /** A frame came in on a connection. What is not the current one has nothing to say. */
  frame(conn: number, frame: Frame, now: number): void {
    const { state } = this
    if (conn !== state.conn || state.phase !== 'up') return
    state.heard = true
    const asked = this.peer.receive(frame, now)
    if (asked === undefined) return
    if (typeof asked === 'string') this.#violation(asked, now)
    else if (asked.t === 'close') this.#closed()
    else this.#violation(`a "${asked.t}" within a session`, now)
  }

  /** A fact is recorded. */
  stored(write: Write, now: number): void {
    const { phase, epoch } = this.state
    if (write.kind === 'begin') {
      if (phase === 'beginning') this.#begun(now)
    } else if (write.kind === 'epoch') {
      if (phase === 'recordingEpoch' && write.epoch === epoch) this.#resumed(now)
    } else this.peer.stored(write, now)
  }

  /** A connection has ended by itself, with this code. */
  detach(conn: number, code: number, now: number): void {
    if (conn !== this.state.conn) return
    // The client said that it does not take a message: it would refuse it for ever.
    const emptied = code === CLOSE.tooLarge || code === CLOSE.tooBig ? this.peer.voidLargest() : undefined
    if (emptied) this.#host.emptied(emptied)
    this.#detach(now)
  }

  /** Asks the client to leave within `after` milliseconds, and to resume elsewhere. */
  goAway(after: number, why: string): void {
    if (this.state.phase === 'up') this.#host.send(encodeControl({ t: 'goaway', after, why }))
  }

  /**
   * Another process owns the session by now, or it is gone: this one keeps nothing of it and writes nothing more. Which of
   * both it is, the client hears when it resumes (4409, 4410): a 4409 here would stop the only owner of a session that has
   * ended while it was looked up.
   */
  fenced(): void {
    const { state } = this
    if (state.conn !== 0) this.#host.hangUp(state.conn, CLOSE.goingAway, 'the session is not here')
    state.conn = 0
    state.phase = 'over'
    this.peer.detach()
  }

  /** Ends it. */
  end(reason: EndReason): void {
    const { state } = this
    if (state.phase === 'over') return
    const { conn } = state
    state.conn = 0
    state.phase = 'over'
    this.peer.discard()
    const undelivered = this.peer.end(false)
    if (conn !== 0) {
      const closed = reason === 'closed'
      this.#host.hangUp(conn, closed ? CLOSE.normal : CLOSE.gone, closed ? '' : REASONS[reason])
    }
    this.#host.ended(reason, undelivered)
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const { phase, expiresAt } = this.state
    const at = this.peer.wakeAt
    return phase === 'detached' ? Math.min(at, expiresAt) : at
  }

  /** Time has passed. */
  wake(now: number): void {
    const { state } = this
    if (state.phase === 'over') return
    if (this.peer.wake(now) === 'dead') {
      const { conn } = state
      this.#detach(now)
      this.#host.hangUp(conn, CLOSE.silent, 'nothing was heard')
    }
    if (state.phase === 'detached' && state.expiresAt <= now) this.end('expired')
  }

  #begun(now: number): void {
    const { state } = this
    const { key } = state
    state.key = ''
    state.phase = 'up'
    this.#opened({ sid: state.peer.sid, key }, now)
    this.#host.opened(false)
  }

  #resumed(now: number): void {
    const { state } = this
    if (!this.peer.place(state.theirRx)) {
      this.end('memory')
      return
    }
    state.phase = 'up'
    this.#opened({}, now)
    this.#host.opened(true)
  }

  #opened(first: { sid?: string; key?: string }, now: number): void {
    const { peer, ttl } = this.state
    this.#host.send(
      encodeControl({
        t: 'opened',
        ...first,
        rx: this.peer.tellRx(),
        ttl,
        ...peer.limits,
        ping: this.#options.pingWish,
      }),
    )
    this.peer.attach(now)
    this.peer.up(now)
  }

  /** The client has nothing more to say: what its handlers have settled is told, the rest is over. */
  #closed(): void {
    const { inbox } = this.state.peer
    if (inbox.rx > inbox.told) this.#host.send(encodeControl({ t: 'ack', rx: this.peer.tellRx() }))
    this.end('closed')
  }

  #violation(what: string, now: number): void {
    const { conn } = this.state
    this.#detach(now)
    this.#host.hangUp(conn, CLOSE.protocol, what)
  }

  #detach(now: number): void {
    const { state } = this
    state.conn = 0
    state.phase = 'detached'
    state.expiresAt = now + state.ttl
    this.peer.detach()
  }
}

const REASONS: Readonly<Record<EndReason, string>> = {
  closed: '',
  expired: 'expired',
  memory: 'what was said cannot be placed',
  evicted: 'made room for another',
  ended: 'ended by the server',
}
