// The receiving half of a session: which numbers are taken, which handlers have settled, what has been recorded, and
// when an ack is due. It knows no connection: all of it lives with the session.

import { ACK_BYTES, ACK_DELAY_MS, ACK_MESSAGES, type WindowLimits } from './limits.ts'

/** Plain data, so that a state can be compared and copied. */
export interface InboxState {
  /** The highest number accepted: its handler has been started. */
  taken: number
  /** The handlers of all up to here have settled. */
  settled: number
  /** All up to here have settled and are recorded: what may be acknowledged. */
  rx: number
  /** What is being recorded as `rx`; equal to it when nothing is. */
  recording: number
  /** The highest `rx` that an ack was sent of, whether it arrived or not. */
  acked: number
  /** Payload bytes taken since then. */
  unackedBytes: number
  /** When an ack has to be sent at the latest; `NOT_DUE` when there is nothing to acknowledge. */
  ackAt: number
  /** Payload bytes of handlers that run. */
  runningBytes: number
  /** Slot `number & (length - 1)`: when the handler of a number above `settled` was started, or `SETTLED`, or `FREE`. */
  started: number[]
  /** The same slots: payload bytes. */
  sizes: number[]
  /** Up to here a handler may have begun in a process that died: such messages are flagged. */
  suspect: number
  /** Numbers above `rx` that were handled and recorded before this process began, ascending. */
  done: number[]
}

export const NOT_DUE = -1
const FREE = -1
const SETTLED = -2

export interface InboxOptions {
  /** Whether `rx` has to be recorded before it is acknowledged. */
  readonly durable: boolean
  /** Milliseconds a handler may take; beyond, it counts as settled. `Infinity` for no limit. */
  readonly handlerTimeout: number
}

/** What to do with a message that came in. */
export type Taken =
  /** Start its handler. */
  | 'start'
  /** It was handled and recorded before a restart: it has settled. */
  | 'settled'
  /** It was taken before. */
  | 'duplicate'
  /** A number is missing before it. */
  | 'gap'
  /** More than the window allows. */
  | 'overrun'

export function newInbox(): InboxState {
  return restoredInbox(0, [], 0)
}

/** The inbox of a session that a store remembers. */
export function restoredInbox(rx: number, done: readonly number[], maxMessages: number): InboxState {
  return {
    taken: rx,
    settled: rx,
    rx,
    recording: rx,
    acked: rx,
    unackedBytes: 0,
    ackAt: NOT_DUE,
    runningBytes: 0,
    started: [],
    sizes: [],
    // The process that died had taken no more than the window.
    suspect: rx + maxMessages,
    done: done.filter((number) => number > rx).sort((a, b) => a - b),
  }
}

export class Inbox {
  readonly state: InboxState
  readonly #options: InboxOptions

  constructor(state: InboxState, options: InboxOptions) {
    this.state = state
    this.#options = options
  }

  /** Takes message `number`, if it is the next. */
  take(number: number, bytes: number, limits: WindowLimits, now: number): Taken {
    const state = this.state
    if (number <= state.taken) return 'duplicate'
    if (number !== state.taken + 1) return 'gap'
    // A sender that keeps to its window is never here: what it knows to be acknowledged is never above `acked`.
    if (number - state.acked > limits.maxMessages || state.runningBytes + bytes > limits.maxBytes)
      return 'overrun'
    state.taken = number
    state.unackedBytes += bytes
    state.runningBytes += bytes
    const mask = this.#makeRoom(number)
    state.started[number & mask] = now
    state.sizes[number & mask] = bytes
    if (state.done.length === 0 || state.done[0] !== number) return 'start'
    state.done.shift()
    return 'settled'
  }

  /**
   * The handler of `number` has settled. Returns whether that is news; a number that was given up before, or twice
   * settled, is none.
   */
  settle(number: number): boolean {
    const state = this.state
    if (number <= state.settled || number > state.taken) return false
    const mask = state.started.length - 1
    const slot = number & mask
    if (state.started[slot] === SETTLED) return false
    state.runningBytes -= state.sizes[slot] as number
    if (number !== state.settled + 1) {
      state.started[slot] = SETTLED
      return true
    }
    let next = number
    do {
      state.started[next & mask] = FREE
      state.sizes[next & mask] = 0
      state.settled = next
      next += 1
    } while (next <= state.taken && state.started[next & mask] === SETTLED)
    return true
  }

  /** The handlers that have run too long are given up, in order; `giveUp` is told of each. */
  expire(now: number, giveUp: (number: number) => void): void {
    // They were started in order, so the first that has not settled is the oldest.
    while (this.expiresAt <= now) {
      const number = this.state.settled + 1
      this.settle(number)
      giveUp(number)
    }
  }

  /** When the oldest running handler will have run too long. */
  get expiresAt(): number {
    const { state } = this
    if (state.settled === state.taken) return Infinity
    const startedAt = state.started[(state.settled + 1) & (state.started.length - 1)] as number
    return startedAt + this.#options.handlerTimeout
  }

  /** The number to record as `rx` now; 0 for none: nothing new, or a record is under way. */
  nextRecord(): number {
    const state = this.state
    if (state.settled === state.rx || state.recording > state.rx) return 0
    if (this.#options.durable) {
      state.recording = state.settled
      return state.settled
    }
    state.recording = state.settled
    state.rx = state.settled
    return 0
  }

  /** `rx` has been recorded. */
  recorded(rx: number): void {
    if (rx > this.state.rx) this.state.rx = rx
  }

  /** Notes when an ack is due, if there is something to acknowledge; returns whether it is due now. */
  isAckDue(limits: WindowLimits, now: number): boolean {
    const state = this.state
    const unacked = state.rx - state.acked
    if (unacked === 0) return false
    // Half a limit, where that is less; of messages rounded down.
    if (unacked >= ACK_MESSAGES || unacked * 2 >= limits.maxMessages - 1) return true
    if (state.unackedBytes >= ACK_BYTES || state.unackedBytes * 2 >= limits.maxBytes) return true
    if (state.ackAt === NOT_DUE) state.ackAt = now + ACK_DELAY_MS
    return state.ackAt <= now
  }

  /** `rx` goes out in a frame. Returns it. */
  ackSent(): number {
    const state = this.state
    state.acked = state.rx
    state.ackAt = NOT_DUE
    state.unackedBytes = 0
    return state.rx
  }

  /** The other side has never sent more than up to `number`: nobody can have begun with what follows. */
  neverSentAbove(number: number): void {
    if (number < this.state.suspect) this.state.suspect = number
  }

  /** Numbers above `settled` each have a slot; the size is a power of two. Returns the mask. */
  #makeRoom(number: number): number {
    const state = this.state
    const size = state.started.length
    if (number - state.settled <= size) return size - 1
    const started = new Array<number>(Math.max(4, size * 2)).fill(FREE)
    const sizes = new Array<number>(started.length).fill(0)
    for (let known = state.settled + 1; known < number; known += 1) {
      started[known & (started.length - 1)] = state.started[known & (size - 1)] as number
      sizes[known & (started.length - 1)] = state.sizes[known & (size - 1)] as number
    }
    state.started = started
    state.sizes = sizes
    return started.length - 1
  }
}
