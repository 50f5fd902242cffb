// The client's side of a session: how it opens, resumes, is lost and ends, and what each close code makes of it.
// A step is one method call, as in `peer.ts`, which does all that both sides do alike. It opens no connection: it is told
// of those that others open, and says when the next may follow.

import { CLOSE } from './closeCodes.ts'
import type { CloseDecision, StopReason } from './closeDecision.ts'
import { type Control, encodeControl, type Opened } from './control.ts'
import { type ClientEffect, EffectList, type LossReason } from './effects.ts'
import type { Frame } from './frames.ts'
import { MAX_GOAWAY_MS, windowDefaults } from './limits.ts'
import { Peer } from './peer.ts'
import { newPeer, type PeerOptions, type PeerState } from './peerState.ts'
import { TOO_LARGE } from './receiver.ts'
import type { OutboxRecord, Write } from './store.ts'

export interface ClientOptions extends PeerOptions {
  /** What becomes of messages in doubt when a session is lost. */
  readonly onSessionLost: 'report' | 'resend'
  /** Milliseconds the session should outlive its connection; 0 leaves it to the server. */
  readonly ttl: number
}

/** Plain data. */
export interface ClientState {
  readonly peer: PeerState
  /** The secret of the session. */
  key: string
  /** Of the latest resume. */
  epoch: number
  /** What the current connection is at. */
  phase:
    | 'down'
    /** `open` is on its way. */
    | 'opening'
    /** The session has begun; it is being recorded. */
    | 'beginning'
    /** The next epoch is being recorded. */
    | 'recordingEpoch'
    /** `resume` is on its way. */
    | 'resuming'
    | 'up'
    /** `close` is on its way. */
    | 'closing'
  /** The token for the current connection's first frame; empty for none. Forgotten once it is sent. */
  auth: string
  /** Protocol errors (4400) since something last got through. */
  strikes: number
  /** Refused tokens (4401) since a session last opened. */
  refusals: number
  /** Whether it has come back at once, without backoff, since the last connection that was up for a while. */
  hurried: boolean
  /** When a `goaway` has this connection dropped; `NOT_LEAVING` for never. */
  leaveAt: number
}

export const NOT_LEAVING = -1
const TOO_EARLY = 'a message before "opened"'
const BACKOFF: CloseDecision = { action: 'backoff', notBefore: 0 }
const NOW: CloseDecision = { action: 'now', notBefore: 0 }
/** The client stops; its session, its numbers and its messages stay for who connects again. */
const stop = (reason: StopReason): CloseDecision => ({ action: 'stop', reason })

export function newClient(): ClientState {
  return {
    peer: newPeer(windowDefaults),
    key: '',
    epoch: 0,
    phase: 'down',
    auth: '',
    strikes: 0,
    refusals: 0,
    hurried: false,
    leaveAt: NOT_LEAVING,
  }
}

export class ClientSession {
  readonly state: ClientState
  readonly peer: Peer
  readonly #options: ClientOptions
  /** What is to be done, in order: whoever calls a step carries it out, and empties the list. */
  readonly effects = new EffectList<ClientEffect>()

  constructor(state: ClientState, options: ClientOptions) {
    this.state = state
    this.#options = options
    this.peer = new Peer(state.peer, options, this.effects)
  }

  /** Takes up what a durable outbox holds. Before anything else. */
  restore({ session, waiting }: OutboxRecord): void {
    if (session) {
      this.peer.restore(session)
      this.state.key = session.key
      this.state.epoch = session.epoch
    }
    this.peer.sender.restoreBacklog(waiting)
  }

  /** Whether there is a session to go on with. */
  get hasSession(): boolean {
    return this.state.peer.sid !== ''
  }

  /** A connection that speaks guru.v1 is open. `auth`: the token, where it could not travel in the upgrade. */
  connected(auth: string, now: number): void {
    const { state } = this
    state.auth = auth
    state.leaveAt = NOT_LEAVING
    if (!this.hasSession) {
      state.phase = 'opening'
      const { ttl } = this.#options
      this.#send({ t: 'open', ...(ttl > 0 && { ttl }), ...this.#takeAuth() })
      return
    }
    state.epoch += 1
    if (!this.#options.durable) {
      this.#resume(now)
      return
    }
    state.phase = 'recordingEpoch'
    this.#store({ kind: 'epoch', sid: state.peer.sid, epoch: state.epoch })
  }

