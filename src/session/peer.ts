// One side of a session: what it sends, what it takes, what it acknowledges, whether its connection lives. It does not
// know which side it is: how a session begins, resumes and ends is said by `clientSession.ts` and `serverSession.ts`.
//
// A step is one method call: it changes `state` and tells the host what is to be done, in order. The state is plain data
// (no function, no promise, no clock; bytes only as payloads), so that a test can copy, compare and take up again any
// state that was reached: tests/exploration walks them all that way. The host may call back only from `deliver`,
// `volatile` and `flush`: each is the last thing a step does.

import { type Control, encodeAck, encodeControl } from './control.ts'
import { type DropReason, type Entry, NEVER } from './entry.ts'
import {
  decodeFrame,
  encodeReliable,
  encodeVolatile,
  type Frame,
  type Payload,
  reliableNumber,
  TEXT,
  textPayload,
} from './frames.ts'
import { agreedInterval, heard, heartbeatDue, heartbeatDueAt, newHeartbeat } from './heartbeat.ts'
import { Inbox, type InboxState, NOT_DUE, newInbox, restoredInbox } from './inbox.ts'
import type { WindowLimits } from './limits.ts'
import { newOutbox, Outbox, type OutboxState, restoredOutbox } from './outbox.ts'
import type { PeerHost, PeerOptions, PeerState } from './peerState.ts'
import type { SessionRecord, Write } from './store.ts'
import { Waiting } from './waiting.ts'

/** What came of `send`. */
export type Accepted =
  /** On the wire, or about to be recorded and then sent, or waiting: it has the number `state.seq`. */
  | 'taken'
  /** There was no room and it had to go; the host has been told. */
  | 'dropped'
  /** There is no room. Nothing has been taken. */
  | 'rejected'
  /** It is larger than the other side takes. */
  | 'tooLarge'
  /** A text without a character has no form on the wire: that is how a void travels. */
  | 'empty'

export interface SendOptions {
  /** A whole number; higher ones go first. */
  readonly priority?: number | undefined
  /** When it is dropped if it has no number by then. */
  readonly expiresAt?: number | undefined
}

/** What a frame asked for that only one of the sides can answer; a string says how it broke the protocol. */
export type Unhandled = Control | string | undefined

const NO_OPTIONS: SendOptions = {}

export class Peer {
  readonly state: PeerState
  readonly #options: PeerOptions
  readonly #host: PeerHost
  #inbox: Inbox
  #outbox: Outbox
  readonly #waiting: Waiting
  readonly #onDrop: (entry: Entry, reason: DropReason) => void
  readonly #onDelivered: (entry: Entry) => void

