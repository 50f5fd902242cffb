// Messages that have no number yet: the only ones that priority, age, overflow and cancelling can touch.
// It decides which have to go; its owner says so. They lie in rows, one a priority, so that taking the next one out, or
// the one that is worth least, costs the same however many wait.

import { type DropReason, type Entry, NEVER } from './entry.ts'
import type { BacklogLimits } from './limits.ts'

/** Messages of one priority, in the order they came. */
export interface BacklogRow {
  readonly priority: number
  entries: Entry[]
  /** So many at the front of a long row have been taken out already: 0 unless more than `LONG` wait. */
  gone: number
}

/** Plain data, so that a state can be compared and copied. */
export interface BacklogState {
  /** The highest priority first. None is empty. */
  rows: BacklogRow[]
  messages: number
  bytes: number
  /** No entry expires before; `NEVER` when none does. It may be too early, when such an entry has left. */
  expiresAt: number
}

/** Is told of every message that is gone. It may not touch the queue within the call. */
export type OnDrop = (entry: Entry, reason: DropReason) => void

export function newBacklog(): BacklogState {
  return { rows: [], messages: 0, bytes: 0, expiresAt: NEVER }
}

/** All that wait, the next one first. */
export function backlogEntries({ rows }: BacklogState): Entry[] {
  return rows.flatMap(({ entries, gone }) => (gone > 0 ? entries.slice(gone) : entries))
}

/** Taking the first out of a longer array moves all the others: there it is done for so many at a time. */
export const LONG = 1024

/** Above every priority that a caller may give. */
const FIRST = Number.MAX_SAFE_INTEGER

export class Backlog {
  readonly state: BacklogState
  readonly #limits: BacklogLimits

  constructor(state: BacklogState, limits: BacklogLimits) {
    this.state = state
    this.#limits = limits
  }

  get length(): number {
    return this.state.messages
  }

  get first(): Entry | undefined {
    const row = this.state.rows[0]
    return row?.entries[row.gone]
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
        const lowest = this.state.rows[this.state.rows.length - 1] as BacklogRow
        // Among those that wait, none is worth less.
        if (lowest.priority > entry.priority) {
          onDrop(entry, 'overflow')
          return 'dropped'
        }
        onDrop(this.#takeFirst(lowest), 'overflow')
      }
    }
    this.add(entry)
    return 'queued'
  }

  /** Takes a message whatever the limits say: one that was accepted before. */
  add(entry: Entry): void {
    const { state } = this
    this.#rowOf(entry.priority).entries.push(entry)
    state.messages += 1
    state.bytes += entry.bytes
    if (entry.expiresAt !== NEVER && (state.expiresAt === NEVER || entry.expiresAt < state.expiresAt)) {
      state.expiresAt = entry.expiresAt
    }
  }

  /** Puts messages that had a number in another session before all others, in their order. */
  requeue(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    const { state } = this
    const row = this.#rowOf(FIRST)
    for (const entry of entries) {
      entry.priority = FIRST
      entry.expiresAt = NEVER
      state.bytes += entry.bytes
    }
    // Those that an older session left here come after: they had no number in the latest.
    row.entries = [...entries, ...row.entries.slice(row.gone)]
    row.gone = 0
    state.messages += entries.length
  }

  /** Takes the next one out. */
  shift(): Entry | undefined {
    const row = this.state.rows[0]
    return row && this.#takeFirst(row)
  }

  has(seq: number): boolean {
    return this.#find(seq) !== undefined
  }

  /** Takes message `seq` out, wherever it stands; `undefined` when it is not there. */
  withdraw(seq: number): Entry | undefined {
    const found = this.#find(seq)
    if (!found) return undefined
    const { row, index } = found
    const [entry] = row.entries.splice(index, 1) as [Entry]
    this.#leave(entry)
    this.#tidy(row)
    return entry
  }

  /** Drops what has waited too long. */
  expire(now: number, onDrop: OnDrop): void {
    const { state } = this
    if (state.expiresAt === NEVER || state.expiresAt > now) return
    this.#dropWhere((entry) => entry.expiresAt !== NEVER && entry.expiresAt <= now, 'expired', onDrop)
    state.expiresAt = NEVER
    for (const { expiresAt } of backlogEntries(state)) {
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

  /** The row of a priority, made when there is none. There are few, so they are looked through. */
  #rowOf(priority: number): BacklogRow {
    const { rows } = this.state
    // Most have the lowest there is: it is looked at first.
    let low = rows.length
    while (low > 0 && (rows[low - 1] as BacklogRow).priority < priority) low -= 1
    const above = rows[low - 1]
    if (above?.priority === priority) return above
    const row = { priority, entries: [], gone: 0 }
    rows.splice(low, 0, row)
    return row
  }

  #takeFirst(row: BacklogRow): Entry {
    const entry = row.entries[row.gone] as Entry
    if (row.gone === 0 && row.entries.length <= LONG) row.entries.shift()
    else {
      row.gone += 1
      if (row.gone === LONG) {
        row.entries.splice(0, LONG)
        row.gone = 0
      }
    }
    this.#leave(entry)
    this.#tidy(row)
    return entry
  }

  #leave(entry: Entry): void {
    this.state.messages -= 1
    this.state.bytes -= entry.bytes
  }

  /** An empty row is taken away. */
  #tidy(row: BacklogRow): void {
    if (row.entries.length > row.gone) return
    const { rows } = this.state
    if (rows[rows.length - 1] === row) rows.pop()
    else rows.splice(rows.indexOf(row), 1)
  }

  #find(seq: number): { row: BacklogRow; index: number } | undefined {
    for (const row of this.state.rows) {
      const index = row.priority === FIRST ? indexAmong(row, seq) : searchFor(row, seq)
      if (index >= 0) return { row, index }
    }
    return undefined
  }

  #dropWhere(matches: (entry: Entry) => boolean, reason: DropReason, onDrop: OnDrop): void {
    const { state } = this
    const dropped = backlogEntries(state).filter(matches)
    if (dropped.length === 0) return
    for (const row of state.rows) {
      row.entries = row.entries.slice(row.gone).filter((entry) => !matches(entry))
      row.gone = 0
    }
    state.rows = state.rows.filter(({ entries }) => entries.length > 0)
    for (const entry of dropped) {
      this.#leave(entry)
      onDrop(entry, reason)
    }
  }
}

/** What came back from lost sessions is in the order of their loss. */
function indexAmong({ entries, gone }: BacklogRow, seq: number): number {
  for (let index = gone; index < entries.length; index += 1) if (entries[index]?.seq === seq) return index
  return -1
}

/** In every other row, `seq` rises. */
function searchFor({ entries, gone }: BacklogRow, seq: number): number {
  let low = gone
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle] as Entry).seq < seq) low = middle + 1
    else high = middle
  }
  return entries[low]?.seq === seq ? low : -1
}
