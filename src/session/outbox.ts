// The sending half of a session: which messages have a number, which of them went out on the current connection, and
// which the other side has taken. A numbered message stays until it is acknowledged; nothing else may drop it.
// Numbers follow each other without a gap, so the messages lie in a ring at the place that their number says.

import type { Entry } from './entry.ts'
import { TEXT } from './frames.ts'
import { MAX_NUMBER, type WindowLimits } from './limits.ts'

/** Plain data, so that a state can be compared and copied. */
export interface OutboxState {
  /** The other side has acknowledged up to here. */
  acked: number
  /** Went out on the current connection up to here, or need not. */
  sent: number
  /** Ever went out, on any connection, up to here. */
  sentEver: number
  /** Their number is recorded up to here: these may go out. */
  recorded: number
  /** The highest number given. */
  last: number
  /** Payload bytes of the messages that have a number. */
  bytes: number
  /** Slot `number & (length - 1)`: the messages from `acked + 1` to `last`. */
  ring: (Entry | null)[]
}

export function newOutbox(): OutboxState {
  return restoredOutbox(0, [])
}

/** The outbox of a session that a store remembers: `messages` have the numbers from `acked + 1` on. */
export function restoredOutbox(acked: number, messages: readonly Entry[]): OutboxState {
  const last = acked + messages.length
  const state: OutboxState = { acked, sent: acked, sentEver: last, recorded: last, last, bytes: 0, ring: [] }
  makeRoom(state, messages.length)
  for (let index = 0; index < messages.length; index += 1) {
    const entry = messages[index] as Entry
    state.ring[(acked + 1 + index) & (state.ring.length - 1)] = { ...entry }
    state.bytes += entry.bytes
  }
  return state
}

export class Outbox {
  readonly state: OutboxState

  constructor(state: OutboxState) {
    this.state = state
  }

  /** Messages that have a number and no acknowledgement. */
  get length(): number {
    return this.state.last - this.state.acked
  }

  /** All numbers have been given and acknowledged: only a new session has more. */
  get isUsedUp(): boolean {
    return this.state.last === MAX_NUMBER && this.length === 0
  }

  /** Whether the window has room for one more. */
  admits(bytes: number, limits: WindowLimits): boolean {
    const { state } = this
    return (
      state.last - state.acked < limits.maxMessages &&
      state.bytes + bytes <= limits.maxBytes &&
      state.last < MAX_NUMBER
    )
  }

  /** Gives a message its number. */
  push(entry: Entry): number {
    const { state } = this
    if (this.length === state.ring.length) makeRoom(state, this.length + 1)
    state.last += 1
    state.ring[state.last & (state.ring.length - 1)] = entry
    state.bytes += entry.bytes
    return state.last
  }

  /** The message with this number; `undefined` when it is acknowledged, or not given. */
  at(number: number): Entry | undefined {
    const { state } = this
    if (number <= state.acked || number > state.last) return undefined
    return state.ring[number & (state.ring.length - 1)] as Entry
  }

  /** Whether message `seq` has a number and no acknowledgement. The latest are looked at first: most questions are about them. */
  has(seq: number): boolean {
    for (let number = this.state.last; number > this.state.acked; number -= 1) {
      if (this.at(number)?.seq === seq) return true
    }
    return false
  }

  /** The numbers up to `number` are recorded. */
  recorded(number: number): void {
    if (number > this.state.recorded) this.state.recorded = number
  }

  /** The next message to go out on this connection; `undefined` when there is none. */
  next(): Entry | undefined {
    return this.at(this.state.sent < this.state.recorded ? this.state.sent + 1 : 0)
  }

  /** That message goes out now. Returns its number. */
  sending(): number {
    const { state } = this
    state.sent += 1
    if (state.sent > state.sentEver) state.sentEver = state.sent
    return state.sent
  }

  /** Another connection: all that is not acknowledged goes out anew. */
  rewind(): void {
    this.state.sent = this.state.acked
  }

  /** Whether the other side can have taken up to `rx`, and no less than it once said. */
  canPlace(rx: number): boolean {
    return rx >= this.state.acked && rx <= this.state.sentEver
  }

  /** The other side has taken all up to `rx`, which `canPlace`; `onTaken` is told of each that was not known. */
  acknowledge(rx: number, onTaken: (entry: Entry) => void): void {
    const { state } = this
    const mask = state.ring.length - 1
    while (state.acked < rx) {
      state.acked += 1
      const slot = state.acked & mask
      const entry = state.ring[slot] as Entry
      state.ring[slot] = null
      state.bytes -= entry.bytes
      onTaken(entry)
    }
    if (state.sent < rx) state.sent = rx
    // A burst does not hold its memory for ever.
    if (state.acked === state.last && state.ring.length > 64) state.ring = []
  }

  /**
   * Puts a tombstone (an empty text) in place of the largest message that went out on this connection: nobody takes its
   * size. The number stays.
   * @returns the number and the message as it was; `undefined` when there is none but tombstones
   */
  buryLargest(): { number: number; entry: Entry } | undefined {
    const { state } = this
    let largest = 0
    let bytes = 0
    for (let number = state.acked + 1; number <= state.sent; number += 1) {
      const entry = this.at(number) as Entry
      if (entry.bytes <= bytes) continue
      largest = number
      bytes = entry.bytes
    }
    const entry = this.at(largest)
    if (!entry) return undefined
    state.ring[largest & (state.ring.length - 1)] = { ...entry, seq: 0, stream: TEXT, payload: '', bytes: 0 }
    state.bytes -= bytes
    return { number: largest, entry }
  }

  /** All messages that have a number and no acknowledgement, but for tombstones: the oldest first. */
  unacknowledged(): Entry[] {
    const entries: Entry[] = []
    for (let number = this.state.acked + 1; number <= this.state.last; number += 1) {
      const entry = this.at(number) as Entry
      if (entry.seq !== 0) entries.push(entry)
    }
    return entries
  }
}

/** The ring grows to hold `length` messages; its size is a power of two, so that a mask replaces the modulo. */
function makeRoom(state: OutboxState, length: number): void {
  const old = state.ring
  if (length <= old.length) return
  let size = Math.max(4, old.length)
  while (size < length) size *= 2
  const ring = new Array<Entry | null>(size).fill(null)
  for (let number = state.acked + 1; number <= state.last && old.length > 0; number += 1) {
    ring[number & (size - 1)] = old[number & (old.length - 1)] as Entry
  }
  state.ring = ring
}
