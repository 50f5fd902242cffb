// Messages that have no number yet: the only ones that priority, age, overflow and cancelling can touch.
// It decides which have to go; its owner says so.

import { type DropReason, type Entry, NEVER } from './entry.ts'
import type { WaitingLimits } from './limits.ts'

/** Plain data, so that a state can be compared and copied. */
export interface WaitingState {
  /** The next one first: by priority, then in the order they came. */
  entries: Entry[]
  /** So many at the front of a long row have been taken out already: 0 unless more than `LONG` wait. */
  gone: number
  bytes: number
  /** No entry expires before; `NEVER` when none does. It may be too early, when such an entry has left. */
  expiresAt: number
}

/** Is told of every message that is gone. It may not touch the queue within the call. */
export type OnDrop = (entry: Entry, reason: DropReason) => void

export function newWaiting(): WaitingState {
  return { entries: [], gone: 0, bytes: 0, expiresAt: NEVER }
}

/** Taking the first out of a longer array moves all the others: there it is done for so many at a time. */
export const LONG = 1024

/** Above every priority that a caller may give. */
const FIRST = Number.MAX_SAFE_INTEGER

export class Waiting {
  readonly state: WaitingState
  readonly #limits: WaitingLimits

  constructor(state: WaitingState, limits: WaitingLimits) {
    this.state = state
    this.#limits = limits
  }

  get length(): number {
    return this.state.entries.length - this.state.gone
  }

  get first(): Entry | undefined {
    return this.state.entries[this.state.gone]
  }

  /** Whether it would be full with one more of that size. */
  #isFull(bytes: number): boolean {
    const { maxQueueMessages, maxQueueBytes } = this.#limits
    return this.length >= maxQueueMessages || this.state.bytes + bytes > maxQueueBytes
  }

  /** Takes a message; `rejected` when there is no room and none is made. */
  push(entry: Entry, onDrop: OnDrop): 'queued' | 'dropped' | 'rejected' {
    const { overflow, maxQueueMessages, maxQueueBytes } = this.#limits
    if (this.#isFull(entry.bytes)) {
      if (overflow === 'reject') return 'rejected'
      // What no empty queue could hold does not push the others out first.
      const hopeless = entry.bytes > maxQueueBytes || maxQueueMessages < 1
      if (hopeless || overflow === 'drop-newest') {
        onDrop(entry, 'overflow')
        return 'dropped'
      }
      while (this.#isFull(entry.bytes)) {
        const victim = this.#oldestOfLowest()
        // Among those that wait, none is worth less.
        if (victim.priority > entry.priority) {
          onDrop(entry, 'overflow')
          return 'dropped'
        }
        this.#remove(this.state.entries.indexOf(victim))
        onDrop(victim, 'overflow')
      }
    }
    this.add(entry)
    return 'queued'
  }

  /** Takes a message whatever the limits say: one that was accepted before. */
  add(entry: Entry): void {
    const { state } = this
    const { entries } = state
    let at = entries.length
    while (at > state.gone && (entries[at - 1] as Entry).priority < entry.priority) at -= 1
    if (at === entries.length) entries.push(entry)
    else entries.splice(at, 0, entry)
    state.bytes += entry.bytes
    if (entry.expiresAt !== NEVER && (state.expiresAt === NEVER || entry.expiresAt < state.expiresAt)) {
      state.expiresAt = entry.expiresAt
    }
  }

  /** Puts messages that had a number in another session before all others, in their order. */
  requeue(entries: readonly Entry[]): void {
    const { state } = this
    for (const entry of entries) {
      entry.priority = FIRST
      entry.expiresAt = NEVER
      state.bytes += entry.bytes
    }
    // Those that an older session left here come after: they had no number in the latest.
    state.entries = [...entries, ...this.#waiting()]
  }

  /** Takes the next one out. */
  shift(): Entry | undefined {
    const { state } = this
    const entry = this.first
    if (!entry) return undefined
    state.bytes -= entry.bytes
    if (state.gone === 0 && state.entries.length <= LONG) state.entries.shift()
    else {
      state.gone += 1
      if (state.gone === LONG || state.gone === state.entries.length) this.#waiting()
    }
    return entry
  }

  has(seq: number): boolean {
    return this.#waiting().some((entry) => entry.seq === seq)
  }

  /** Takes message `seq` out, wherever it stands; `undefined` when it is not there. */
  withdraw(seq: number): Entry | undefined {
    return this.#remove(this.#waiting().findIndex((entry) => entry.seq === seq))
  }

  /** Drops what has waited too long. */
  expire(now: number, onDrop: OnDrop): void {
    const { state } = this
    if (state.expiresAt === NEVER || state.expiresAt > now) return
    this.#dropWhere((entry) => entry.expiresAt !== NEVER && entry.expiresAt <= now, 'expired', onDrop)
    state.expiresAt = NEVER
    for (const { expiresAt } of this.#waiting()) {
      if (expiresAt !== NEVER && (state.expiresAt === NEVER || expiresAt < state.expiresAt)) {
        state.expiresAt = expiresAt
      }
    }
  }

  /** Drops what is larger than the other side takes. */
  dropLarger(maxFrame: number, onDrop: OnDrop): void {
    this.#dropWhere((entry) => entry.bytes > maxFrame, 'tooLarge', onDrop)
  }

  /** Drops all. */
  clear(reason: DropReason, onDrop: OnDrop): void {
    this.#dropWhere(() => true, reason, onDrop)
    this.state.expiresAt = NEVER
  }

  /** The row without those that have been taken out. */
  #waiting(): Entry[] {
    const { state } = this
    if (state.gone > 0) state.entries.splice(0, state.gone)
    state.gone = 0
    return state.entries
  }

  #oldestOfLowest(): Entry {
    const entries = this.#waiting()
    const { priority } = entries[entries.length - 1] as Entry
    let at = entries.length - 1
    while (at > 0 && (entries[at - 1] as Entry).priority === priority) at -= 1
    return entries[at] as Entry
  }

  #remove(index: number): Entry | undefined {
    const [entry] = index < 0 ? [] : this.state.entries.splice(index, 1)
    if (entry) this.state.bytes -= entry.bytes
    return entry
  }

  #dropWhere(matches: (entry: Entry) => boolean, reason: DropReason, onDrop: OnDrop): void {
    const dropped = this.#waiting().filter(matches)
    if (dropped.length === 0) return
    this.state.entries = this.state.entries.filter((entry) => !matches(entry))
    for (const entry of dropped) this.state.bytes -= entry.bytes
    for (const entry of dropped) onDrop(entry, reason)
  }
}