  /** The text frame of message `number` came in on the current connection: the same as `frame` of it, in less time. */
  text(number: number, text: string, now: number): void {
    const { state } = this
    if (state.phase === 'down') return
    if (state.phase === 'opening') {
      this.#violation(TOO_EARLY)
      return
    }
    const before = state.strikes > 0 ? this.#progress : 0
    const wrong = this.peer.receiveText(number, text, now)
    if (wrong !== undefined) this.#violation(wrong)
    else if (state.strikes > 0 && this.#progress > before) state.strikes = 0
  }

  /** A frame came in on the current connection. */
  frame(frame: Frame, now: number): void {
    const { state } = this
    if (state.phase === 'down') return
    // Until there is a session, nothing but `opened` can come.
    if (state.phase === 'opening' && !frame.toString().startsWith('{')) {
      this.#violation(TOO_EARLY)
      return
    }
    const before = state.strikes > 0 ? this.#progress : 0
    const asked = this.peer.receive(frame, now)
    if (state.strikes > 0 && this.#progress > before) state.strikes = 0
    if (asked === undefined) {
      if (this.peer.sender.isUsedUp) this.#renew()
      return
    }
    if (typeof asked === 'string') {
      this.#violation(asked)
      return
    }
    switch (asked.t) {
      case 'opened':
        this.#opened(asked, now)
        return
      case 'goaway':
        state.leaveAt = now + Math.min(asked.after, MAX_GOAWAY_MS)
        return
      default:
        this.#violation(`a "${asked.t}" from the server`)
    }
  }

  /** Grows with every message that got through, either way. */
  get #progress(): number {
    const { inbox, outbox } = this.state.peer
    return inbox.taken + outbox.acked
  }

  /** A fact is recorded. */
  stored(write: Write, now: number): void {
    const { state } = this
    if (write.kind === 'epoch') {
      // The connection that it was meant for may be gone: its number is used up all the same.
      if (state.phase === 'recordingEpoch' && write.epoch === state.epoch && write.sid === state.peer.sid)
        this.#resume(now)
      return
    }
    if (write.kind === 'begin') {
      if (state.phase === 'beginning' && write.session.sid === state.peer.sid) this.#up(false, now)
      return
    }
    this.peer.stored(write, now)
  }

  /** The outbox can no longer be written (`durable` is false by now): goes on in a session that lives in memory. */
  storageFailed(ownerLost = false): void {
    if (!this.hasSession) return
    // Another process that owns the outbox by now goes on with the session.
    if (this.state.phase === 'up' && !ownerLost) this.#send({ t: 'close' })
    this.#lose(ownerLost ? 'stopped' : 'storage')
    if (this.state.phase !== 'down')
      this.#hangUp(CLOSE.normal, 'storage', ownerLost ? stop('takenOver') : NOW)
  }

  /** The current connection has ended by itself. Returns what follows. */
  closed(code: number, now: number): CloseDecision {
    const { state } = this
    const before = state.phase
    const notBefore = state.leaveAt
    if (code === CLOSE.tooLarge || code === CLOSE.tooBig) this.peer.sender.setLargestAside()
    this.#detach()
    // The app closed it: how the connection ended does not matter any more.
    if (before === 'closing') {
      this.#lose('stopped')
      return stop('closed')
    }
    switch (code) {
      case CLOSE.normal:
        return stop('closed')
      case CLOSE.protocol:
        return this.#strike()
      case CLOSE.notAuthenticated:
        state.refusals += 1
        if (state.refusals === 1) return this.#soon()
        // Whoever connects again brings another token.
        state.refusals = 0
        return stop('notAuthenticated')
      case CLOSE.superseded:
        return stop('takenOver')
      case CLOSE.gone:
        return this.#gone()
      case CLOSE.tooMany:
        return { action: 'longest' }
    }
    return notBefore > now ? this.#soon(notBefore) : BACKOFF
  }

  /** The current connection has been up for long enough to count as a success. */
  stable(): void {
    this.state.hurried = false
  }

  /** The app ends the session: what has no number is dropped, what has one may still arrive. False: there is nothing to wait for. */
  close(): boolean {
    const { state } = this
    this.peer.sender.discard()
    if (state.phase !== 'up') return false
    state.phase = 'closing'
    this.#send({ t: 'close' })
    return true
  }

  /** The app has ended the session, or what keeps it: what may not have arrived is reported, nothing is kept. */
  end(): void {
    this.#detach()
    this.#lose('stopped')
    this.peer.sender.discard()
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const { leaveAt, phase } = this.state
    const at = this.peer.wakeAt
    return leaveAt === NOT_LEAVING || phase === 'down' ? at : Math.min(at, leaveAt)
  }

  /** Time has passed. */
  wake(now: number): void {
    const { state } = this
    const alive = this.peer.wake(now) === 'alive'
    if (state.phase === 'down') return
    if (!alive) this.#hangUp(CLOSE.normal, 'heartbeat timeout', BACKOFF)
    else if (state.leaveAt !== NOT_LEAVING && state.leaveAt <= now)
      this.#hangUp(CLOSE.normal, 'going away', this.#soon())
  }

  /** The numbers are used up, and all have arrived: the next session has new ones. */
  #renew(): void {
    if (this.state.phase !== 'up') return
    this.#send({ t: 'close' })
    this.#lose('usedUp')
    this.#hangUp(CLOSE.normal, 'numbers used up', NOW)
  }

