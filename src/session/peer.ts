// One side of a session: what it sends, what it takes, what it acknowledges, whether its connection lives. It does not
// know which side it is: how a session begins, resumes and ends is said by `clientSession.ts` and `serverSession.ts`.
//
// A step is one method call: it changes `state` and appends to `effects` what is to be done, in order. Both are plain
// data (no function, no promise, no clock; bytes only as payloads), so that a test can copy, compare and take up again
// any state that was reached: tests/exploration walks them all that way.

import { type Control, encodeControl } from './control.ts'
import type { Effects, PeerEffect } from './effects.ts'
import { type Entry, NEVER } from './entry.ts'
import {
  decodeFrame,
  encodeVolatile,
  type Frame,
  type Payload,
  reliableNumber,
  TEXT,
  textPayload,
} from './frames.ts'
import { agreedInterval, heard, heartbeatDue, heartbeatDueAt, newHeartbeat } from './heartbeat.ts'
import { type InboxState, NOT_DUE, newInbox, restoredInbox } from './inbox.ts'
import { interruptAnswered, interruptBegan, isInterrupted } from './interrupts.ts'
import type { WindowLimits } from './limits.ts'
import { newOutbox, type OutboxState, restoredOutbox } from './outbox.ts'
import type { PeerOptions, PeerState } from './peerState.ts'
import { Receiver } from './receiver.ts'
import { Sender } from './sender.ts'
import type { SessionRecord, Write } from './store.ts'

/** What a frame asked for that only one of the sides can answer; a string says how it broke the protocol. */
export type Unhandled = Control | string | undefined

export class Peer {
  readonly state: PeerState
  readonly sender: Sender
  readonly #receiver: Receiver
  readonly #options: PeerOptions
  readonly #effects: Effects<PeerEffect>

  constructor(state: PeerState, options: PeerOptions, effects: Effects<PeerEffect>) {
    this.state = state
    this.sender = new Sender(state, options, effects)
    this.#receiver = new Receiver(state, options, effects)
    this.#options = options
    this.#effects = effects
  }

  // The app's steps, beside those of the sender.

  /** Sends a volatile message, or does nothing and returns false: there is no connection for it. */
  sendVolatile(stream: number, payload: Payload): boolean {
    if (this.state.link !== 'up') return false
    this.#effects.push({ do: 'send', frame: encodeVolatile(stream, payload) })
    return true
  }

  /** Volatile messages of a stream that are on their way are to be ignored, by us and at their source. */
  interrupt(stream: number): boolean {
    const { state } = this
    if (state.link !== 'up') return false
    interruptBegan(state.interrupts, stream)
    this.#effects.push({ do: 'send', frame: encodeControl({ t: 'flush', stream }) })
    return true
  }

  /** The handler of a message has settled. What belongs to an older session is nobody's business any more. */
  settled(sid: string, number: number, now: number): void {
    if (sid === this.state.sid) this.#receiver.settled(number, now)
  }

  /** A fact is recorded. */
  stored(write: Write, now: number): void {
    const { sid } = this.state
    switch (write.kind) {
      case 'accept':
        this.#effects.push({ do: 'accepted', seq: write.entry.seq })
        return
      case 'number':
        this.#effects.push({ do: 'accepted', seq: write.entry.seq })
        if (write.sid === sid) this.sender.recorded(write.number)
        return
      case 'rx':
        if (write.sid === sid) this.#receiver.recorded(write.rx, now)
        return
      default:
        return
    }
  }

  // The connection's steps.

