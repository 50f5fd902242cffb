// The server's side of one session: how it begins, is resumed, left alone, ended. A step is one method call, as in
// `peer.ts`. Connections are numbers here; which one may speak for the session is decided here, who may have it in
// `serverTable.ts`.

import { CLOSE } from './closeCodes.ts'
import { type Control, encodeControl, type Resume } from './control.ts'
import { EffectList, type EndReason, type ServerEffect } from './effects.ts'
import type { Frame } from './frames.ts'
import type { WindowLimits } from './limits.ts'
import { Peer } from './peer.ts'
import { newPeer, type PeerOptions, type PeerState } from './peerState.ts'
import { TOO_LARGE } from './receiver.ts'
import type { StoredSession, Write } from './store.ts'

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
  /** And the highest number that it has ever sent; `null` when it does not say. */
  theirTx: number | null
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
    theirTx: null,
    heard: false,
    expiresAt: 0,
  }
}

export class ServerSession {
  readonly state: ServerState
  readonly peer: Peer
  readonly #options: ServerOptions
  /** What is to be done, in order: whoever calls a step carries it out, and empties the list. */
  readonly effects = new EffectList<ServerEffect>()

  constructor(state: ServerState, options: ServerOptions) {
    this.state = state
    this.#options = options
    this.peer = new Peer(state.peer, options, this.effects)
  }

  /** A session as a store gives it back. */
  static restored(
    { session: record, waiting }: StoredSession,
    options: ServerOptions,
    now: number,
  ): ServerSession {
    const { sid, key: keyHash, principal, ttl, limits } = record
    const session = new ServerSession(
      newServerSession({ sid, key: '', keyHash, principal, ttl, limits }),
      options,
    )
    session.state.epoch = record.epoch
    session.state.heard = true
    session.state.expiresAt = now + ttl
    session.peer.restore(record)
    session.peer.sender.restoreBacklog(waiting)
    return session
  }

  /** A client has opened it on this connection. */
  begin(conn: number, now: number): void {
    const { state } = this
    this.#attach(conn)
    if (!this.#options.durable) {
      this.#begun(now)
      return
    }
    state.phase = 'beginning'
    const { peer, keyHash: key, principal, ttl } = state
    const session = { sid: peer.sid, key, principal, ttl, limits: peer.limits }
    this.effects.push({ do: 'store', write: { kind: 'begin', session } })
  }

  /** A client that may have it resumes it on another connection. */
  resume(conn: number, { epoch, rx, tx }: Resume, now: number): void {
    const { state } = this
    if (epoch <= state.epoch) {
      this.#hangUp(conn, CLOSE.superseded, 'a newer epoch owns the session')
      return
    }
    if (state.conn !== 0) this.#hangUp(state.conn, CLOSE.superseded, 'a newer epoch owns the session')
    this.peer.detach()
    this.#attach(conn)
    state.epoch = epoch
    state.theirRx = rx
    state.theirTx = tx ?? null
    if (!this.#options.durable) {
      this.#resumed(now)
      return
    }
    state.phase = 'recordingEpoch'
    this.effects.push({ do: 'store', write: { kind: 'epoch', sid: state.peer.sid, epoch } })
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
    if (code === CLOSE.tooLarge || code === CLOSE.tooBig) this.peer.sender.setLargestAside()
    this.#detach(now)
  }

  /** Asks the client to leave within `after` milliseconds, and to resume elsewhere. */
  goAway(after: number, why: string): void {
    if (this.state.phase === 'up') this.#send({ t: 'goaway', after, why })
  }

  /**
   * Another process owns the session by now, or it is gone: this one keeps nothing of it and writes nothing more. Which of
   * both it is, the client hears when it resumes (4409, 4410): a 4409 here would stop the only owner of a session that has
   * ended while it was looked up.
   */
  fenced(): void {
    const { state } = this
    if (state.conn !== 0) this.#hangUp(state.conn, CLOSE.goingAway, 'the session is not here')
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
    this.peer.sender.discard()
    const undelivered = this.peer.end(false)
    if (conn !== 0) {
      const closed = reason === 'closed'
      this.#hangUp(conn, closed ? CLOSE.normal : CLOSE.gone, closed ? '' : REASONS[reason])
    }
    this.effects.push({ do: 'ended', reason, undelivered })
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
      this.#hangUp(conn, CLOSE.silent, 'nothing was heard')
    }
    if (state.phase === 'detached' && state.expiresAt <= now) this.end('expired')
  }

  #send(control: Control): void {
    this.effects.push({ do: 'send', frame: encodeControl(control) })
  }

  #hangUp(conn: number, code: number, reason: string): void {
    this.effects.push({ do: 'hangUp', conn, code, reason })
  }

  #attach(conn: number): void {
    this.state.conn = conn
    this.effects.push({ do: 'attach', conn })
  }

  #begun(now: number): void {
    const { state } = this
    const { key } = state
    state.key = ''
    state.phase = 'up'
    this.#opened({ sid: state.peer.sid, key }, now)
    this.effects.push({ do: 'opened', resumed: false })
  }

  #resumed(now: number): void {
    const { state } = this
    if (!this.peer.place(state.theirRx, state.theirTx ?? undefined)) {
      this.end('memory')
      return
    }
    state.phase = 'up'
    this.#opened({ tx: state.peer.outbox.sentEver }, now)
    this.effects.push({ do: 'opened', resumed: true })
  }

  #opened(more: { sid: string; key: string } | { tx: number }, now: number): void {
    const { peer, ttl } = this.state
    this.#send({
      t: 'opened',
      ...more,
      rx: this.peer.takeRx(),
      ttl,
      ...peer.limits,
      ping: this.#options.pingWish,
    })
    this.peer.attach(now)
    this.peer.up(now)
  }

  /** The client has nothing more to say: what its handlers have settled is acknowledged, the rest is over. */
  #closed(): void {
    const { inbox } = this.state.peer
    if (inbox.rx > inbox.acked) this.#send({ t: 'ack', rx: this.peer.takeRx() })
    this.end('closed')
  }

  #violation(what: string, now: number): void {
    const { conn } = this.state
    this.#detach(now)
    this.#hangUp(conn, what === TOO_LARGE ? CLOSE.tooLarge : CLOSE.protocol, what)
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