  #send(control: Control): void {
    this.effects.push({ do: 'send', frame: encodeControl(control) })
  }

  #store(write: Write): void {
    this.effects.push({ do: 'store', write })
  }

  #takeAuth(): { auth: string } | undefined {
    const { auth } = this.state
    this.state.auth = ''
    return auth === '' ? undefined : { auth }
  }

  #resume(now: number): void {
    const { state } = this
    const { sid } = state.peer
    state.phase = 'resuming'
    const rx = this.peer.takeRx()
    const tx = state.peer.outbox.sentEver
    this.#send({ t: 'resume', sid, key: state.key, epoch: state.epoch, rx, tx, ...this.#takeAuth() })
    this.peer.attach(now)
  }

  #opened(opened: Opened, now: number): void {
    const { state } = this
    const { sid, key, ttl, rx, maxMessages, maxBytes, maxFrame, ping } = opened
    const limits = { maxMessages, maxBytes, maxFrame }
    if (state.phase === 'opening') {
      if (!sid || !key) {
        this.#violation('an "opened" without "sid" and "key"')
        return
      }
      this.peer.begin(sid, limits)
      state.key = key
      state.epoch = 0
      this.peer.attach(now)
      this.peer.wishPings(ping)
      if (this.#options.durable) {
        state.phase = 'beginning'
        this.#store({ kind: 'begin', session: { sid, key, principal: '', ttl, limits } })
      } else this.#up(false, now)
      return
    }
    if (state.phase !== 'resuming') {
      this.#violation('an "opened" that nobody asked for')
      return
    }
    if (!this.peer.place(rx, opened.tx)) {
      this.#send({ t: 'close' })
      this.#lose('memory')
      this.#hangUp(CLOSE.gone, 'the session cannot be placed', this.#soon())
      return
    }
    state.peer.limits = limits
    this.peer.wishPings(ping)
    this.#up(true, now)
  }

  #up(resumed: boolean, now: number): void {
    const { state } = this
    state.phase = 'up'
    state.refusals = 0
    this.peer.up(now)
    this.effects.push({ do: 'opened', resumed })
  }

  #violation(what: string): void {
    this.#hangUp(what === TOO_LARGE ? CLOSE.tooLarge : CLOSE.protocol, what, this.#strike())
  }

  /** A protocol error: resumed once; then the session is given up; then the client. */
  #strike(): CloseDecision {
    const { state } = this
    state.strikes += 1
    if (state.strikes === 1) return BACKOFF
    if (state.strikes === 2) {
      this.#lose('protocol')
      return BACKOFF
    }
    state.strikes = 0
    return stop('protocol')
  }

  #gone(): CloseDecision {
    this.#lose('gone')
    return this.#soon()
  }

  /** Without backoff, but not again and again: a server may open every session, and refuse, lose or send it away right after. */
  #soon(notBefore = 0): CloseDecision {
    const action = this.state.hurried ? 'backoff' : 'now'
    this.state.hurried = true
    return { action, notBefore }
  }

  #lose(reason: LossReason): void {
    const { state } = this
    if (!this.hasSession) return
    const resent = this.#options.onSessionLost === 'resend' && reason !== 'stopped'
    const doubtful = this.peer.end(resent)
    state.key = ''
    state.epoch = 0
    this.effects.push({ do: 'lost', reason, doubtful, resent })
  }

  #hangUp(code: number, reason: string, decision: CloseDecision): void {
    this.#detach()
    this.effects.push({ do: 'hangUp', code, reason, decision })
  }

  #detach(): void {
    const { state } = this
    state.phase = 'down'
    state.auth = ''
    state.leaveAt = NOT_LEAVING
    this.peer.detach()
  }
}