  /** A connection can take messages that have a number. All that is not acknowledged goes out anew. */
  attach(now: number): void {
    const { state } = this
    state.link = 'catchingUp'
    state.heartbeat = newHeartbeat(this.#options.pingInterval, now)
    state.interrupts = []
    this.sender.rewind()
    this.sender.flush()
  }

  /** From now on messages get numbers. */
  up(now: number): void {
    this.state.link = 'up'
    this.sender.open(now)
  }

  /** The other side wishes to be pinged this often; 0 for no wish. */
  wishPings(intervalMs: number): void {
    const { heartbeat } = this.state
    if (heartbeat) heartbeat.intervalMs = agreedInterval(heartbeat.intervalMs, intervalMs)
  }

  /** The connection is gone. */
  detach(): void {
    const { state } = this
    state.link = 'down'
    state.heartbeat = null
    state.interrupts = []
    this.sender.rewind()
  }

  /** The `rx` that goes out in `resume` or `opened`. It acknowledges like an ack. */
  takeRx(): number {
    return this.#receiver.takeRx()
  }

  /**
   * What the other side says in `resume` or `opened`: that it has taken all up to `rx`, and has sent no more than up to
   * `tx`. False: one of us lost memory.
   */
  place(rx: number, tx: number | undefined): boolean {
    if (tx !== undefined) this.#receiver.neverSentAbove(tx)
    return this.sender.place(rx)
  }

  /** The text frame of message `number` came in: the same as `receive` of it. Returns how it broke the protocol. */
  receiveText(number: number, text: string, now: number): string | undefined {
    const { heartbeat } = this.state
    if (heartbeat) heard(heartbeat, now)
    return this.#receiver.take(number, TEXT, text, now)
  }

  /** A frame came in on the current connection. */
  receive(frame: Frame, now: number): Unhandled {
    const { state } = this
    if (state.heartbeat) heard(state.heartbeat, now)
    if (typeof frame === 'string') {
      const number = reliableNumber(frame)
      if (number > 0) return this.#receiver.take(number, TEXT, textPayload(frame, number), now)
    }
    const decoded = decodeFrame(frame)
    switch (decoded.kind) {
      case 'reliable':
        return this.#receiver.take(decoded.number, decoded.stream, decoded.payload, now)
      case 'volatile': {
        const { stream, payload } = decoded
        if (!isInterrupted(state.interrupts, stream)) this.#effects.push({ do: 'volatile', stream, payload })
        return undefined
      }
      case 'control':
        return this.#control(decoded.control)
      case 'wrong':
        return decoded.reason
    }
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const { state } = this
    let at = this.#receiver.expiresAt
    if (state.backlog.expiresAt !== NEVER) at = Math.min(at, state.backlog.expiresAt)
    if (state.link === 'down') return at
    if (state.inbox.ackAt !== NOT_DUE) at = Math.min(at, state.inbox.ackAt)
    if (state.heartbeat) at = Math.min(at, heartbeatDueAt(state.heartbeat, this.#options.pongTimeout))
    return at
  }

  /** Time has passed. `dead`: nothing was heard for too long, the connection is to be dropped. */
  wake(now: number): 'alive' | 'dead' {
    const { state } = this
    this.sender.expire(now)
    this.#receiver.wake(now)
    if (!state.heartbeat) return 'alive'
    const verdict = heartbeatDue(state.heartbeat, this.#options.pongTimeout, now)
    if (verdict === 'ping') this.#effects.push({ do: 'send', frame: encodeControl({ t: 'ping', at: now }) })
    return verdict === 'dead' ? 'dead' : 'alive'
  }

  // The session's steps.

  /** A session begins; what waits is for it. */
  begin(sid: string, limits: WindowLimits): void {
    const { state } = this
    state.sid = sid
    state.limits = limits
    this.#reset(newInbox(), newOutbox())
  }

  /** Takes up a session that a store remembers. */
  restore(record: SessionRecord): void {
    const { state } = this
    state.sid = record.sid
    state.limits = record.limits
    this.#reset(
      restoredInbox(record.rx, record.done, suspectsOf(record)),
      restoredOutbox(record.acked, record.messages),
    )
    for (const { seq } of record.messages) state.seq = Math.max(state.seq, seq)
  }

  /**
   * The session is over. With `requeue` its messages wait for the next one, before all others.
   * @returns those whose fate is unknown
   */
  end(requeue: boolean): Entry[] {
    const { state } = this
    const { doubtful } = this.sender
    if (this.#options.durable && state.sid !== '')
      this.#effects.push({ do: 'store', write: { kind: 'end', sid: state.sid, requeue } })
    state.sid = ''
    state.link = 'down'
    state.heartbeat = null
    state.interrupts = []
    this.#reset(newInbox(), newOutbox())
    if (requeue) this.sender.requeue(doubtful)
    return doubtful
  }

  #reset(inbox: InboxState, outbox: OutboxState): void {
    this.#receiver.reset(inbox)
    this.sender.reset(outbox)
  }

  #control(control: Control): Unhandled {
    switch (control.t) {
      case 'ack':
        return this.sender.ack(control.rx)
      case 'ping':
        this.#effects.push({ do: 'sendPong', at: control.at })
        return undefined
      case 'pong':
        this.#effects.push({ do: 'pong', at: control.at })
        return undefined
      case 'flush':
        this.#effects.push({ do: 'sendFlushed', stream: control.stream })
        this.#effects.push({ do: 'flush', stream: control.stream })
        return undefined
      case 'flushed':
        interruptAnswered(this.state.interrupts, control.stream)
        return undefined
      case 'unknown':
        return undefined
      default:
        return control
    }
  }
}

/** How many messages above `rx` may have been begun with by a process before. */
function suspectsOf({ rx, suspect, limits }: SessionRecord): number {
  return suspect === undefined ? limits.maxMessages : Math.max(0, suspect - rx)
}