  constructor(state: PeerState, options: PeerOptions, host: PeerHost) {
    this.state = state
    this.#options = options
    this.#host = host
    this.#inbox = new Inbox(state.inbox, options)
    this.#outbox = new Outbox(state.outbox)
    this.#waiting = new Waiting(state.waiting, options)
    this.#onDrop = (entry, reason) => {
      if (options.durable) host.store({ kind: 'drop', seq: entry.seq })
      host.dropped(entry, reason)
    }
    this.#onDelivered = (entry) => {
      if (entry.seq !== 0) host.delivered(entry.seq)
    }
  }

  /** Messages that wait for a number. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Messages that have a number and no acknowledgement. */
  get unacknowledged(): number {
    return this.#outbox.length
  }

  /** Every number has been given and acknowledged: only another session has more. */
  get isUsedUp(): boolean {
    return this.#outbox.isUsedUp
  }

  // The app's steps.

  /** Accepts a reliable message. */
  send(
    stream: number,
    payload: Payload,
    bytes: number,
    now: number,
    options: SendOptions = NO_OPTIONS,
  ): Accepted {
    const { state } = this
    if (payload === '') return 'empty'
    if (state.sid !== '' && bytes > state.limits.maxFrame) return 'tooLarge'
    this.#waiting.expire(now, this.#onDrop)
    const { priority = 0, expiresAt = NEVER } = options
    const entry: Entry = { seq: state.seq + 1, stream, payload, bytes, priority, expiresAt }
    if (state.link === 'up' && this.#waiting.length === 0 && this.#outbox.admits(bytes, state.limits)) {
      state.seq += 1
      this.#number(entry)
      this.#flush()
      return 'taken'
    }
    const result = this.#waiting.push(entry, this.#onDrop)
    if (result === 'rejected') return 'rejected'
    state.seq += 1
    if (result === 'dropped') return 'dropped'
    if (this.#options.durable) this.#host.store({ kind: 'accept', entry })
    return 'taken'
  }

  /** Sends a volatile message, or does nothing and returns false: there is no connection for it. */
  sendVolatile(stream: number, payload: Payload): boolean {
    if (this.state.link !== 'up') return false
    this.#host.send(encodeVolatile(stream, payload))
    return true
  }

  /** Volatile messages of a stream that are on their way are to be ignored, by us and at their source. */
  interrupt(stream: number): boolean {
    const { state } = this
    if (state.link !== 'up') return false
    const known = state.flushing.find((one) => one.stream === stream)
    if (known) known.awaited += 1
    else state.flushing.push({ stream, awaited: 1 })
    this.#host.send(encodeControl({ t: 'flush', stream }))
    return true
  }

  /** Takes message `seq` back; false when it has a number, or is gone. */
  cancel(seq: number): boolean {
    const entry = this.#waiting.withdraw(seq)
    if (!entry) return false
    if (this.#options.durable) this.#host.store({ kind: 'drop', seq })
    this.#tellReady()
    return true
  }

  /** Whether message `seq` still waits for its number. */
  isWaiting(seq: number): boolean {
    return this.#waiting.has(seq)
  }

  /** Whether message `seq` is still undecided: it waits, or has not been acknowledged. */
  keeps(seq: number): boolean {
    return this.#outbox.has(seq) || this.#waiting.has(seq)
  }

  /** The line is a plain one: what waits goes out as it is, and is gone. `take` returns false when it took none. */
  sendPlain(take: (entry: Entry) => boolean): void {
    for (let first = this.#waiting.first; first && take(first); first = this.#waiting.first) {
      this.#waiting.shift()
      if (this.#options.durable) this.#host.store({ kind: 'drop', seq: first.seq })
    }
  }

  /** The handler of a message has settled. What belongs to an older session is nobody's business any more. */
  settled(sid: string, number: number, now: number): void {
    if (sid !== this.state.sid) return
    if (this.#inbox.settle(number)) this.#acknowledge(now)
  }

  /** A fact is recorded. */
  stored(write: Write, now: number): void {
    const { state } = this
    switch (write.kind) {
      case 'accept':
        this.#host.accepted(write.entry.seq)
        return
      case 'number':
        this.#host.accepted(write.entry.seq)
        if (write.sid !== state.sid) return
        this.#outbox.recorded(write.number)
        this.#flush()
        return
      case 'rx':
        if (write.sid !== state.sid) return
        this.#inbox.recorded(write.rx)
        this.#acknowledge(now)
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
    state.flushing = []
    this.#outbox.rewind()
    this.#flush()
  }

  /** From now on messages get numbers. */
  up(now: number): void {
    this.state.link = 'up'
    this.#waiting.expire(now, this.#onDrop)
    this.#waiting.dropLarger(this.state.limits.maxFrame, this.#onDrop)
    this.#flush()
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
    state.flushing = []
    this.#outbox.rewind()
  }

  /** The `rx` that goes out in `resume` or `opened`. */
  tellRx(): number {
    return this.#inbox.told()
  }

  /** What the other side says it has taken, in `resume` or `opened`. False: one of us lost memory. */
  place(rx: number): boolean {
    if (!this.#outbox.canPlace(rx)) return false
    this.#acknowledged(rx)
    return true
  }

  /** The text frame of message `number` came in: the same as `receive` of it. Returns how it broke the protocol. */
  receiveText(number: number, text: string, now: number): string | undefined {
    const { heartbeat } = this.state
    if (heartbeat) heard(heartbeat, now)
    return this.#take(number, TEXT, text, now)
  }

  /** A frame came in on the current connection. */
  receive(frame: Frame, now: number): Unhandled {
    const { state } = this
    if (state.heartbeat) heard(state.heartbeat, now)
    if (typeof frame === 'string') {
      const number = reliableNumber(frame)
      if (number > 0) return this.#take(number, TEXT, textPayload(frame, number), now)
    }
    const decoded = decodeFrame(frame)
    switch (decoded.kind) {
      case 'reliable': {
        const { number, stream, payload } = decoded
        return this.#take(number, stream, payload, now)
      }
      case 'volatile':
        if (!state.flushing.some(({ stream }) => stream === decoded.stream))
          this.#host.volatile(decoded.stream, decoded.payload)
        return undefined
      case 'control':
        return this.#control(decoded.control)
      case 'wrong':
        return decoded.reason
    }
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const { state } = this
    let at = this.#inbox.expiresAt
    if (state.waiting.expiresAt !== NEVER) at = Math.min(at, state.waiting.expiresAt)
    if (state.link === 'down') return at
    if (state.inbox.tellAt !== NOT_DUE) at = Math.min(at, state.inbox.tellAt)
    if (state.heartbeat) at = Math.min(at, heartbeatDueAt(state.heartbeat, this.#options.pongTimeout))
    return at
  }

  /** Time has passed. `dead`: nothing was heard for too long, the connection is to be dropped. */
  wake(now: number): 'alive' | 'dead' {
    const { state } = this
    this.#waiting.expire(now, this.#onDrop)
    if (this.#inbox.expiresAt <= now) {
      this.#inbox.expire(now, (number) => this.#host.handlerTimedOut(number))
      this.#acknowledge(now)
    } else if (state.inbox.tellAt !== NOT_DUE) this.#tell(now)
    if (!state.heartbeat) return 'alive'
    const verdict = heartbeatDue(state.heartbeat, this.#options.pongTimeout, now)
    if (verdict === 'ping') this.#host.send(encodeControl({ t: 'ping', at: now }))
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

  /** Takes up messages that a store remembers and that have no number. */
  restoreWaiting(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#waiting.add(entry)
      this.state.seq = Math.max(this.state.seq, entry.seq)
    }
  }

  /**
   * The session is over. With `requeue` its messages wait for the next one, before all others.
   * @returns those whose fate is unknown
   */
  end(requeue: boolean): Entry[] {
    const { state } = this
    const doubtful = this.#outbox.unacknowledged()
    if (this.#options.durable && state.sid !== '') this.#host.store({ kind: 'end', sid: state.sid, requeue })
    state.sid = ''
    state.link = 'down'
    state.heartbeat = null
    state.flushing = []
    this.#reset(newInbox(), newOutbox())
    if (requeue) this.#waiting.requeue(doubtful)
    return doubtful
  }

  /** Drops all that waits. */
  discard(): void {
    this.#waiting.clear('closed', this.#onDrop)
  }

  /** Nobody takes the largest message that went out: it is emptied. Returns it as it was. */
  voidLargest(): Entry | undefined {
    const emptied = this.#outbox.voidLargest()
    if (!emptied) return undefined
    const { number, entry } = emptied
    if (this.#options.durable) this.#host.store({ kind: 'void', sid: this.state.sid, number })
    return entry
  }

  /** The messages that the other side may not have. */
  get doubtful(): Entry[] {
    return this.#outbox.unacknowledged()
  }

  #reset(inbox: InboxState, outbox: OutboxState): void {
    const { state } = this
    state.inbox = inbox
    state.outbox = outbox
    this.#inbox = new Inbox(inbox, this.#options)
    this.#outbox = new Outbox(outbox)
  }

  #take(number: number, stream: number, payload: Payload, now: number): string | undefined {
    const { state } = this
    // The other side measured UTF-8; units are close enough to notice who does not keep to the limit at all.
    const bytes = payload.length
    switch (this.#inbox.take(number, bytes, state.limits, now)) {
      case 'start':
        if (payload === '' && stream === TEXT) this.settled(state.sid, number, now)
        else this.#host.deliver(state.sid, number, stream, payload, number <= state.inbox.suspect)
        return undefined
      case 'settled':
        this.settled(state.sid, number, now)
        return undefined
      case 'duplicate':
        return undefined
      case 'gap':
        return `message ${number} came after ${state.inbox.taken}`
      case 'overrun':
        return `message ${number} is beyond the window`
    }
  }

  #control(control: Control): Unhandled {
    const { state } = this
    switch (control.t) {
      case 'ack':
        if (control.rx > state.outbox.sentEver) return `an ack of ${control.rx}, which was never sent`
        if (control.rx > state.outbox.acked) {
          this.#acknowledged(control.rx)
          this.#flush()
        }
        return undefined
      case 'ping':
        this.#host.send(encodeControl({ t: 'pong', at: control.at }))
        return undefined
      case 'pong':
        this.#host.pong(control.at)
        return undefined
      case 'flush':
        this.#host.send(encodeControl({ t: 'flushed', stream: control.stream }))
        this.#host.flush(control.stream)
        return undefined
      case 'flushed': {
        const known = state.flushing.find((one) => one.stream === control.stream)
        if (known) known.awaited -= 1
        if (known?.awaited === 0) state.flushing = state.flushing.filter((one) => one !== known)
        return undefined
      }
      case 'unknown':
        return undefined
      default:
        return control
    }
  }

  /** A message enters the window. */
  #number(entry: Entry): void {
    const { state } = this
    const number = this.#outbox.push(entry)
    if (this.#options.durable) this.#host.store({ kind: 'number', sid: state.sid, number, entry })
    else this.#outbox.recorded(number)
  }

  /** Sends what may go out: first what has a number, then what gets one. */
  #flush(): void {
    const { state } = this
    if (state.link === 'down') return
    if (state.link === 'up') {
      const waited = this.#waiting.length > 0
      for (let first = this.#waiting.first; first; first = this.#waiting.first) {
        if (!this.#outbox.admits(first.bytes, state.limits)) break
        this.#waiting.shift()
        this.#number(first)
      }
      if (waited) this.#tellReady()
    }
    for (let entry = this.#outbox.next(); entry; entry = this.#outbox.next()) {
      this.#transmit(this.#outbox.sending(), entry)
    }
  }

  #transmit(number: number, { stream, payload }: Entry): void {
    if (typeof payload === 'string' && this.#host.transmit) this.#host.transmit(number, payload)
    else this.#host.send(encodeReliable(number, stream, payload))
  }

  #tellReady(): void {
    if (this.#waiting.length === 0) this.#host.ready()
  }

  #acknowledged(rx: number): void {
    const { state } = this
    if (rx <= state.outbox.acked) return
    this.#outbox.acknowledge(rx, this.#onDelivered)
    if (this.#options.durable) this.#host.store({ kind: 'prune', sid: state.sid, acked: rx })
  }

  /** `settled` or `rx` has moved. */
  #acknowledge(now: number): void {
    const rx = this.#inbox.nextRecord()
    if (rx !== 0) this.#host.store({ kind: 'rx', sid: this.state.sid, rx })
    this.#tell(now)
  }

  #tell(now: number): void {
    // Without a connection the next `resume` or `opened` says it.
    if (this.state.link === 'down') return
    if (!this.#inbox.tell(this.state.limits, now)) return
    const rx = this.#inbox.told()
    if (this.#host.acknowledge) this.#host.acknowledge(rx)
    else this.#host.send(encodeAck(rx))
  }
}

/** How many messages above `rx` may have been begun with by a process before. */
function suspectsOf({ rx, suspect, limits }: SessionRecord): number {
  return suspect === undefined ? limits.maxMessages : Math.max(0, suspect - rx)
}
